"""Small tables for the tests of disclosure control; exact algebra that shares no code with the package."""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import polars as pl

from etl.methods.disclosure import Loaded, Pattern, RuleSet, build_table

MONEY = pl.Decimal(20, 2)
REGION: Mapping[str, str | None] = {"N": None, "S": None, "N1": "N", "N2": "N", "S1": "S", "S2": "S"}
FLAT: Mapping[str, str | None] = {"a": None, "b": "_T", "c": None}
HIERARCHIES = {"region": REGION, "activity": FLAT}
LINKED = {"cross": ("region", "activity"), "regions": ("region",), "branch": ("region:1", "activity")}
GOOD = ["30", "30", "30"]
COUNT_ONLY = RuleSet(p_percent=None, singletons=False)


def contributions(rows: Iterable[tuple[Any, ...]], dims: Sequence[str] = ("region", "activity")) -> pl.DataFrame:
    """Rows of (codes…, contributor, value, observed)."""
    schema = {
        **dict.fromkeys(dims, pl.String),
        "contributor": pl.String,
        "value": pl.String,
        "observed": pl.Boolean,
    }
    texts = [(*row[:-2], str(row[-2]), row[-1]) for row in rows]
    frame = pl.DataFrame(texts, schema=schema, orient="row")
    return frame.with_columns(pl.col("value").cast(MONEY))


def groups(region: str, activity: str, values: Sequence[object], prefix: str = "g") -> list[tuple[Any, ...]]:
    """One observed contribution per value, each of a group of its own."""
    return [(region, activity, f"{prefix}-{region}{activity}{i}", v, True) for i, v in enumerate(values)]


def table_of(rows: Iterable[tuple[Any, ...]], tables: Mapping[str, Sequence[str]] | None = None, **kw: Any) -> Loaded:
    return build_table(contributions(rows), tables or LINKED, HIERARCHIES, "value", "contributor", "observed", **kw)


def status(pattern: Pattern, **codes: str) -> str:
    rows = pattern.frame
    for name, code in codes.items():
        rows = rows.filter(pl.col(name) == code)
    assert rows.height == 1, codes
    return str(rows["status"][0])


def members(pattern: Pattern) -> list[frozenset[int]]:
    """Atoms of every cell, from the codes, without the package's own incidence."""
    table, dims = pattern.table, pattern.table.spec.dims
    above = {s.name: dict(s.pairs) for s in table.spec.sources}
    atoms = table.frame.select(dims).unique().sort(dims).rows()
    found = []
    for cell in pattern.frame.select(dims).rows():
        inside = set()
        for i, atom in enumerate(atoms):
            lines = []
            for dim, code in zip(dims, atom, strict=True):
                line: list[str | None] = [code, "_T"]
                while (parent := above[dim][str(line[0])]) != "_T":
                    line.insert(0, parent)
                lines.append(line)
            if all(c in line for c, line in zip(cell, lines, strict=True)):
                inside.add(i)
        found.append(frozenset(inside))
    return found


def in_span(rows: Iterable[frozenset[int]], target: frozenset[int]) -> bool:
    """Whether the target's 0/1 vector is a rational combination of the rows: Gauss on fractions."""
    basis: dict[int, dict[int, Fraction]] = {}

    def reduce(vector: dict[int, Fraction]) -> dict[int, Fraction]:
        for pivot in sorted(basis):
            if factor := vector.get(pivot, Fraction(0)):
                for column, entry in basis[pivot].items():
                    vector[column] = vector.get(column, Fraction(0)) - factor * entry
        return {c: e for c, e in vector.items() if e}

    for row in rows:
        vector = reduce({c: Fraction(1) for c in row})
        if vector:
            pivot = min(vector)
            vector = {c: e / vector[pivot] for c, e in vector.items()}
            for other in basis.values():
                if factor := other.get(pivot, Fraction(0)):
                    for column, entry in vector.items():
                        other[column] = other.get(column, Fraction(0)) - factor * entry
            basis[pivot] = vector
    return not reduce({c: Fraction(1) for c in target})


def assert_no_exact_disclosure(pattern: Pattern) -> None:
    cells = list(zip(members(pattern), pattern.frame["status"], strict=True))
    published = sorted({m for m, s in cells if s == "published"}, key=sorted)
    for target in {m for m, s in cells if s == "primary"}:
        assert not in_span(published, target)
