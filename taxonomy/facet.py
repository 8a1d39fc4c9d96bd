"""Facets (分面): properties of units and products that run across the classification and are never levels of it.

``facets/{id}.yaml`` holds one facet with its values and the written rule by which a value is chosen;
``facets/assignments/{scheme}.csv`` gives the value a leaf code takes where nothing is known of the unit itself.
"""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from taxonomy.scheme import Scheme, load_scheme

FOLDER: Final = Path(__file__).parent / "facets"
ASSIGNMENTS: Final = FOLDER / "assignments"
REQUIRED: Final = ("layer", "technology")
COLUMNS: Final = ("code", "facet", "value", "basis")


class FacetError(ValueError):
    """A facet or assignment that cannot be used: which file, which value, what was expected."""


@dataclass(frozen=True, slots=True)
class FacetValue:
    """One value. ``quote`` are the words of the law it rests on, ``catalogue`` the R code of the catalogue it meets."""

    code: str
    zh: str
    en: str
    definition_zh: str
    definition_en: str
    legal_basis: str
    quote: str
    catalogue: str


@dataclass(frozen=True)
class Facet:
    """A facet with its values in order; ``multiple`` says whether several may hold at once."""

    id: str
    zh: str
    en: str
    multiple: bool
    basis: str
    source: str
    rule_zh: str
    rule_en: str
    values: tuple[FacetValue, ...]

    def __contains__(self, code: object) -> bool:
        return any(v.code == code for v in self.values)

    def get(self, code: str) -> FacetValue:
        """One value (KeyError that says which facet was asked)."""
        for value in self.values:
            if value.code == code:
                return value
        raise KeyError(f"facet {self.id} has no value {code!r}")


@dataclass(frozen=True, slots=True)
class Assignment:
    """A leaf code takes ``value`` of ``facet`` by default."""

    code: str
    facet: str
    value: str
    basis: str


def _value(row: Mapping[str, Any]) -> FacetValue:
    return FacetValue(
        str(row["code"]), row["zh"], row["en"], row.get("def", ""), row.get("def_en", ""), row.get("legal_basis", ""),
        row.get("quote", ""), row.get("catalogue", ""),
    )  # fmt: skip


def list_facets() -> list[str]:
    """Ids of the facets there are."""
    return sorted(p.stem for p in FOLDER.glob("*.yaml"))


@cache
def load_facet(facet_id: str) -> Facet:
    """One facet by id.

    Raises
    ------
    FacetError
        If there is none, a value stands twice, or its file says no rule or no source.
    """
    path = FOLDER / f"{facet_id}.yaml"
    if not path.is_file():
        raise FacetError(f"no facet {facet_id!r}; known: {', '.join(list_facets())}")
    head = yaml.safe_load(path.read_text(encoding="utf-8"))
    values = tuple(_value(row) for row in head.pop("values"))
    facet = Facet(**head, values=values)
    if len({v.code for v in values}) != len(values):
        raise FacetError(f"{path.name}: a value stands twice")
    if not (facet.rule_zh and facet.rule_en and facet.source and facet.basis):
        raise FacetError(f"{path.name}: needs rule_zh, rule_en, source and basis")
    return facet


def read_assignments(path: Path) -> tuple[Assignment, ...]:
    """Assignments of one file as they stand there (:func:`check_assignments` tests them)."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise FacetError(f"{path.name}: columns are {reader.fieldnames}; expected {','.join(COLUMNS)}")
        return tuple(Assignment(**row) for row in reader)


def check_assignments(scheme: Scheme, assignments: Iterable[Assignment]) -> list[str]:
    """What is wrong with the assignments of a scheme, one sentence each.

    Only leaves carry facets, each value exists and stands once, a facet that allows one value has one, and every core
    leaf has a layer and at least one technology.
    """
    problems = []
    given: dict[tuple[str, str], list[str]] = {}
    for row in assignments:
        where = f"{scheme.id}: {row.code} {row.facet}={row.value}"
        if row.facet not in list_facets():
            problems.append(f"{where}: no such facet; known: {', '.join(list_facets())}")
        elif row.value not in load_facet(row.facet):
            problems.append(f"{where}: no such value; known: {', '.join(v.code for v in load_facet(row.facet).values)}")
        if row.code not in scheme or scheme.children(row.code):
            problems.append(f"{where}: {row.code} is not a leaf of the scheme")
        if not row.basis:
            problems.append(f"{where}: says no basis")
        given.setdefault((row.code, row.facet), []).append(row.value)
    for (code, facet), values in given.items():
        if len(set(values)) != len(values):
            problems.append(f"{scheme.id}: {code} has a value of {facet} twice")
        if facet in list_facets() and len(values) > 1 and not load_facet(facet).multiple:
            problems.append(f"{scheme.id}: {code} has {len(values)} values of {facet}; expected one")
    core = [c.code for c in scheme.codes if c.segment == "core" and not scheme.children(c.code)]
    problems += [f"{scheme.id}: leaf {c} has no {f}" for c in core for f in REQUIRED if (c, f) not in given]
    return problems


@cache
def assignments(scheme_id: str) -> tuple[Assignment, ...]:
    """Default facet values of the leaves of a scheme.

    Raises
    ------
    FacetError
        If there is no file for the scheme or :func:`check_assignments` finds anything.
    """
    path = ASSIGNMENTS / f"{scheme_id}.csv"
    if not path.is_file():
        raise FacetError(f"no facet assignments for {scheme_id!r}; known: {', '.join(list_assignments())}")
    rows = read_assignments(path)
    if problems := check_assignments(load_scheme(scheme_id), rows):
        raise FacetError("; ".join(problems[:5]))
    return rows


def list_assignments() -> list[str]:
    """Schemes whose leaves have facet values."""
    return sorted(p.stem for p in ASSIGNMENTS.glob("*.csv"))


def values_of(scheme_id: str, code: str, facet_id: str) -> tuple[FacetValue, ...]:
    """Default values of a facet for a leaf code, in the order of the file; empty where none is given."""
    facet = load_facet(facet_id)
    return tuple(facet.get(a.value) for a in assignments(scheme_id) if a.code == code and a.facet == facet_id)


def leaves_with(scheme_id: str, facet_id: str, value: str) -> tuple[str, ...]:
    """Leaf codes that take a value by default."""
    load_facet(facet_id).get(value)
    return tuple(a.code for a in assignments(scheme_id) if a.facet == facet_id and a.value == value)
