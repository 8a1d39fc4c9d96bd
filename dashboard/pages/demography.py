"""企业动态: births, deaths, survival and high growth of legal units and of AI enterprises."""

from typing import Any

import polars as pl
from dash import html

from dashboard.components.block import block, graph, plain_block
from dashboard.components.controls import page_head, tabs
from dashboard.components.table import data_table
from dashboard.context import Context
from dashboard.figures.series_charts import grouped_bars, named_lines
from dashboard.pages.base import Page
from dashboard.reference import cell, model, table_or_none
from warehouse import format as fmt
from warehouse.cube import Cell, TableModel

TABLE = "meta_demography"
POPULATIONS = ("ai_enterprises", "legal_units")
BLOCKS = (
    ("demo_events", ("active", "births", "continuations", "deaths", "continued_by_others", "moves"), ("births", "deaths"), "count"),
    ("demo_rates", ("birth_rate", "death_rate", "churn_rate"), ("birth_rate", "death_rate", "churn_rate"), "rate"),
    ("demo_survival", tuple(f"survival_rate_{n}" for n in range(1, 6)), ("survival_rate_1", "survival_rate_3"), "rate"),
    (
        "demo_growth",
        ("ten_persons_before", "high_growth_10", "high_growth_20", "gazelles"),
        ("high_growth_10", "high_growth_20"),
        "count",
    ),
)  # fmt: skip


def _model(ctx: Context, frame: pl.DataFrame, title: str, metrics: tuple[str, ...], kind: str) -> TableModel | None:
    own = frame.filter(pl.col("metric").is_in(metrics))
    if own.height == 0:
        return None
    periods = sorted(own["period"].unique().to_list())
    decimals, factor = (1, 0.01) if kind == "rate" else (0, 1.0)
    cells: dict[tuple[str, str], Cell] = {
        (r["metric"], r["period"]): cell(r["value"], conf=r["conf_status"], decimals=decimals, factor=factor)
        for r in own.iter_rows(named=True)
    }
    rows = [(m, ctx.t(f"demo_{m}"), 0) for m in metrics if any(k[0] == m for k in cells)]
    return model(
        ctx, title, "%" if kind == "rate" else ctx.t("unit_enterprises"), rows, periods, cells,
        source=ctx.t("demo_source"),
        notes=[ctx.t(k) for k in ("demo_note_birth", "demo_note_rounded", "demo_note_ai", "demo_note_moves", "demo_note_hidden")],
        heads=[fmt.period_text(p, ctx.lang) for p in periods],
    )  # fmt: skip


def _block(ctx: Context, frame: pl.DataFrame, population: str, spec: tuple[str, tuple[str, ...], tuple[str, ...], str]) -> html.Section | None:  # fmt: skip
    key, metrics, drawn, kind = spec
    title = f"{ctx.t(f'population_{population}')} · {ctx.t(key)}"
    table = _model(ctx, frame, title, metrics, kind)
    if table is None:
        return None
    lines = {code: (label, cells) for (code, label, _), cells in zip(table.row_heads, table.cells, strict=True)}
    series = [lines[m] for m in drawn if m in lines]
    draw = grouped_bars if kind == "count" else named_lines
    # A year of which nothing drawn is known (moves of the current year alone) has no place on the axis.
    at = [i for i, _ in enumerate(table.column_heads) if any(cells[i].value is not None for _, cells in series)]
    heads = [table.column_heads[i] for i in at]
    known = [(label, [cells[i] for i in at]) for label, cells in series]
    parts = [graph(draw(heads, known, table.unit), title), data_table(ctx, table)]
    return block(ctx, title, parts, model=table, with_table=False, wide=True)


def render(ctx: Context) -> Any:
    """The page."""
    frame = table_or_none(ctx, TABLE)
    head = page_head(ctx.t("page_demography"), ctx.t("demo_lead"))
    if frame is None:
        return html.Div([head, plain_block(ctx.t("page_demography"), [html.P(ctx.t("not_in_release"))])])
    population = ctx.choice("population", POPULATIONS, POPULATIONS[0])
    switch = tabs(ctx, "population", [(p, ctx.t(f"population_{p}")) for p in POPULATIONS], population)
    own = frame.filter(pl.col("population") == population)
    blocks = [b for spec in BLOCKS if (b := _block(ctx, own, population, spec)) is not None]
    return html.Div([head, switch, html.Div(blocks, className="grid")])


PAGE = Page("/dynamics", "page:demography", "page_demography", "nav_monitor", render)
