"""What stands beside an indicator of a sample: its coefficient of variation, and the least sample a cell rests on."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from etl.dissemination import HIDDEN
from etl.methods.stratified import stratified_share
from etl.source_plan import Plan
from etl.source_rows import keep
from warehouse.source_spec import Sample

TOTAL = "_T"


def too_few_sampled(cells: pl.DataFrame, rolled: pl.DataFrame, sample: Sample, dims: Sequence[str]) -> pl.DataFrame:
    """Withhold the breakdown of a period when some cell of it rests on fewer sampled persons than ``sample.least``.

    One withheld cell could be computed from the total and the others, so they go together; the total stays if it is large
    enough itself.
    """
    counted = rolled.group_by(dims).agg(sampled=pl.col(sample.column).sum())
    few = pl.col("sampled").fill_null(0) < sample.least
    joined = cells.join(counted, on=dims, how="left", maintain_order="left")
    present = joined.filter(pl.col("status") != "empty")
    total = pl.all_horizontal(pl.col(d) == TOTAL for d in dims)
    below = present.filter(~total & few).height > 0
    hide = (few | (~total & below)) & (pl.col("status") != "empty")
    return joined.with_columns(status=pl.when(hide).then(pl.lit("primary")).otherwise("status")).drop("sampled")


def stratified_cv(cells: pl.DataFrame, rows: pl.DataFrame, plan: Plan, dims: Sequence[str]) -> pl.DataFrame:
    """Coefficient of variation (per cent) in place of the share, of the cells whose share is shown and not zero."""
    spec, part = plan.spec, plan.numerator.part
    known = rows.filter(pl.col(str(spec.variable)).is_not_null()).with_columns(
        __of=keep(dict(part.of) if part else {}),
        __in=keep(dict(part.inside) if part else {}),
    )
    weight = known[str(spec.variable)].cast(pl.Float64).to_numpy()
    stratum = known[str(spec.stratum)].to_list()
    inside = known["__in"].to_numpy()
    values: list[float | None] = []
    for row in cells.iter_rows(named=True):
        if row["status"] in HIDDEN or not row["value"]:
            values.append(None)
            continue
        domain = known["__of"].to_numpy().copy()
        for d in dims:
            if row[d] != TOTAL:
                domain &= (known[d] == row[d]).to_numpy()
        cv = stratified_share(stratum, weight, inside, domain).cv
        values.append(None if np.isnan(cv) else round(100 * cv, 2))
    shown = cells.with_columns(value=pl.Series(values, dtype=pl.Float64).cast(pl.Decimal(24, 2)))
    return shown.filter(pl.col("value").is_not_null() | pl.col("status").is_in(HIDDEN))
