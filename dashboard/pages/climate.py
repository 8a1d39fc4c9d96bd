"""监测预警: quarterly totals and their seasonal adjustment, climate index, early-warning lamps and their back-test."""

from typing import Any

import polars as pl
from dash import html

from dashboard.components.block import badge, block, graph, plain_block
from dashboard.components.controls import page_head, select
from dashboard.components.table import plain_table
from dashboard.context import Context
from dashboard.data import cube
from dashboard.figures.series_charts import band, named_lines
from dashboard.pages.base import Page
from dashboard.reference import cell, model, records, table_or_none
from warehouse import format as fmt
from warehouse.cube import table_model

DATASET = "core_quarter"
SERIES = ("ai_revenue", "operating_revenue")
BREAK = "\u200b"
"""Where a quarter's name may be broken in the head of a table."""
LAMPS = {1: "blue", 2: "light_blue", 3: "green", 4: "yellow", 5: "red"}


def _quarters(ctx: Context, series: str) -> list[html.Section]:
    """Level (unadjusted and adjusted), the rates, and what is said of the adjustment."""
    sections = []
    for suffix, measure in (("quarter", "value"), ("quarter", "yoy"), ("ytd", "yoy"), ("qoq", "value")):
        found = cube(ctx, DATASET, f"{series}_{suffix}")
        table = table_model(
            found, ctx.release, rows="adjustment", columns="period", indicator=f"{series}_{suffix}", measure=measure
        )
        lines = [
            (label, cells)
            for (_, label, _), cells in zip(table.row_heads, table.cells, strict=True)
            if any(c.value is not None for c in cells)
        ]
        what = "" if measure == "value" else f" · {ctx.t('yoy')}"
        title = f"{table.title}{what}"
        chart = named_lines(table.column_heads, lines, table.unit)
        sections.append(block(ctx, title, [graph(chart, title)], model=table, selection=found.selection))
    return sections


def _diagnostics(ctx: Context, series: str) -> html.Section | None:
    frame = table_or_none(ctx, "meta_series")
    if frame is None:
        return None
    rows = []
    for r in records(frame, series=series):
        name = ctx.t(f"sa_{r['item']}") if not r["item"].startswith(("m", "spans_")) or r["item"] in ("method", "model") else r["item"].upper()  # fmt: skip
        number = "" if r["value"] is None else f"{r['value']:.3f}"
        rows.append([name, number, r[f"text_{ctx.lang}"]])
    heads = [ctx.t("col_diagnostic"), ctx.t("col_value"), ctx.t("col_message")]
    body = [html.P(ctx.t("sa_hint"), className="lead"), plain_table(heads, rows, numeric=(1,))]
    return plain_block(ctx.t("sa_title"), body, extra=badge(ctx, synthetic=ctx.release.info.is_synthetic), wide=True)


def _index(ctx: Context, frame: pl.DataFrame) -> html.Section:
    refused = records(frame, measure="refused")
    if refused:
        return plain_block(ctx.t("climate_index"), [html.P(refused[0][f"text_{ctx.lang}"])])
    own = frame.filter((pl.col("component") == "_T") & pl.col("measure").is_in(["index", "low", "high", "diffusion"]))
    found = {(r["measure"], r["period"]): r["value"] for r in own.iter_rows(named=True)}
    periods = sorted({p for m, p in found if m == "index"})
    rows = [(m, ctx.t(f"climate_{m}"), 0) for m in ("index", "low", "high", "diffusion")]
    cells = {(m, p): cell(found.get((m, p)), decimals=1) for m, _, _ in rows for p in periods}
    table = model(
        ctx, ctx.t("climate_index"), ctx.t("unit_points"), rows, periods, cells, source=ctx.t("climate_source"),
        notes=[ctx.t("climate_note_index"), ctx.t("climate_note_weights")],
        heads=[fmt.period_text(p, ctx.lang) for p in periods],
    )  # fmt: skip
    index, low, high = ([found.get((m, p)) for p in periods] for m in ("index", "low", "high"))
    chart = band(table.column_heads, index, low, high, ctx.t("climate_index"), ctx.t("climate_band"))
    return block(ctx, ctx.t("climate_index"), [graph(chart, ctx.t("climate_index"))], model=table, wide=True)


def _lamp(ctx: Context, state: float | None, value: float | None) -> Any:
    """A lamp with its name and the figure: colour is never the only sign."""
    if state is None:
        return html.Span(fmt.MISSING)
    dot = html.Span("●", className=f"lamp-{int(state)}", **{"aria-hidden": "true"})
    number = [] if value is None else [html.Br(), f"{value:.1f}"]
    return html.Span([dot, f" {ctx.t('lamp_' + LAMPS[int(state)])}", *number], className="lamp")


def _lamps(ctx: Context, frame: pl.DataFrame) -> html.Section:
    cards = records(frame, measure="weight")
    states = {(r["component"], r["period"]): r["value"] for r in records(frame, measure="lamp")}
    values = {(r["component"], r["period"]): r["value"] for r in records(frame, measure="value")}
    periods = sorted({p for _, p in states})[-8:]
    rows = []
    for card in cards:
        name, kind, limits = card[f"text_{ctx.lang}"].split("|")
        scheme = f"{ctx.t('scheme_' + kind)} {limits}"
        key = card["component"]
        rows.append([name, scheme, *[_lamp(ctx, states.get((key, p)), values.get((key, p))) for p in periods]])
    quarters = [fmt.period_text(p, ctx.lang).replace("年", "年" + BREAK) for p in periods]
    heads = [ctx.t("indicator"), ctx.t("col_scheme"), *quarters]
    body = [html.P(ctx.t("lamps_hint"), className="lead"), plain_table(heads, rows)]
    return plain_block(ctx.t("lamps_title"), body, extra=badge(ctx, synthetic=ctx.release.info.is_synthetic), wide=True)


def _backtest(ctx: Context, frame: pl.DataFrame) -> html.Section:
    measures = ("events", "foretold", "signals", "false_alarms")
    rows = []
    for card in records(frame, measure="weight"):
        found = {
            r["measure"]: r["value"] for r in records(frame, component=card["component"]) if r["measure"] in measures
        }
        if found:
            name = card[f"text_{ctx.lang}"].split("|")[0]
            rows.append([name, f"{100 * card['value']:.0f}%", *[f"{found[m]:.0f}" for m in measures]])
    heads = [ctx.t("indicator"), ctx.t("col_weight"), *[ctx.t(f"backtest_{m}") for m in measures]]
    body = [html.P(ctx.t("backtest_hint"), className="lead"), plain_table(heads, rows, numeric=range(1, 6))]
    return plain_block(ctx.t("backtest_title"), body, extra=badge(ctx, synthetic=ctx.release.info.is_synthetic), wide=True)  # fmt: skip


def render(ctx: Context) -> Any:
    """The page."""
    there = DATASET in {d.id for d in ctx.release.datasets()}
    frame = table_or_none(ctx, "meta_climate")
    if not there or frame is None:
        head = page_head(ctx.t("page_climate"), ctx.t("climate_lead"))
        return html.Div([head, plain_block(ctx.t("page_climate"), [html.P(ctx.t("not_in_release"))])])
    known = {i.id for i in ctx.release.indicators(DATASET)}
    shown = {i for i in ctx.release.cube_frame(DATASET)["indicator"].unique() if i in known}
    series = [s for s in SERIES if f"{s}_quarter" in shown]
    chosen = ctx.choice("series", series, series[0])
    names = [(s, ctx.name(ctx.release.indicator(f"{s}_quarter"))) for s in series]
    diagnostics = _diagnostics(ctx, chosen)
    return html.Div(
        [
            page_head(ctx.t("page_climate"), ctx.t("climate_lead"), select(ctx, "series", ctx.t("indicator"), names, chosen)),
            html.Div(
                [
                    _index(ctx, frame), _lamps(ctx, frame), _backtest(ctx, frame), *_quarters(ctx, chosen),
                    *([diagnostics] if diagnostics is not None else []),
                ],
                className="grid",
            ),
        ]
    )  # fmt: skip


PAGE = Page("/climate", "page:climate", "page_climate", "nav_monitor", render)
