"""What a person must look at (人工核实清单): soft edits, doubts and gaps, ordered by effect on the published figure."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import polars as pl

from etl.editing_plan import EditingPlan
from etl.editing_work import KEY, Work
from etl.methods.editing.rules import Edit, check_edits
from etl.methods.editing.selective import selective_score
from etl.methods.imputation.links import months_of

FOLLOWUP: Final = {
    "uscc": pl.String, "period": pl.String, "reason": pl.String, "severity": pl.String, "variables": pl.String,
    "detail": pl.String, "score": pl.Float64, "needs_review": pl.Boolean,
}  # fmt: skip
SUSPICIOUS, MISSING, ZERO = "suspicious", "item_missing", "zero_after_value"


def _scores(work: Work, plan: EditingPlan) -> pl.DataFrame:
    """``record, variable, score, fell``: percent of the period's total between a value and the unit's own last period, and

    whether the value is zero after one that was not.
    """
    lag = max(plan.lags)
    unit, month = work.rows["uscc"].rank("dense").cast(pl.Int64), months_of(work.rows[plan.period])
    now = pl.DataFrame({"u": unit, "m": month, "at": pl.int_range(unit.len(), eager=True)})
    before = now.select("u", pl.col("m") + lag, "at")
    place = now.select("u", "m").join(before, on=["u", "m"], how="left", maintain_order="left")["at"]
    parts = []
    for name in plan.variables:
        value = work.rows[name].cast(pl.Float64)
        last = value.gather(place)
        total = pl.DataFrame({"m": month, "x": value}).select(pl.col("x").sum().over("m")).to_series()
        x, p, totals = (c.fill_null(np.nan).to_numpy().astype(np.float64) for c in (value, last, total))
        score = selective_score(x, p, np.ones(x.size), totals)
        fell = ((value == 0) & (last != 0)).fill_null(False)
        parts.append(
            pl.DataFrame({KEY: work.rows[KEY], "score": pl.Series(score).fill_nan(None), "fell": fell}).select(
                KEY, variable=pl.lit(name), score="score", fell="fell"
            )
        )
    return pl.concat(parts)


def followups(
    work: Work, plan: EditingPlan, edits: Sequence[Edit], doubts: Mapping[tuple[str, str], str]
) -> pl.DataFrame:
    """:data:`FOLLOWUP`, highest score first within a period.

    ``reason``: the edit that fails after editing, ``suspicious`` (a gross deviation: left, replaced until it is
    confirmed, or undone though not certain), ``zero_after_value`` (of an effect that counts) or ``item_missing``
    (an item that is imputed or published, left without a value). ``score``: percent of the period's total that may move (selective editing), null where the unit has no
    earlier period; ``needs_review``: the score reaches the plan's threshold, a hard edit fails, there is no score, or a value in
    doubt was replaced (the score is that of what stands now, which is near the unit's last value).
    """
    failed = check_edits(work.rows, edits, [KEY]).filter(outcome="failed")
    listed = failed.select(KEY, "severity", "variables", reason="edit", detail="source")
    gaps = [
        {KEY: r, "severity": "soft", "variables": v, "reason": MISSING, "detail": ""}
        for v in dict.fromkeys((*plan.impute, *plan.totals))
        for r in work.rows.filter(pl.col(v).is_null())[KEY]
    ]
    gaps += [
        {KEY: r, "severity": "soft", "variables": v, "reason": SUSPICIOUS, "detail": d} for (r, v), d in doubts.items()
    ]
    scores = _scores(work, plan)
    gaps += [
        {KEY: r, "severity": "soft", "variables": v, "reason": ZERO, "detail": ""}
        for r, v in scores.filter(pl.col("fell") & (pl.col("score") >= plan.review_score))
        .select(KEY, "variable")
        .rows()
    ]
    listed = pl.concat([listed, pl.DataFrame(gaps, schema=listed.schema)]).with_row_index("_row")
    each = listed.select("_row", KEY, variable=pl.col("variables").str.split(" ")).explode("variable")
    best = each.join(scores, on=[KEY, "variable"], how="left").group_by("_row").agg(pl.col("score").max())
    replaced = pl.struct(KEY, "variables").is_in(
        [{KEY: r, "variables": v} for r, v in doubts if (r, v) in work.changes]
    )
    severe = (pl.col("severity") == "hard") | (pl.col("score") >= plan.review_score).fill_null(True)
    severe |= (pl.col("reason") == SUSPICIOUS) & replaced
    return (
        listed.join(best, on="_row", how="left")
        .with_columns(
            uscc=pl.col(KEY).str.split("|").list.get(0), period=pl.col(KEY).str.split("|").list.get(1),
            needs_review=severe,
        )
        .select(pl.col(c).cast(t) for c, t in FOLLOWUP.items())
        .sort("period", "score", "uscc", "reason", "variables", descending=[False, True, False, False, False], nulls_last=False)
    )  # fmt: skip
