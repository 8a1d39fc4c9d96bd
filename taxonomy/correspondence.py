"""Correspondences between schemes (分类对照): which class may hold which, how a partial one is resolved, on what basis.

A file ``correspondences/{from}__{to}.csv`` names its two schemes by id or alias. ``coverage`` is that of ``to_code``:
``full`` means that everything in ``to_code`` belongs to ``from_code``, ``partial`` that only a part does.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Final

from taxonomy.scheme import Scheme, list_schemes, load_scheme

FOLDER: Final = Path(__file__).parent / "correspondences"
COVERAGE: Final = ("full", "partial")
BASIS: Final = ("official", "proposal", "recalled", "inferred", "unverified", "seen")
RESOLUTION: Final = ("unit", "product_list", "revenue_share", "survey", "finer_level")
COLUMNS: Final = ("from_code", "to_code", "coverage", "resolution", "basis", "note")
_WORDS: Final = re.compile(r"[a-z_]+")


class CorrespondenceError(ValueError):
    """A correspondence that cannot be used: which file, which line, what was expected."""


@dataclass(frozen=True, slots=True)
class Link:
    """``from_code`` may be found in ``to_code``; ``coverage`` is that of ``to_code`` by ``from_code``."""

    from_code: str
    to_code: str
    coverage: str
    resolution: str
    basis: str
    note: str


@dataclass(frozen=True, slots=True)
class Joined:
    """Two schemes joined over a class of a third one.

    ``via`` is the finer of the two linked pivot classes. ``full`` says that the whole of it belongs to both ends;
    ``partial``, that at least one of the two holds only a part, so that the ends may not meet there at all.
    """

    from_code: str
    via: str
    to_code: str
    coverage: str
    basis: str


@dataclass(frozen=True)
class Correspondence:
    """All links between two schemes, usable in both directions."""

    id: str
    from_scheme: Scheme
    to_scheme: Scheme
    links: tuple[Link, ...]

    @cached_property
    def _index(self) -> dict[tuple[str, str], tuple[Link, ...]]:
        found: dict[tuple[str, str], list[Link]] = {}
        for link in self.links:
            found.setdefault(("from", link.from_code), []).append(link)
            found.setdefault(("to", link.to_code), []).append(link)
        return {key: tuple(links) for key, links in found.items()}

    def links_of(self, scheme_id: str, code: str) -> tuple[Link, ...]:
        """Links of a code of either scheme, with those of the codes below it.

        Raises
        ------
        KeyError
            If the code does not exist.
        CorrespondenceError
            If the scheme is not one of the two.
        """
        if scheme_id not in (self.from_scheme.id, self.to_scheme.id):
            raise CorrespondenceError(f"{self.id} joins {self.from_scheme.id} and {self.to_scheme.id}, not {scheme_id}")
        side = "from" if scheme_id == self.from_scheme.id else "to"
        scheme = self.from_scheme if side == "from" else self.to_scheme
        return tuple(k for below in _subtree(scheme, code) for k in self._index.get((side, below), ()))


def _subtree(scheme: Scheme, code: str) -> Iterator[str]:
    yield scheme.get(code).code
    for child in scheme.children(code):
        yield from _subtree(scheme, child.code)


def _scheme_named(name: str, where: str) -> Scheme:
    schemes = [load_scheme(i) for i in list_schemes()]
    for scheme in schemes:
        if name in (scheme.id, scheme.alias):
            return scheme
    raise CorrespondenceError(f"{where}: no scheme {name!r}; known: {', '.join(s.id for s in schemes)}")


def read_correspondence(path: Path, from_scheme: Scheme, to_scheme: Scheme) -> Correspondence:
    """One correspondence from its file, checked against both schemes.

    Raises
    ------
    CorrespondenceError
        If a column is missing, a code does not exist, a pair stands twice, a word is unknown, a partial link says no
        resolution, or a class said to belong wholly to one class is linked to another one of the same level as well.
    """
    links: list[Link] = []
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise CorrespondenceError(f"{path.name}: columns are {reader.fieldnames}; expected {','.join(COLUMNS)}")
        for line, row in enumerate(reader, start=2):
            link = Link(**row)
            _check(link, from_scheme, to_scheme, f"{path.name} line {line}")
            links.append(link)
    found = Correspondence(path.stem, from_scheme, to_scheme, tuple(links))
    _check_together(found, path.name)
    return found


def _check(link: Link, from_scheme: Scheme, to_scheme: Scheme, where: str) -> None:
    for code, scheme in ((link.from_code, from_scheme), (link.to_code, to_scheme)):
        if code not in scheme:
            raise CorrespondenceError(f"{where}: {code} is not in {scheme.id}")
    words = _WORDS.findall(link.basis)
    if link.coverage not in COVERAGE or not any(known in word for word in words for known in BASIS):
        raise CorrespondenceError(f"{where}: coverage must be one of {COVERAGE}, basis say one of {BASIS}")
    if not any(known in link.resolution for known in RESOLUTION):
        raise CorrespondenceError(f"{where}: resolution {link.resolution!r}; expected one of {RESOLUTION}")


def _check_together(found: Correspondence, name: str) -> None:
    seen: dict[str, list[Link]] = {}
    for link in found.links:
        others = seen.setdefault(link.to_code, [])
        for other in others:
            if other.from_code == link.from_code:
                raise CorrespondenceError(f"{name}: {link.from_code} → {link.to_code} stands twice")
            same = found.from_scheme.get(other.from_code).level == found.from_scheme.get(link.from_code).level
            if same and "full" in (other.coverage, link.coverage):
                raise CorrespondenceError(
                    f"{name}: {link.to_code} is said to belong wholly to one of {other.from_code}, {link.from_code}, "
                    "yet is linked to both; make both partial or drop one"
                )
        others.append(link)


@cache
def correspondence(correspondence_id: str) -> Correspondence:
    """One correspondence by id ``{from}__{to}``; schemes by id or alias.

    Raises
    ------
    CorrespondenceError
        If the file is not there, names no known schemes, or breaks a rule of :func:`read_correspondence`.
    """
    path = FOLDER / f"{correspondence_id}.csv"
    if not path.is_file():
        raise CorrespondenceError(
            f"no correspondence {correspondence_id!r}; known: {', '.join(list_correspondences())}"
        )
    start, separator, end = correspondence_id.partition("__")
    if not separator:
        raise CorrespondenceError(f"{path.name}: the name must be {{from}}__{{to}}.csv")
    return read_correspondence(path, _scheme_named(start, path.name), _scheme_named(end, path.name))


def load_correspondence(correspondence_id: str) -> tuple[Link, ...]:
    """All links of one correspondence, checked (see :func:`correspondence`)."""
    return correspondence(correspondence_id).links


def list_correspondences() -> list[str]:
    """Ids of the correspondences there are."""
    return sorted(p.stem for p in FOLDER.glob("*.csv"))


def between(one: str, other: str) -> Correspondence:
    """The correspondence that joins two schemes (ids), whichever way its file is written.

    Raises
    ------
    CorrespondenceError
        If there is none; says which there are.
    """
    for name in list_correspondences():
        found = correspondence(name)
        if {one, other} == {found.from_scheme.id, found.to_scheme.id}:
            return found
    raise CorrespondenceError(
        f"no correspondence joins {one} and {other}; known: {', '.join(list_correspondences())}. "
        "Two schemes that both have one with a third can be joined by chain()"
    )


@cache
def chain(from_id: str, to_id: str, pivot_id: str = "gbt4754_2017") -> tuple[Joined, ...]:
    """Every path from one scheme to another over a pivot, with partial kept partial.

    Both correspondences must have the pivot as their ``to`` scheme. Two links meet if they name the same pivot class or
    one stands above the other; a class inside a fully covered one is fully covered. A pair of ends may have many
    paths; a basis joins those of both links with ``+``, so that weakness is inherited.

    Raises
    ------
    CorrespondenceError
        If one of the two is not there or has the pivot as its ``from`` scheme.
    """
    first, second = between(from_id, pivot_id), between(to_id, pivot_id)
    for part in (first, second):
        if part.to_scheme.id != pivot_id:
            raise CorrespondenceError(f"{part.id} must have {pivot_id} on its second side to serve as part of a chain")
    pivot = first.to_scheme
    above = {c.code: (c.code, *(a.code for a in pivot.ancestors(c.code))) for c in pivot.codes}
    found = []
    for a in first.links:
        for b in second.links:
            if a.to_code not in above[b.to_code] and b.to_code not in above[a.to_code]:
                continue
            via = a.to_code if b.to_code in above[a.to_code] else b.to_code
            coverage = "full" if a.coverage == b.coverage == "full" else "partial"
            basis = "+".join(dict.fromkeys((*a.basis.split("+"), *b.basis.split("+"))))
            found.append(Joined(a.from_code, via, b.from_code, coverage, basis))
    return tuple(sorted(set(found), key=lambda p: (p.from_code, p.to_code, p.via, p.coverage)))


def gbt_links(code: str) -> tuple[Link, ...]:
    """GB/T classes that may hold an AI class or one of its descendants."""
    return tuple(link for link in load_correspondence("ai_2026__gbt4754_2017") if link.from_code.startswith(code))
