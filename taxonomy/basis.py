"""What a row rests on, and what an official release therefore refuses (依据规则).

``basis`` of a code or a link is a text such as ``official``, ``proposal``, ``name_seen_public_page`` or
``recalled_code+name_identical_to_gbt_class``. A row whose basis contains one of :data:`WEAK` may stand in a trial
release, with its mark, but not in an official one; nor may a code list nobody has adopted (:data:`NOT_ADOPTED`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from taxonomy.correspondence import Correspondence, correspondence
from taxonomy.scheme import Scheme, load_scheme

WEAK: Final = ("recalled", "inferred", "unverified")
NOT_ADOPTED: Final = ("draft", "consult", "recalled")
MARKS: Final = {
    "recalled": {"zh": "凭记忆录入", "en": "recalled"},
    "inferred": {"zh": "推断", "en": "inferred"},
    "unverified": {"zh": "未核实", "en": "unverified"},
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row an official release refuses: the scheme or correspondence, its key, what it rests on and the reason."""

    source: str
    key: str
    basis: str
    reason: str

    def __str__(self) -> str:
        return f"{self.source} {self.key}: {self.reason} (basis {self.basis or 'none'})"


class BasisRefused(ValueError):
    """An official release asked for rows of weak basis: which, and why; ``rows`` holds every one of them."""

    def __init__(self, message: str, rows: tuple[Refusal, ...]) -> None:
        super().__init__(message)
        self.rows = rows


def weak_words(basis: str) -> tuple[str, ...]:
    """The words of :data:`WEAK` that a basis contains."""
    return tuple(word for word in WEAK if word in basis.lower())


def mark(basis: str, lang: str = "zh") -> str:
    """The mark a trial release shows beside a row of weak basis; empty for a sound one."""
    separator = ", " if lang == "en" else "、"
    return separator.join(MARKS[word]["en" if lang == "en" else "zh"] for word in weak_words(basis))


def row_refusal(source: str, key: str, basis: str, status: str = "") -> Refusal | None:
    """Why an official release refuses one row, or None; a row that says no basis is refused as well."""
    if words := weak_words(basis):
        return Refusal(source, key, basis, f"basis is {', '.join(words)}")
    if not basis.strip():
        return Refusal(source, key, basis, "says no basis")
    if status in NOT_ADOPTED:
        return Refusal(source, key, basis, f"status {status}: not adopted")
    return None


def refusals(item: Scheme | Correspondence) -> tuple[Refusal, ...]:
    """Rows of a scheme or correspondence that an official release refuses, in the order of the file."""
    if isinstance(item, Scheme):
        rows = [(item.id, c.code, c.basis, c.status) for c in item.codes]
    else:
        rows = [(item.id, f"{k.from_code} → {k.to_code}", k.basis, "") for k in item.links]
    return tuple(found for row in rows if (found := row_refusal(*row)) is not None)


def require_official(
    schemes: Iterable[str] = (),
    correspondences: Iterable[str] = (),
    rows: Iterable[tuple[str, str, str, str]] = (),
) -> None:
    """Pass if an official release may rest on these; the release step calls it.

    Parameters
    ----------
    schemes, correspondences
        Ids of what the figures rest on.
    rows
        Code lists as they stand in the release: ``(scheme, code, basis, status)`` each.

    Raises
    ------
    BasisRefused
        If any row has a weak basis or is not adopted: one sentence that counts them by source and names the first.
    """
    found = [r for name in schemes for r in refusals(load_scheme(name))]
    found += [r for name in correspondences for r in refusals(correspondence(name))]
    found += [r for row in rows if (r := row_refusal(*row)) is not None]
    if not found:
        return
    groups: dict[str, list[Refusal]] = {}
    for refusal in found:
        groups.setdefault(refusal.source, []).append(refusal)
    parts = [f"{source}: {len(hits)} row(s), first {hits[0].key} ({hits[0].reason})" for source, hits in groups.items()]
    raise BasisRefused(
        "an official release refuses rows that are recalled, inferred, unverified or not adopted: "
        + "; ".join(parts)
        + ". Check them against the official text, or release as trial; 'aistat taxonomy check --official' lists all",
        tuple(found),
    )
