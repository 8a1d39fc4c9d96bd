"""What a pass of editing did to the figures (审核影响): by variable, before and after."""

from collections.abc import Sequence
from typing import Final

import polars as pl

from etl.methods.editing.process import EditResult
from etl.methods.registry import method

FLAGS: Final = ("corrected", "imputed", "set_missing")


@method("editing.summary")
def editing_summary(
    before: pl.DataFrame, result: EditResult, variables: Sequence[str], weight: str | None = None
) -> pl.DataFrame:
    r"""Counts of changes and their effect on (weighted) totals.

    Parameters
    ----------
    before
        The table as it came in, same rows in the same order as ``result.values``.
    variables
        Numeric columns to report.
    weight
        Column of weights; none: each record counts once.

    Returns
    -------
    pl.DataFrame
        ``variable, records, returned, corrected, imputed, set_missing, editing_rate`` (values changed that had been returned,
        over values returned), ``imputation_rate`` (values imputed or derived where nothing was returned, over records),
        ``total_before, total_after`` (missing values left out: the two rest on different values), ``effect`` (after over
        before, minus 1; null on a total of zero).
    """
    weights = before[weight].cast(pl.Float64) if weight else pl.repeat(1.0, before.height, eager=True)
    rows = []
    for name in variables:
        changes = result.changes.filter(variable=name)
        counts = {flag: changes.filter(flag=flag).height for flag in FLAGS}
        first, last = (float((f[name].cast(pl.Float64) * weights).sum()) for f in (before, result.values))
        returned = before.height - before[name].null_count()
        edited = changes["original"].len() - changes["original"].null_count()
        rows.append(
            {
                "variable": name,
                "records": before.height,
                "returned": returned,
                **counts,
                "editing_rate": edited / returned if returned else None,
                "imputation_rate": changes["original"].null_count() / before.height if before.height else None,
                "total_before": first,
                "total_after": last,
                "effect": last / first - 1.0 if first else None,
            }
        )
    whole = dict.fromkeys(("records", "returned", *FLAGS), pl.Int64)
    parts = dict.fromkeys(("editing_rate", "imputation_rate", "total_before", "total_after", "effect"), pl.Float64)
    return pl.DataFrame(rows, schema={"variable": pl.String(), **whole, **parts})
