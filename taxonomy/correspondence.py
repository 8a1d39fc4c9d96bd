"""Correspondences between schemes (分类对照): which class may hold which, how a partial one is resolved, on what basis."""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from taxonomy.scheme import load_scheme

FOLDER: Final = Path(__file__).parent / "correspondences"
COVERAGE: Final = ("full", "partial")
BASIS: Final = ("official", "proposal", "recalled", "inferred", "unverified")


class CorrespondenceError(ValueError):
    """A correspondence that cannot be used: which file, which line, what was expected."""


@dataclass(frozen=True, slots=True)
class Link:
    """``from_code`` (AI catalogue) may be found in ``to_code``; ``coverage`` is that of ``to_code`` by AI activity."""

    from_code: str
    to_code: str
    coverage: str
    resolution: str
    basis: str
    note: str


@cache
def load_correspondence(correspondence_id: str) -> tuple[Link, ...]:
    """All links of one correspondence, checked against both schemes.

    Raises
    ------
    CorrespondenceError
        If the file is not there, a code does not exist, or a coverage or basis is unknown.
    """
    path = FOLDER / f"{correspondence_id}.csv"
    if not path.is_file():
        raise CorrespondenceError(
            f"no correspondence {correspondence_id!r}; known: {', '.join(list_correspondences())}"
        )
    links = []
    with path.open(encoding="utf-8", newline="") as file:
        for line, row in enumerate(csv.DictReader(file), start=2):
            link = Link(**row)
            _check(link, f"{path.name} line {line}")
            links.append(link)
    return tuple(links)


def _check(link: Link, where: str) -> None:
    if link.from_code not in load_scheme("ai_industry_2026"):
        raise CorrespondenceError(f"{where}: {link.from_code} is not in ai_industry_2026")
    if link.to_code not in load_scheme("gbt4754_2017"):
        raise CorrespondenceError(f"{where}: {link.to_code} is not in gbt4754_2017")
    if link.coverage not in COVERAGE or link.basis not in BASIS:
        raise CorrespondenceError(f"{where}: coverage must be one of {COVERAGE}, basis one of {BASIS}")


def list_correspondences() -> list[str]:
    """Ids of the correspondences there are."""
    return sorted(p.stem for p in FOLDER.glob("*.csv"))


def gbt_links(code: str) -> tuple[Link, ...]:
    """GB/T classes that may hold an AI class or one of its descendants."""
    return tuple(link for link in load_correspondence("ai_2026__gbt4754_2017") if link.from_code.startswith(code))
