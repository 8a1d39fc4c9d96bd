"""The certificate of an audited pattern: it binds rules, data, pattern, audit and code without showing the rules."""

import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from etl.methods.disclosure.problem import ProblemError
from etl.methods.disclosure.spec import Spec

#: Known to everybody; certificates say so. Live installations have ``secret/disclosure.key`` under AISTAT_HOME.
DEMO_KEY: Final = b"aistat: public demonstration key"
KEY_FILE: Final = Path("secret") / "disclosure.key"
SHORTEST: Final = 16


@dataclass(frozen=True)
class Sealed:
    """A certificate. Everything but :meth:`public_dict` is restricted.

    ``rules``: HMAC-SHA256 of the parameters; ``data`` and ``pattern``: of the problem and of OUT; ``key``: ``live`` or
    ``demo (public)``; ``audit``: all checks.
    """

    id: str
    passed: bool
    time: str
    key: str
    rules: str
    data: str
    pattern: str
    protection: str
    audit: Mapping[str, Any]
    versions: Mapping[str, str]

    def as_dict(self) -> dict[str, Any]:
        """The whole certificate, for the restricted store, with its public part."""
        return asdict(self) | {"public": self.public_dict()}

    def public_dict(self) -> dict[str, Any]:
        """What may be shown: passed, identifier, time."""
        return {"passed": self.passed, "id": self.id, "time": self.time}


def installation_key(home: Path) -> tuple[bytes, str]:
    """The key of the installation and its kind.

    Raises
    ------
    ProblemError
        For a key file that is too short or open to other users.
    """
    path = home / KEY_FILE
    if not path.exists():
        return DEMO_KEY, "demo (public)"
    key = path.read_bytes().strip()
    if len(key) < SHORTEST or path.stat().st_mode & 0o077:
        raise ProblemError(
            f"密钥不可用 / {path}: expected {SHORTEST} bytes or more, readable by its owner only; write one anew (mode 0600)"
        )
    return key, "live"


def _code(key: bytes, *texts: str) -> str:
    return hmac.new(key, "\x1f".join(texts).encode(), sha256).hexdigest()


def rules_code(spec: Spec, key: bytes) -> str:
    """HMAC-SHA256 of all parameters: equal for equal rules, of no use without the key."""
    body = {**asdict(spec.rules), "protection": spec.protection, "waivers": sorted(spec.waivers)}
    return _code(key, json.dumps(body | {"public": sorted(spec.public)}, sort_keys=True))


def seal(spec: Spec, data: str, pattern: bytes, audit: Mapping[str, Any], home: Path) -> Sealed:
    """The certificate of an audit.

    Parameters
    ----------
    data
        Hash of the problem.
    pattern
        OUT as written.
    """
    key, kind = installation_key(home)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    rules, hashed = rules_code(spec, key), sha256(pattern).hexdigest()
    versions = {name: _version(name) for name in ("aistat", "highspy", "numpy", "scipy", "polars")}
    identifier = _code(key, rules, data, hashed, now)[:20]
    return Sealed(
        identifier, bool(audit["passed"]), now, kind, rules, data, hashed, spec.protection, audit, versions
    )  # fmt: skip


def _version(name: str) -> str:
    try:
        return version(name)
    except Exception:
        return "unknown"
