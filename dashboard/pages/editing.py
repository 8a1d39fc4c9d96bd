"""数据编辑: rates, rules hit and effects of editing and imputation, by source and period; aggregates alone."""

from collections.abc import Callable
from typing import Any

import polars as pl
from dash import html

from dashboard.components.block import badge, behind, graph, plain_block
from dashboard.components.controls import page_head, tabs
from dashboard.components.table import plain_table
from dashboard.context import Context
from dashboard.figures.editing_charts import effect_bars, rate_lines, rule_bars
from dashboard.pages.base import Page
from warehouse import format as fmt
from warehouse.read import UnknownName

TABLE = "meta_editing"
DEFAULT = "ai_survey_annual"
Words = Callable[[float], str]


def _percent(value: float) -> str:
    return f"{100 * value:,.2f}%"


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _cell(found: dict[tuple[str, str], float | None], key: tuple[str, str], words: Words) -> str:
    if key not in found:
        return fmt.MISSING
    value = found[key]
    return fmt.WITHHELD if value is None else words(value)


def _values(frame: pl.DataFrame, metric: str) -> dict[tuple[str, str], float | None]:
    rows = frame.filter(metric=metric).select("scope", "period", "value").iter_rows()
    return {(scope, period): value for scope, period, value in rows}


def _behind(ctx: Context, table: Any, values: dict[tuple[str, str], float | None]) -> list[Any]:
    """The table folded under a chart, and a sentence where something is withheld."""
    parts: list[Any] = [behind(ctx, table)]
    if None in values.values():
        parts.append(html.P(ctx.t("editing_withheld"), className="hint"))
    return parts


def _labels(ctx: Context, frame: pl.DataFrame, metric: str) -> dict[str, str]:
    rows = frame.filter(metric=metric).unique("scope", maintain_order=True)
    # An item of a form has no English name of its own there, only its identifier.
    return {
        r["scope"]: ctx.value(r["label_zh"]) if r[f"label_{ctx.lang}"] == r["scope"] else r[f"label_{ctx.lang}"]
        for r in rows.iter_rows(named=True)
    }


def _by_period(
    ctx: Context, head: str, labels: dict[str, str], periods: list[str], values: Any, words: Words
) -> html.Div:
    rows = [[label, *(_cell(values, (scope, p), words) for p in periods)] for scope, label in labels.items()]
    return plain_table([ctx.t(head), *periods], rows, range(1, len(periods) + 1))


def _rates(ctx: Context, frame: pl.DataFrame, periods: list[str], extra: Any) -> html.Section:
    names = {m: ctx.t(m) for m in ("editing_rate", "imputation_rate")}
    values = {(m, p): v for m in names for (_, p), v in _values(frame, m).items()}
    title = ctx.t("editing_rates")
    chart = rate_lines(periods, [(name, [values.get((m, p)) for p in periods]) for m, name in names.items()])
    counts = {("returns", p): v for (_, p), v in _values(frame, "returns").items()}
    rows = [
        [p, _cell(counts, ("returns", p), _count), *(_cell(values, (m, p), _percent) for m in names)] for p in periods
    ]
    table = plain_table([ctx.t("period"), ctx.t("returns_edited"), *names.values()], rows, (1, 2, 3))
    body = [
        html.P(ctx.t("editing_rates_hint"), className="lead"),
        graph(chart, title),
        *_behind(ctx, table, values),
    ]
    return plain_block(title, body, extra=extra, wide=True)


def _rules(ctx: Context, frame: pl.DataFrame, periods: list[str], extra: Any) -> html.Section:
    title, values, labels = (
        ctx.t("editing_rules"), _values(frame, "rule_units"), _labels(ctx, frame, "rule_units")
    )  # fmt: skip
    if not values:
        return plain_block(title, [html.P(ctx.t("editing_nothing"), className="lead")], extra=extra)
    sums = {s: sum(v or 0.0 for (scope, _), v in values.items() if scope == s) for s in labels}
    shown = [s for s in labels if sums[s]]
    charts = [graph(rule_bars([labels[s] for s in shown], [sums[s] for s in shown]), title)] if shown else []
    table = _by_period(ctx, "col_rule", labels, periods, values, _count)
    body = [html.P(ctx.t("editing_rules_hint"), className="lead"), *charts, *_behind(ctx, table, values)]
    return plain_block(title, body, extra=extra)


def _effects(ctx: Context, frame: pl.DataFrame, periods: list[str], extra: Any) -> html.Section:
    title, values, labels = ctx.t("editing_effect"), _values(frame, "effect"), _labels(ctx, frame, "effect")
    chart = effect_bars(periods, [(label, [values.get((s, p)) for p in periods]) for s, label in labels.items()])
    table = _by_period(ctx, "indicator", labels, periods, values, _percent)
    body = [html.P(ctx.t("editing_effect_hint"), className="lead"), graph(chart, title), *_behind(ctx, table, values)]
    return plain_block(title, body, extra=extra, wide=True)


def _followups(ctx: Context, frame: pl.DataFrame, periods: list[str], extra: Any) -> html.Section:
    values, labels = _values(frame, "followup_units"), _labels(ctx, frame, "followup_units")
    body: list[Any] = [html.P(ctx.t("editing_nothing"), className="lead")]
    if values:
        body = [_by_period(ctx, "col_reason", labels, periods, values, _count)]
        if None in values.values():
            body.append(html.P(ctx.t("editing_withheld"), className="hint"))
    return plain_block(ctx.t("editing_followup"), body, extra=extra)


def render(ctx: Context) -> Any:
    """The page; a sentence in place of the blocks for a release made before there was a summary of editing."""
    try:
        frame = ctx.release.table(TABLE)
    except UnknownName:
        frame = pl.DataFrame()
    head = page_head(ctx.t("page_editing"), ctx.t("editing_lead"))
    if frame.is_empty():
        return html.Div([head, html.P(ctx.t("editing_none"), className="lead")])
    titles = dict(frame.select("source_id", f"source_{ctx.lang}").unique(maintain_order=True).iter_rows())
    chosen = ctx.choice("source", list(titles), DEFAULT if DEFAULT in titles else next(iter(titles)))
    own = frame.filter(source_id=chosen)
    periods = sorted(own["period"].unique().to_list())
    extra = badge(ctx, synthetic=ctx.release.info.is_synthetic)
    blocks = [draw(ctx, own, periods, extra) for draw in (_rates, _effects, _rules, _followups)]
    return html.Div([head, tabs(ctx, "source", list(titles.items()), chosen), html.Div(blocks, className="grid")])


PAGE = Page("/editing", "page:editing", "page_editing", "nav_basis", render)
