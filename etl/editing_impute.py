"""Missing items of respondents (缺项插补): ratio of means by cell, then moved to satisfy the hard edits."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from etl.editing_errors import Errors
from etl.editing_plan import EditingPlan, Other
from etl.editing_work import KEY, Work, aligned
from etl.methods.editing.adjust import adjust_to_edits
from etl.methods.editing.linear import linear_edits
from etl.methods.editing.rules import Edit
from etl.methods.imputation.links import LinkOptions, imputation_links
from etl.methods.imputation.ratio_of_means import impute_ratio_of_means
from etl.remember import remembered

ALL = "all"
YEAR = 12
"""Months."""
TRIM_ABOVE = 20


def imputed(
    work: Work, plan: EditingPlan, edits: Sequence[Edit], others: Mapping[str, pl.DataFrame], errors: Errors
) -> None:
    """Fill the items that ``plan.impute`` names, in its order; a return without any item is left as it is.

    Flag ``imputed``; the detail gives the marker (ONS), the link, its pairs and the cell it comes from.
    """
    given = pl.any_horizontal(pl.col(list(plan.variables)).is_not_null())
    answered = work.rows.select(given).to_series()
    doubtful = {row for row, _ in errors.doubts}
    usable = pl.Series([i not in doubtful for i in range(work.rows.height)], dtype=pl.Boolean)
    filled: dict[str, list[str]] = {}
    for name, auxiliary in plan.impute.items():
        for record in _impute_item(work, plan, name, auxiliary, others, answered, usable):
            filled.setdefault(record, []).append(name)
    _adjusted(work, plan, edits, filled)


def _impute_item(
    work: Work, plan: EditingPlan, name: str, auxiliary: Other | None, others: Mapping[str, pl.DataFrame],
    answered: pl.Series, usable: pl.Series,
) -> list[str]:  # fmt: skip
    open_ = work.rows[name].is_null() & answered
    if not open_.any():
        return []
    known = aligned(work.rows, others, auxiliary, plan.period) if auxiliary else None
    frame = work.rows.select(
        pl.col("uscc").rank("dense").alias("unit"), pl.col(plan.period).cast(pl.String).alias("period"),
        pl.col("cell").fill_null(ALL), pl.col(name).cast(pl.Float64).alias("target"),
    ).with_columns(
        auxiliary=known if known is not None else pl.lit(None, dtype=pl.Float64), usable=usable, sampled=answered
    )  # fmt: skip
    parents = {cell: ALL for cell in frame["cell"].unique().sort() if cell != ALL}
    options = LinkOptions(
        periodicity=min(plan.lags), trim_lower=plan.trim, trim_upper=plan.trim, trim_above=TRIM_ABOVE,
        min_count=plan.min_pairs, parents=parents,
    )  # fmt: skip
    asked = frame["unit"].filter(open_).unique()
    marked = frame.with_columns(work.rows[KEY], open=open_)
    rows = impute_ratio_of_means(marked, options, units=asked, links_of=_links).rows.filter("open")
    step, done = plan.step(name), []
    for r in rows.filter(pl.col("value").is_not_null()).iter_rows(named=True):
        detail = f"{r['marker']}, link {r['link']:.4g}, {r['link_count']} pairs, cell {r['link_cell']}"
        work.note(r[KEY], name, round(r["value"] / step) * step, "missing", "imputed", detail)
        done.append(r[KEY])
    work.apply(plan)
    return done


def _links(
    answering: pl.DataFrame, options: LinkOptions, given: pl.DataFrame | None, wanted: pl.DataFrame
) -> pl.DataFrame:
    """Links, year by year: those of a year rest on its periods and the one on either side, and are kept while these stay."""
    if options.weight != 1:  # mixed with links of another year
        return imputation_links(answering, options, given, wanted)
    year = pl.col("step") // (YEAR // options.periodicity)
    found = []
    for _, asked in wanted.unique().sort("step", "cell").group_by(year, maintain_order=True):
        first, last = int(asked["step"][0]), int(asked["step"][-1])
        near = answering.filter(pl.col("step").is_between(first - 1, last + 1))
        near = near.select(pl.col("unit").rank("dense"), "step", "cell", "y", "x", "usable")

        def make(near: pl.DataFrame = near, asked: pl.DataFrame = asked) -> dict[str, pl.DataFrame]:
            return {"links": imputation_links(near, options, given, asked)}

        found.append(remembered("imputation_links", (options, near, asked, given), make)["links"])
    return pl.concat(found).sort("cell", "step")


def _adjusted(work: Work, plan: EditingPlan, edits: Sequence[Edit], filled: Mapping[str, list[str]]) -> None:
    """Imputed values moved as little as the hard edits ask; where they cannot be met the value becomes missing again."""
    rows = linear_edits(edits) if edits else ()
    names = tuple(dict.fromkeys(v for e in rows for v in e.coefficients))
    touched = {k: free for k, done in filled.items() if (free := [v for v in done if v in names])}
    if not touched:
        return
    table = work.rows.select(pl.col(names).cast(pl.Float64))
    for record, free in touched.items():
        values = np.array([np.nan if x is None else x for x in table.row(work.place(record))])
        known = np.isfinite(values)
        here = [names[j] for j in np.flatnonzero(known)]
        may = np.array([v in free for v in here])
        asked = [e for e in rows if set(e.coefficients) <= set(here)]
        moved = adjust_to_edits(values[known], may, asked, here)
        for j, name in enumerate(here):
            if may[j] and (moved is None or moved[j] != values[known][j]):
                value = None if moved is None else float(moved[j])
                flag, detail = (
                    ("set_missing", "no value satisfies the edits")
                    if moved is None
                    else ("imputed", "moved to the edits")
                )
                work.note(record, name, value, "missing", flag, detail)
    work.apply(plan)
