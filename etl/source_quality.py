"""What stands beside an indicator of a sample: its coefficient of variation, and the least sample a cell rests on."""

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
import polars as pl

from etl.dissemination import HIDDEN
from etl.methods.estimation.design import stratified_sample
from etl.methods.estimation.ratio import ratio
from etl.source_plan import Plan
from etl.source_rows import keep
from warehouse.source_spec import Sample

TOTAL = "_T"


def too_few_sampled(cells: pl.DataFrame, rolled: pl.DataFrame, sample: Sample, keys: Sequence[str]) -> pl.DataFrame:
    """Withhold cells that rest on fewer sampled persons than ``sample.least``, and another of their line.

    A line is a row of the table in one dimension, with its total; where one cell alone is withheld in it, the one that
    rests on the fewest persons besides goes too, so that a subtraction does not give the figure that is not reliable.
    ``keys``: the dimensions and, last, the period.
    """
    counted = rolled.group_by(keys).agg(sampled=pl.col(sample.column).sum())
    joined = cells.join(counted, on=keys, how="left", maintain_order="left")
    there = joined.filter(pl.col("status") != "empty").select(*keys, pl.col("sampled").fill_null(0))
    sampled: dict[tuple[str, ...], int] = {row[:-1]: row[-1] for row in there.iter_rows()}
    hidden = {key for key, persons in sampled.items() if persons < sample.least}
    while True:
        more = {key for at in range(len(keys) - 1) for key in _alone(sampled, hidden, at)} - hidden
        if not more:
            break
        hidden |= more
    hide = pl.Series([key in hidden for key in joined.select(keys).iter_rows()], dtype=pl.Boolean)
    return joined.with_columns(status=pl.when(hide).then(pl.lit("primary")).otherwise("status")).drop("sampled")


def _alone(
    sampled: Mapping[tuple[str, ...], int], hidden: Collection[tuple[str, ...]], at: int
) -> Iterator[tuple[str, ...]]:
    """Of each line along dimension ``at`` with one cell withheld, the next to withhold."""
    lines: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for key in sampled:
        lines.setdefault(key[:at] + key[at + 1 :], []).append(key)
    for line in lines.values():
        parts = [key for key in line if key[at] != TOTAL]
        shown = [key for key in parts if key not in hidden]
        total_shown = any(key[at] == TOTAL and key not in hidden for key in line)
        if total_shown and shown and len(parts) - len(shown) == 1:
            yield min(shown, key=lambda key: (sampled[key], key))


def stratified_cv(cells: pl.DataFrame, rows: pl.DataFrame, plan: Plan, dims: Sequence[str]) -> pl.DataFrame:
    """Coefficient of variation (per cent) in place of the share, of the cells whose share is shown and not zero."""
    shown = [
        _period_cv(own, rows.filter(pl.col("period") == period), plan, dims)
        for (period,), own in cells.partition_by("period", as_dict=True, maintain_order=True).items()
    ]
    return pl.concat(shown) if shown else cells


def _period_cv(cells: pl.DataFrame, rows: pl.DataFrame, plan: Plan, dims: Sequence[str]) -> pl.DataFrame:
    spec, part = plan.spec, plan.numerator.part
    known = rows.filter(pl.col(str(spec.variable)).is_not_null()).with_columns(
        __of=keep(dict(part.of) if part else {}),
        __in=keep(dict(part.inside) if part else {}),
    )
    w = pl.col(str(spec.variable)).cast(pl.Float64).sum()
    weight = known[str(spec.variable)].cast(pl.Float64).to_numpy()
    stratum = known[str(spec.stratum)].to_list()
    inside = (known["__in"] & known["__of"]).cast(pl.Float64).to_numpy()
    # Weights are units represented: those of a stratum add up to its population.
    sample = stratified_sample(stratum, dict(known.group_by(str(spec.stratum)).agg(w).iter_rows()))
    values: list[float | None] = []
    for row in cells.iter_rows(named=True):
        if row["status"] in HIDDEN or not row["value"]:
            values.append(None)
            continue
        domain = known["__of"].to_numpy().copy()
        for d in dims:
            if row[d] != TOTAL:
                domain &= (known[d] == row[d]).to_numpy()
        of = domain.astype(np.float64)
        cv = ratio(inside * of, of, sample, weight=weight, lonely="centre").cv
        values.append(None if cv is None else round(100 * cv, 2))
    shown = cells.with_columns(value=pl.Series(values, dtype=pl.Float64).cast(pl.Decimal(24, 2)))
    return shown.filter(pl.col("value").is_not_null() | pl.col("status").is_in(HIDDEN))
