"""What an answer may be, and what a coder sees of a task (复核规则): types, checks, errors of the review journal."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from taxonomy.classifier.gold import NONE
from taxonomy.scheme import load_scheme
from warehouse.access import User, may

KINDS: Final = ("code", "set", "undecidable", "refer")
MAX_CODES: Final = 5
MAX_REASON: Final = 500
ORGANISATION: Final = "统计"


class ReviewError(ValueError):
    """An answer or a step that cannot be taken; says what was expected (Chinese first)."""


class StaleAnswer(ReviewError):
    """The task changed, was superseded, or is no longer locked to this person: the answer is refused, nothing is written."""


@dataclass(frozen=True)
class Task:
    """A task as its coder holds it; ``kind`` is for the pipeline, never for the coder's eyes."""

    task_id: str
    unit_id: str
    kind: str
    blind: bool
    coders_needed: int
    text_hash: str
    bundle: str
    area: str
    expires_at: str


@dataclass(frozen=True)
class Given:
    """An answer as handed in: what the coder saw (``text_hash``, ``bundle``) goes with what they said."""

    task_id: str
    kind: str
    codes: tuple[str, ...]
    text_hash: str
    bundle: str
    reason: str = ""


def may_review(user: User | None) -> bool:
    """Whether somebody may see evidence: the permission, and a statistics organisation (returns serve statistics only)."""
    return user is not None and may(user, "review") and user.organisation == ORGANISATION


def task_key(unit_id: str, text_hash: str, bundle: str, kind: str) -> str:
    """Id of a task: a hash of what it asks about."""
    return hashlib.blake2b("\x1f".join((unit_id, text_hash, bundle, kind)).encode(), digest_size=12).hexdigest()


def known_code(code: str) -> bool:
    """Whether a code may be an answer: a core or related code of the catalogue at any level, or *none*."""
    return code == NONE or code in load_scheme("ai_industry_2026")


def now_utc() -> datetime:
    """The moment."""
    return datetime.now(UTC)


def as_text(moment: datetime) -> str:
    """ISO text, which sorts like time."""
    return moment.isoformat(timespec="milliseconds")


def checked_codes(given: Given) -> tuple[str, ...]:
    """The codes of an answer, sorted, if they fit its kind (:class:`ReviewError` otherwise)."""
    codes = tuple(sorted(set(given.codes)))
    if given.kind not in KINDS:
        raise ReviewError(f"未知的答复类型 / answer kind {given.kind!r}; expected one of {', '.join(KINDS)}")
    if strange := [c for c in codes if not known_code(c)]:
        raise ReviewError(f"目录中没有编码 / no such code in the catalogue: {', '.join(strange)}")
    expected = {"code": (1, 1), "set": (2, MAX_CODES), "undecidable": (0, 0), "refer": (0, MAX_CODES)}[given.kind]
    if not expected[0] <= len(codes) <= expected[1]:
        raise ReviewError(
            f"答复应含 {expected[0]}-{expected[1]} 个编码，实为 {len(codes)} 个 / "
            f"an answer of kind {given.kind} has {expected[0]} to {expected[1]} codes, got {len(codes)}"
        )
    if given.kind in ("undecidable", "refer") and not given.reason.strip():
        raise ReviewError("请写明理由 / a reason is needed")
    if len(given.reason) > MAX_REASON:
        raise ReviewError(f"理由不超过 {MAX_REASON} 字 / the reason may have at most {MAX_REASON} characters")
    return codes


def split_codes(text: str) -> list[str]:
    """Codes typed by hand: ``A11``, ``A11、A12`` or ``A11 智能芯片`` (as a list of suggestions completes it)."""
    for mark in "、，,;；":
        text = text.replace(mark, "\n")
    first = [words[0] for line in text.split("\n") if (words := line.split())]
    return [NONE if word.lower() == NONE else word.upper() for word in first]
