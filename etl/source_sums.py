"""Cells that need no pattern: aggregates that name nobody, and counts of units no sum relates."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Final

import polars as pl

from etl.source_family import MONEY, Codes, Family

TOTAL: Final = "_T"
PERIOD: Final = "period"


def rollups(rows: pl.DataFrame, dims: Sequence[str]) -> pl.DataFrame:
    """Rows repeated for every subset of dimensions set to the total."""
    subsets = [c for size in range(len(dims) + 1) for c in combinations(dims, size)]
    return pl.concat([rows.with_columns(pl.lit(TOTAL).alias(d) for d in subset) for subset in subsets])


def _grid(dims: Sequence[str], parents: Mapping[str, Iterable[str]]) -> pl.DataFrame:
    grid = pl.DataFrame({"__": [0]})
    for d in dims:
        codes = [TOTAL, *parents[d]] if d != PERIOD else list(parents[d])
        grid = grid.join(pl.DataFrame({d: codes}), how="cross")
    return grid.drop("__")


def plain_cells(micro: pl.DataFrame, family: Family, codes: Mapping[str, Iterable[str]]) -> pl.DataFrame:
    """``table, dims, period, value, status`` of aggregates that name nobody: all is shown, a cell without rows is zero.

    ``codes`` of every dimension and part, and the periods under ``period``.
    """
    own = micro.drop_nulls("value")
    cells = []
    for name, dims in family.tables().items():
        keys = [*dims, PERIOD]
        rows = own.select(*keys, "value")
        for part in (d for d in dims if not d.startswith("d_")):
            whole = rows.filter(pl.col(part).is_in(["in", "out"])).with_columns(pl.lit("of").alias(part))
            rows = pl.concat([rows, whole, rows.with_columns(pl.lit(TOTAL).alias(part))])
        summed = rollups(rows, [d for d in dims if d.startswith("d_")]).group_by(keys).agg(pl.col("value").sum())
        grid = _grid(keys, codes).join(summed, on=keys, how="left", maintain_order="left")
        cells.append(grid.with_columns(table=pl.lit(name)))
    some = pl.col("value") > 0
    return pl.concat(cells, how="diagonal").with_columns(
        value=pl.col("value").fill_null(0).cast(MONEY),
        status=pl.when(some.fill_null(False)).then(pl.lit("published")).otherwise(pl.lit("empty")),
    )


def distinct_cells(rows: pl.DataFrame, family: Family, codes: Codes, limit: int) -> pl.DataFrame | None:
    """Cells of a count of units that stand in several cells; None where none does (then the counts add up).

    No sum relates them, so that no pattern could protect them: with a ``limit`` above one only totals of so many groups
    are shown.
    """
    dims, unit = [f"d_{d}" for d in codes], str(family.plans[0].spec.contributor)
    if rows.select(unit, *dims).unique().height == rows[unit].n_unique():
        return None
    parts = []
    for name, shown in family.tables().items():
        counted = rollups(rows.select(unit, "contributor", *shown), shown).group_by(shown, maintain_order=True)
        cells = counted.agg(value=pl.col(unit).n_unique().cast(MONEY), n=pl.col("contributor").n_unique())
        total = pl.all_horizontal(pl.col(d) == TOTAL for d in shown)
        status = (
            pl.when(pl.col("n") < limit).then(pl.lit("primary"))
            .when(~total & (limit > 1)).then(pl.lit("secondary")).otherwise(pl.lit("published"))
        )  # fmt: skip
        parts.append(cells.with_columns(table=pl.lit(name), status=status).drop("n"))
    return pl.concat(parts, how="diagonal").with_columns(pl.col(dims).fill_null(TOTAL))
