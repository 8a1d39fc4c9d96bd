"""数据质量, the part on the surveys' process: response, imputation, accuracy, timeliness, punctuality (ESS indicators)."""

from typing import Any

import polars as pl
from dash import html

from dashboard.components.block import badge, plain_block
from dashboard.components.table import plain_table
from dashboard.context import Context
from dashboard.reference import table_or_none
from warehouse import format as fmt

TABLE = "meta_process_quality"
RESPONSE = (
    "coverage_rate", "over_coverage_rate", "unit_nonresponse_rate", "item_nonresponse_rate", "imputation_rate",
    "imputation_rate_of_value", "editing_rate", "cv",
)  # fmt: skip
COLLECTION = ("rows", "quarantine_rate", "correction_rate", "return_days")
DATES = ("first_results_days", "punctuality_days")


def _text(row: dict[str, Any]) -> str:
    if row["unit"] == "share":
        return f"{fmt.percent(row['value'])}%"
    return f"{row['value']:,.0f}"


def _table(ctx: Context, frame: pl.DataFrame, indicators: tuple[str, ...], *, variables: bool, newest: int) -> Any:
    """Sources and periods down, indicators across; the newest periods of each source."""
    own = frame.filter(pl.col("indicator").is_in(indicators))
    found = {(r["source"], r["period"], r["variable"], r["indicator"]): r for r in own.iter_rows(named=True)}
    keys = sorted({k[:3] for k in found})
    recent = {s: sorted({p for a, p, _ in keys if a == s})[-newest:] for s, _, _ in keys}
    used = [i for i in indicators if any(k[3] == i for k in found)]
    rows = [
        [_source(ctx, s), p, *([ctx.t(f"var_{v}") if v else ctx.t("total")] if variables else []),
         *[_text(found[s, p, v, i]) if (s, p, v, i) in found else fmt.NOT_APPLICABLE for i in used]]
        for s, p, v in keys if p in recent[s]
    ]  # fmt: skip
    heads = [ctx.t("col_source"), ctx.t("period"), *([ctx.t("col_variable")] if variables else [])]
    first = len(heads)
    return plain_table([*heads, *[ctx.t(f"ess_{i}") for i in used]], rows, range(first, first + len(used)))


def _source(ctx: Context, source: str) -> str:
    """The survey's title, or the dataset's."""
    runs = ctx.release.table("meta_source_run").filter(pl.col("source_id") == source)
    if runs.height:
        return str(runs["title" if ctx.lang == "zh" else "title_en"][0])
    known = {d.id: d for d in ctx.release.datasets()}
    return ctx.name(known[source], "title") if source in known else source


def sections(ctx: Context) -> list[html.Section]:
    """The blocks; none in a release made before they existed."""
    frame = table_or_none(ctx, TABLE)
    if frame is None:
        return []
    extra = badge(ctx, synthetic=ctx.release.info.is_synthetic)
    response = [html.P(ctx.t("ess_hint"), className="lead"), _table(ctx, frame, RESPONSE, variables=True, newest=3)]
    collection = [
        html.P(ctx.t("ess_collection_hint"), className="lead"),
        _table(ctx, frame, COLLECTION, variables=False, newest=2),
    ]
    dates = [html.P(ctx.t("ess_dates_hint"), className="lead"), _table(ctx, frame, DATES, variables=False, newest=1)]
    return [
        plain_block(ctx.t("ess_title"), response, extra=extra, wide=True),
        plain_block(ctx.t("ess_collection"), collection, extra=extra, wide=True),
        plain_block(ctx.t("ess_dates"), dates, extra=extra),
    ]
