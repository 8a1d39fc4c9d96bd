"""The growth waterfall on 总览 (city) and 产业结构 (branches): what a change of a total is made of, on one basis."""

from collections.abc import Mapping
from typing import Any

import polars as pl
from dash import html

from dashboard.components.block import block, graph
from dashboard.components.table import data_table
from dashboard.context import Context
from dashboard.data import branches
from dashboard.figures.series_charts import waterfall
from dashboard.reference import cell, model, records, table_or_none
from warehouse import format as fmt
from warehouse.catalogue import TOTAL
from warehouse.cube import Cell, TableModel

TABLE = "meta_growth"
STAY = ("continuing", "listed", "delisted", "succession")
REST = ("entry", "exit", "reclassification", "revision", "current")
LEVELS = ("previous", "staying", *STAY, *REST)
RATES = ("growth", "comparable_growth")
INDICATORS = ("ai_revenue", "ai_enterprises")

NOTES = ("growth_note_basis", "growth_note_list", "growth_note_links", "growth_note_hidden")


def _cell(ctx: Context, indicator: str, row: dict[str, Any]) -> Cell:
    if row["component"] in RATES:
        return cell(row["value"], conf=row["conf_status"], decimals=1, factor=0.01)
    display = ctx.release.indicator(indicator).display
    return cell(row["value"], conf=row["conf_status"], decimals=display.decimals, factor=display.factor)


def _model(ctx: Context, title: str, indicator: str, rows: list[tuple[str, str, int]], columns: tuple[str, ...], cells: dict[tuple[str, str], Cell]) -> TableModel:  # fmt: skip
    card = ctx.release.indicator(indicator)
    return model(
        ctx, title, fmt.unit(card, ctx.lang), rows, columns, cells, source=ctx.t("growth_source"),
        notes=[ctx.t(key) for key in NOTES],
        heads=[ctx.t(f"part_{c}") for c in columns],
    )  # fmt: skip


def city_block(ctx: Context, indicator: str, year: str) -> html.Section | None:
    """The waterfall of the city in a year; None where there is none (first year, older release)."""
    frame = table_or_none(ctx, TABLE)
    if frame is None:
        return None
    own = records(frame, indicator=indicator, ai_class=TOTAL)
    found = {r["component"]: r for r in own if r["period"] == year}
    if not found:
        return None
    years = sorted({r["period"] for r in own})
    cells = {(r["period"], r["component"]): _cell(ctx, indicator, r) for r in own}
    title = f"{ctx.name(ctx.release.indicator(indicator))} · {ctx.t('growth_title')} · {year}"
    rows = [(y, fmt.period_text(y, ctx.lang), 0) for y in years]
    table = _model(ctx, title, indicator, rows, (*LEVELS, *RATES), cells)
    parts = _bars({c: cells[year, c] for c in LEVELS if (year, c) in cells})
    drawn = waterfall([ctx.t(f"part_{c}") for c in parts], [cells[year, c] for c in parts], table.unit)
    return block(ctx, title, [graph(drawn, title), _comparable(ctx, cells, year)], model=table)


def _bars(cells: Mapping[str, Cell]) -> list[str]:
    """The parts to draw: the finest, or the same units in one bar where one of those told apart is withheld."""
    fine = [c for c in STAY if c in cells and cells[c].state != "missing"]
    whole = any(cells[c].state == "withheld" for c in fine) and "staying" in cells
    if whole and cells["staying"].state != "withheld":
        fine = ["staying"]
    return [c for c in ("previous", *fine, *REST) if c in cells]


def _comparable(ctx: Context, cells: dict[tuple[str, str], Cell], year: str) -> html.P:
    """The two growth rates in words: published totals, and the same units in the same class."""
    shown = {k: cells[year, k].text + ("%" if cells[year, k].value is not None else "") for k in RATES}
    return html.P(
        ctx.t("growth_words", growth=shown["growth"], comparable=shown["comparable_growth"]), className="hint"
    )


def branch_blocks(ctx: Context, year: str) -> list[html.Section]:
    """By branch in a year, one table an indicator; none in the first year or an older release."""
    frame = table_or_none(ctx, TABLE)
    if frame is None or year not in frame["period"].unique():
        return []
    sections = []
    for indicator in INDICATORS:
        own = records(frame.filter(pl.col("period") == year), indicator=indicator)
        cells = {(r["ai_class"], r["component"]): _cell(ctx, indicator, r) for r in own}
        rows = [(TOTAL, ctx.t("total"), 0), *[(c, n, 1) for c, n in branches(ctx) if any(k[0] == c for k in cells)]]
        title = f"{ctx.name(ctx.release.indicator(indicator))} · {ctx.t('growth_title')} · {year}"
        table = _model(ctx, title, indicator, rows, (*LEVELS, *RATES), cells)
        sections.append(block(ctx, title, [data_table(ctx, table)], model=table, with_table=False, wide=True))
    return sections
