"""数据质量, the part on the three quantities: membership at other thresholds, what AI revenue rests on, its interval."""

from collections.abc import Callable
from typing import Any

import polars as pl
from dash import html

from dashboard.components.block import badge, plain_block
from dashboard.components.table import plain_table
from dashboard.context import Context
from warehouse import format as fmt
from warehouse.read import UnknownName

TABLE = "meta_quantity_quality"
Row = dict[str, Any]
Words = Callable[[Row], str | html.Span]
YI = 1e8
"""Yuan in one 亿元."""


def _percent(row: Row) -> str:
    return f"{fmt.percent(row['value'])}%"


def _interval(row: Row, unit: float, digits: int) -> html.Span:
    """A figure over its interval: side by side, those of seven years are wider than a page."""
    value, lower, upper = (f"{row[k] / unit:,.{digits}f}" for k in ("value", "lower", "upper"))
    return html.Span([value, " ", html.Br(), f"[{lower}, {upper}]"])


def _count(row: Row) -> html.Span:
    return _interval(row, 1.0, 0)


def _money(row: Row) -> html.Span:
    return _interval(row, YI, 2)


def _cell(row: Row | None, words: Words) -> str | html.Span:
    if row is None:
        return fmt.MISSING
    return fmt.WITHHELD if row["value"] is None else words(row)


def _table(ctx: Context, frame: pl.DataFrame, metrics: tuple[str, ...], head: str, words: Words) -> list[Any]:
    """Scopes by year; a sentence where something is withheld."""
    own = frame.filter(pl.col("metric").is_in(metrics))
    found = {(r["metric"], r["scope"], r["period"]): r for r in own.iter_rows(named=True)}
    periods = sorted(own["period"].unique().to_list())
    scopes = sorted({(metrics.index(m), s, m) for m, s, _ in found})
    labels = {(r["metric"], r["scope"]): r[f"label_{ctx.lang}"] for r in found.values()}
    rows = [
        [labels[m, scope], *(_cell(found.get((m, scope, p)), words) for p in periods)] for _, scope, m in scopes
    ]  # fmt: skip
    parts: list[Any] = [plain_table([ctx.t(head), *periods], rows, range(1, len(periods) + 1))]
    if own["value"].null_count():
        parts.append(html.P(ctx.t("quantity_withheld"), className="hint"))
    return parts


def _members(ctx: Context, frame: pl.DataFrame, extra: Any) -> html.Section:
    confirmed = _table(ctx, frame, ("member_confirmed_share",), "quality_confirmed", _percent)
    body = [
        html.P(ctx.t("quality_members_hint"), className="lead"),
        *_table(ctx, frame, ("member_count",), "col_threshold", _count),
        *confirmed[:1],
    ]
    return plain_block(ctx.t("quality_members"), body, extra=extra, wide=True)


def _rungs(ctx: Context, frame: pl.DataFrame, extra: Any) -> html.Section:
    body = [
        html.P(ctx.t("quality_rungs_hint"), className="lead"),
        *_table(ctx, frame, ("ai_share_rung",), "col_rung", _percent),
    ]
    unresolved = frame.filter((pl.col("metric") == "unresolved_units") & (pl.col("value") > 0)).sort("period")
    if unresolved.height:
        counts = ", ".join(f"{r['period']} {r['value']:,.0f}" for r in unresolved.iter_rows(named=True))
        body.append(html.P(ctx.t("unresolved_units", counts=counts), className="hint"))
    return plain_block(ctx.t("quality_rungs"), body, extra=extra, wide=True)


def _revenue(ctx: Context, frame: pl.DataFrame, extra: Any) -> html.Section:
    body = [
        html.P(ctx.t("quality_revenue_interval_hint"), className="lead"),
        *_table(ctx, frame, ("ai_revenue", "domain_revenue"), "indicator", _money),
    ]
    return plain_block(ctx.t("quality_revenue_interval"), body, extra=extra, wide=True)


def sections(ctx: Context) -> list[html.Section]:
    """The blocks; none in a release made before they existed."""
    try:
        frame = ctx.release.table(TABLE)
    except UnknownName:
        return []
    extra = badge(ctx, synthetic=ctx.release.info.is_synthetic)
    return [draw(ctx, frame, extra) for draw in (_members, _rungs, _revenue)]
