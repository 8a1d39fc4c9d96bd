"""From contributions to cleared cubes: protect all tables of an indicator and year jointly, audit, shape (GSBPM phase 7)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from etl.methods.disclosure import Certificate, Pattern, Rules, audit, build_table, protect
from etl.methods.growth import yoy
from taxonomy.scheme import load_scheme
from warehouse.catalogue import Indicator

TOTAL = "_T"
MONEY = pl.Decimal(24, 2)
DIMENSIONS = ("ai_class", "district", "size")
#: dataset → the dimensions it shows (the rest are totals); ``ai_class:branch`` shows branches and the total only.
CUBES: Mapping[str, tuple[str, ...]] = {
    "core_leaf_year": ("ai_class",),
    "core_leaf_size": ("ai_class", "size"),
    "core_branch_district": ("ai_class:1", "district"),
    "core_branch_size": ("ai_class:1", "size"),
}


@dataclass(frozen=True)
class Cleared:
    """Result of one indicator and year: every cell with its status (restricted) and the audit's certificate."""

    indicator: str
    period: str
    pattern: Pattern
    certificate: Certificate


def hierarchies() -> Mapping[str, Mapping[str, str | None]]:
    """Parent of every code, by dimension."""
    core = {c.code: c.parent for c in load_scheme("ai_industry_2026").codes if c.segment == "core"}
    district = {c.code: None for c in load_scheme("district_sz").codes if c.level_name != "overlay_zone"}
    size: dict[str, str | None] = dict.fromkeys("LMSW")
    return {"ai_class": core, "district": district, "size": size}


def clear(
    contributions: pl.DataFrame, indicators: Sequence[Indicator], rules: Rules, seed: int
) -> Iterator[Cleared]:
    """Protect and audit every indicator and year, in order.

    ``contributions`` as :func:`etl.analysis.contributions` returns them; gaps (null) are left out and counted there.
    """
    known = contributions.filter(pl.col("value").is_not_null())
    for indicator in indicators:
        rows = known.filter(pl.col("indicator") == indicator.id)
        for year in sorted(rows["ref_year"].unique().to_list()):
            micro = rows.filter(pl.col("ref_year") == year).select(*DIMENSIONS, "contributor", "value", "observed")
            table = build_table(
                micro, CUBES, hierarchies(), value="value", contributor="contributor", observed="observed",
                kind=indicator.kind,
            )  # fmt: skip
            pattern = protect(table, rules)
            yield Cleared(indicator.id, str(year), pattern, audit(pattern, rules, seed=seed))
