"""Cuts of the contributions behind the core cubes by further codes: protected with the core cubes in one system.

A definition that nests in another (what came and what went of a total, the enterprises at a higher threshold, the revenue by what it
rests on) is a differencing attack on it. So its cubes are not protected for themselves: what the core cubes publish is known, what
they hide stays hidden, and both are audited together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from etl.clearing import clear_beside
from etl.dissemination import CUBES, DIMENSIONS, HIDDEN, TOTAL, hierarchies
from etl.methods.disclosure import Certificate, Loaded, Pattern, RuleSet, build_table, protect
from etl.methods.disclosure.beside import Earlier
from etl.methods.disclosure.linked import FIRST, Audited, Kind, Parents, audit_beside
from etl.release_ledger import Place, withdraw


@dataclass(frozen=True)
class Cut:
    """``tables``: name → dimensions; ``parents``: hierarchies of those that the core cubes have not.

    ``known``: dimension of the cut → codes whose city total readers know where the city total itself is published.
    """

    tables: Mapping[str, Sequence[str]]
    parents: Mapping[str, Parents]
    known: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def and_also(self, other: "Cut") -> "Cut":
        """Both cuts of the same contributions."""
        return Cut({**self.tables, **other.tables}, {**self.parents, **other.parents}, {**self.known, **other.known})


@dataclass(frozen=True)
class ClearedCut:
    """``frame``: every cell of the cut's cubes with its status (restricted); ``shown``: whether any may be shown."""

    frame: pl.DataFrame
    certificate: Certificate
    shown: bool


def _decided(table: Loaded, core: pl.DataFrame) -> tuple[list[int], list[int]]:
    """Variables the core cubes publish and hide."""
    key = ["table", *DIMENSIONS]
    cells = table.problem.cells.filter(pl.col("table").is_in(list(CUBES)) & (pl.col("variable") >= 0))
    both = cells.join(core.select(*key, "status"), on=key, how="left", maintain_order="left")
    found = [both.filter(pl.col("status").is_in(s))["variable"] for s in (["published"], list(HIDDEN))]
    return found[0].unique().sort().to_list(), found[1].unique().sort().to_list()


def _known(table: Loaded, core: pl.DataFrame, cut: Cut) -> list[int]:
    """Variables of a cut that the published city total gives away with another published figure."""
    at_city = pl.all_horizontal(pl.col(d) == TOTAL for d in DIMENSIONS)
    if not cut.known or core.filter(at_city & (pl.col("status") == "published")).is_empty():
        return []
    named = pl.any_horizontal(pl.col(dim).is_in(list(codes)) for dim, codes in cut.known.items())
    return table.problem.cells.filter(at_city & named & (pl.col("variable") >= 0))["variable"].to_list()


def joint_pattern(
    kind: Kind, micro: pl.DataFrame, core: pl.DataFrame, cut: Cut, limits: RuleSet, earlier: Earlier = FIRST
) -> Pattern:
    """The cubes of a cut beside the core cubes as they are released.

    ``micro``: contributions with ``ai_class, district, size``, the dimensions of the cut, ``contributor, value,
    observed``; ``core``: the protected cells of the same contributions.
    """
    there = set(core["table"])
    cubes = {name: dims for name, dims in CUBES.items() if name in there}
    table = build_table(
        micro, {**cubes, **cut.tables}, {**hierarchies(), **cut.parents}, "value", "contributor", "observed", kind,
        rules=limits,
    )  # fmt: skip
    shown, shut = _decided(table, core)
    return protect(table, limits, sorted({*shown, *_known(table, core, cut)}), shut, earlier)


def clear_cut(
    place: Place, kind: Kind, micro: pl.DataFrame, core: pl.DataFrame, cut: Cut, limits: RuleSet, seed: int
) -> ClearedCut:
    """Protect a cut beside the core cubes and the releases before; where no pattern passes nothing of it is shown."""

    def protected(earlier: Earlier) -> tuple[Pattern, Audited]:
        pattern = joint_pattern(kind, micro, core, cut, limits, earlier)
        return pattern, audit_beside(pattern, limits, seed, earlier)

    cleared = clear_beside(place, "cut", (kind, micro, core, cut, limits, seed), protected)
    shown = cleared.certificate.passed and cleared.certificate.certified
    if not shown:
        withdraw(place)
    lost = ["unoffered"] if shown else ["unoffered", "published"]
    frame = cleared.frame.filter(pl.col("table").is_in(list(cut.tables))).with_columns(
        status=pl.when(pl.col("status").is_in(lost)).then(pl.lit("secondary")).otherwise("status")
    )
    return ClearedCut(frame, cleared.certificate, shown)
