"""修订与历史版本: at which stage each figure is, its revision triangle across releases, how large and biased revisions are."""

from typing import Any

import polars as pl
from dash import html

from dashboard.components.block import badge, block, graph, plain_block
from dashboard.components.controls import page_head, select
from dashboard.components.table import data_table, plain_table
from dashboard.context import Context
from dashboard.data import core_indicators
from dashboard.figures.series_charts import named_lines
from dashboard.pages.base import Page
from dashboard.reference import cell, model, records, table_or_none
from warehouse import format as fmt
from warehouse.cube import Cell, Selection, read_cube, stage_names

TABLE = "meta_revision"
SHARES = ("relative_mean_absolute_revision", "share_positive", "share_negative")
LEVELS = ("mean_revision", "mean_absolute_revision", "hac_standard_error")
SHOWN_VINTAGES = 12


def _triangle(ctx: Context, frame: pl.DataFrame, indicator: str) -> html.Section:
    """Periods by vintage; a vintage that changes nothing has no column of its own."""
    own = frame.filter(pl.col("indicator") == indicator)
    vintages = sorted(own["vintage"].unique().to_list())[-SHOWN_VINTAGES:]
    periods = sorted(own["period"].unique().to_list())
    card = ctx.release.indicator(indicator)
    cells: dict[tuple[str, str], Cell] = {}
    for r in own.iter_rows(named=True):
        shown = cell(r["value"], decimals=card.display.decimals, factor=card.display.factor)
        cells[r["period"], r["vintage"]] = Cell(f"{shown.text} {r[f'stage_{ctx.lang}']}", shown.value, shown.state)
    rows = [(p, fmt.period_text(p, ctx.lang), 0) for p in periods]
    title = f"{ctx.name(card)} · {ctx.t('revision_triangle')}"
    table = model(
        ctx, title, fmt.unit(card, ctx.lang), rows, vintages, cells, source=ctx.t("revision_source"),
        notes=[ctx.t("revision_note_change"), ctx.t("revision_note_stage")],
    )  # fmt: skip
    lines = [(label, row) for (_, label, _), row in zip(table.row_heads, table.cells, strict=True)]
    # One vintage is no course: its dots would say no more than the table.
    drawn = [graph(named_lines(table.column_heads, lines, table.unit), title)] if len(vintages) > 1 else []
    return block(ctx, title, [*drawn, data_table(ctx, table)], model=table, with_table=False, wide=True)


def _summary(ctx: Context, indicator: str) -> html.Section:
    frame = table_or_none(ctx, "meta_revision_summary")
    found = {} if frame is None else {r["measure"]: r["value"] for r in records(frame, indicator=indicator)}
    synthetic = badge(ctx, synthetic=ctx.release.info.is_synthetic)
    if not found:
        return plain_block(ctx.t("revision_summary"), [html.P(ctx.t("revision_none"))], extra=synthetic)
    card = ctx.release.indicator(indicator)
    rows = []
    for measure, value in found.items():
        if value is None:
            text = ctx.t("revision_few")
        elif measure in SHARES:
            text = f"{fmt.percent(value)}%"
        elif measure in LEVELS:
            text = f"{cell(value, decimals=card.display.decimals, factor=card.display.factor).text} {fmt.unit(card, ctx.lang)}"
        else:
            text = f"{value:,.0f}" if measure == "periods" else f"{value:.3f}"
        rows.append([ctx.t(f"revision_{measure}"), text])
    body = [
        html.P(ctx.t("revision_hint"), className="lead"),
        plain_table([ctx.t("indicator"), ctx.t("col_value")], rows, (1,)),
    ]
    return plain_block(f"{ctx.name(card)} · {ctx.t('revision_summary')}", body, extra=synthetic)


def _stages(ctx: Context) -> html.Section | None:
    """The stages of the figures of every dataset in this vintage, equal ones together; None where none are kept."""
    if not stage_names(ctx.release, ctx.lang):
        return None
    found: dict[str, list[str]] = {}
    for dataset in ctx.release.datasets():
        text = read_cube(ctx.release, Selection(dataset.id, lang=ctx.lang)).stage_text()
        found.setdefault(text, []).append(ctx.name(dataset, "title"))
    lines = {text: [part for n in names for part in (n, html.Br())][:-1] for text, names in found.items()}
    rows = [[html.Span(parts), text] for text, parts in lines.items()]
    body = [
        html.P(ctx.t("stage_hint"), className="lead"),
        plain_table([ctx.t("stage_datasets"), ctx.t("col_stage")], rows),
    ]
    return plain_block(ctx.t("stage_title"), body, extra=badge(ctx, synthetic=ctx.release.info.is_synthetic), wide=True)


def render(ctx: Context) -> Any:
    """The page."""
    frame = table_or_none(ctx, TABLE)
    if frame is None:
        head = page_head(ctx.t("page_revisions"), ctx.t("revision_lead"))
        return html.Div([head, plain_block(ctx.t("page_revisions"), [html.P(ctx.t("not_in_release"))])])
    there = set(frame["indicator"].unique())
    stages = _stages(ctx)
    indicators = [(i, n) for i, n in core_indicators(ctx) if i in there]
    chosen = ctx.choice("indicator", [i for i, _ in indicators], indicators[0][0])
    return html.Div(
        [
            page_head(
                ctx.t("page_revisions"), ctx.t("revision_lead"),
                select(ctx, "indicator", ctx.t("indicator"), indicators, chosen),
            ),
            html.Div(
                [_triangle(ctx, frame, chosen), _summary(ctx, chosen), *([stages] if stages is not None else [])],
                className="grid",
            ),
        ]
    )  # fmt: skip


PAGE = Page("/revisions", "page:revisions", "page_revisions", "nav_basis", render)
