"""Evidence files: what was measured, by which commit, and the hashes of the code it is about."""

import hashlib
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "quality" / "evidence"


def hashes(patterns: Sequence[str]) -> dict[str, str]:
    """SHA-256 of every file that a pattern (relative to the repository) names."""
    paths = sorted({p for pattern in patterns for p in ROOT.glob(pattern) if p.is_file()})
    return {p.relative_to(ROOT).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()[:16] for p in paths}


def write(name: str, evidence: dict[str, Any], proves: Sequence[str]) -> Path:
    """Write ``docs/quality/evidence/<name>.json`` with the commit and what it proves; returns the path."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    body = {"commit": commit.stdout.strip(), **evidence, "proves": hashes(proves)}
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def outdated(path: Path) -> list[str]:
    """Files that are no longer what the evidence was made from."""
    body = json.loads(path.read_text(encoding="utf-8"))
    proved: dict[str, str] = body.get("proves", {})
    return [name for name, digest in proved.items() if hashes([name]).get(name) != digest]
