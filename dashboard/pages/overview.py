"""总览: headline indicators, branches over the years, published figures beside them (never mixed)."""

from typing import Any

import polars as pl
from dash import dcc, html

from dashboard.components.block import badge, block, graph, plain_block
from dashboard.components.cards import headline, stat
from dashboard.components.controls import page_head, select, tabs
from dashboard.components.table import plain_table
from dashboard.context import Context
from dashboard.data import CORE, branches, cube, two_way, years
from dashboard.figures.charts import lines, stacked_years
from dashboard.pages import growth
from dashboard.pages.base import Page
from warehouse.catalogue import TOTAL
from warehouse.cube import Periods


def _trend(ctx: Context, indicator: str, title: str) -> html.Section:
    codes = tuple(code for code, _ in branches(ctx))
    found = cube(ctx, "core_leaf_year", indicator, {"ai_class": (TOTAL, *codes)})
    model = two_way(ctx, found, "ai_class", "period")
    chart = stacked_years(model) if indicator == "ai_enterprises" else lines(model, skip=("_T",))
    return block(ctx, title, [graph(chart, title)], model=model, selection=found.selection)


def _published(ctx: Context) -> html.Section:
    frame = ctx.release.table("public_published_figure")
    scope = ctx.choice("region", ["sz", "all"], "sz")
    if scope == "sz":
        frame = frame.filter(pl.col("region").str.contains("深圳"))
    rows = [
        [
            r["period"], ctx.value(r["region"]), ctx.value(r["indicator"]), _plain(r["value"]), ctx.value(r["unit"]),
            html.Span(ctx.t(f"kind_{r['kind']}"), className=f"kind kind-{r['kind'].split('_')[0]}"),
            html.Span([r["source_title"], html.Small(f" · {r['publisher_or_site']}")], className="source"),
            ctx.t(f"reliability_{r['reliability']}"),
        ]
        for r in frame.sort("period", "indicator", descending=[True, False]).iter_rows(named=True)
    ]  # fmt: skip
    heads = [
        ctx.t(f"col_{k}") for k in ("period", "region", "indicator", "value", "unit", "kind", "source", "reliability")
    ]
    switch = tabs(ctx, "region", [("sz", ctx.t("only_shenzhen")), ("all", ctx.t("all_regions"))], scope)
    body = [html.P(ctx.t("published_text"), className="lead"), switch, plain_table(heads, rows, numeric=(3,))]
    return plain_block(ctx.t("published"), body, extra=badge(ctx, synthetic=False, real=True), wide=True)


def _plain(value: Any) -> str:
    text = f"{value:,.2f}"
    return text.rstrip("0").rstrip(".")


def _filings(ctx: Context) -> html.Section:
    found = cube(ctx, "filings_district_month", None, None, Periods("latest", 1))
    total = found.frame.filter((pl.col("district") == TOTAL) & (pl.col("filing_type") == TOTAL))
    values = {r["indicator"]: int(r["value"]) for r in total.iter_rows(named=True)}
    filings, companies = (ctx.release.indicator(i) for i in ("filings_cumulated", "filing_companies"))
    cards = html.Div(
        [
            stat(ctx.t("filings_total"), f"{values['filings_cumulated']:,}", ctx.name(filings.display, "unit")),
            stat(ctx.t("filings_companies"), f"{values['filing_companies']:,}", ctx.name(companies.display, "unit")),
            stat(ctx.t("filings_latest"), found.periods[-1], ""),
        ],
        className="stats",
    )
    more = dcc.Link(ctx.t("see_more"), href=ctx.link("/filings"), className="more")
    note = html.P(ctx.t("filings_caveat"), className="lead")
    return plain_block(
        ctx.t("filings_short"), [cards, note, more], extra=badge(ctx, synthetic=False, real=True), wide=True
    )


def render(ctx: Context) -> Any:
    """The page."""
    known = years(ctx)
    year = ctx.choice("year", known, known[0])
    cards = [headline(ctx, ctx.release.indicator(i), year) for i in CORE]
    control = select(ctx, "year", ctx.t("year"), [(y, y) for y in known], year)
    return html.Div(
        [
            page_head(ctx.t("page_overview"), ctx.t("overview_lead"), control),
            html.Div(cards, className="stats headline"),
            html.Div(
                [
                    _trend(ctx, "ai_enterprises", ctx.t("trend_enterprises")),
                    _trend(ctx, "ai_revenue", ctx.t("trend_revenue")),
                    *[b for i in growth.INDICATORS if (b := growth.city_block(ctx, i, year)) is not None],
                    _filings(ctx),
                    _published(ctx),
                ],
                className="grid",
            ),
        ]
    )


PAGE = Page("/", "page:overview", "page_overview", "nav_monitor", render)
