"""专题页 (theme pages): one component for all; what stands on each is ``themes.yaml``: theme → datasets → blocks."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from dash import html
from pydantic import BaseModel, ConfigDict, Field

from dashboard.components.block import block, graph, plain_block
from dashboard.components.cards import stat
from dashboard.components.controls import page_head, select
from dashboard.components.table import data_table
from dashboard.context import Context
from dashboard.data import cube, two_way
from dashboard.figures.charts import lines, ranked_bars, stacked_years
from dashboard.pages import plan_register
from dashboard.pages.base import Page
from warehouse import format as fmt
from warehouse.catalogue import TOTAL, Indicator, load_datasets, load_indicators
from warehouse.cube import Cell, Periods, TableModel, shown_cell

PLAN = Path(__file__).with_name("themes.yaml")
SHORT, ALL = "8", "all"
State = Literal["shown", "not_received", "nothing_to_show"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Figure(_Frozen):
    """A headline figure: the city total of an indicator, in its latest period."""

    dataset: str
    indicator: str


class Block(Figure):
    """A chart with its table: ``rows`` of a dataset over the periods."""

    chart: Literal["course", "lines", "bars", "stacked"]
    rows: str
    wide: bool = False


class Theme(_Frozen):
    """One page. ``absent``: what is said where nothing was received from a source; ``listing``: a list under the blocks."""

    path: str
    key: str
    lead_zh: str
    lead_en: str
    absent_zh: str
    absent_en: str
    listing: Literal["plan"] | None = None
    stats: tuple[Figure, ...]
    blocks: tuple[Block, ...] = Field(min_length=1)


@cache
def themes() -> tuple[Theme, ...]:
    """Every theme, in order of the navigation."""
    return tuple(Theme.model_validate(t) for t in yaml.safe_load(PLAN.read_text(encoding="utf-8")))


def _state(ctx: Context, figure: Figure) -> State:
    """Whether the release shows the indicator; if not, whether anything was received from its source."""
    if figure.dataset in {d.id for d in ctx.release.datasets()}:
        shown = ctx.release.cube_frame(figure.dataset)["indicator"].unique()
        if figure.indicator in shown.to_list():
            return "shown"
    source = load_indicators()[figure.indicator].sources[0]
    runs = ctx.release.table("meta_source_run").filter(source_id=source, status="accepted")
    return "nothing_to_show" if runs.height else "not_received"


def _card(ctx: Context, figure: Figure) -> html.Div | None:
    """City total of the latest period; withheld, missing or not received is said, never zero."""
    state = _state(ctx, figure)
    if state != "shown":
        text = ctx.t("not_received") if state == "not_received" else fmt.NOT_APPLICABLE
        return stat(ctx.name(load_indicators()[figure.indicator]), text, "")
    totals = dict.fromkeys(ctx.release.dataset(figure.dataset).dimension_ids, (TOTAL,))
    found = cube(ctx, figure.dataset, figure.indicator, totals)
    card, rows = found.indicators[0], found.frame.sort("period")
    if rows.is_empty():
        return None
    row = rows.row(-1, named=True)
    cell = shown_cell(row, card, "value", ctx.lang)
    when = html.Div(fmt.period_text(str(row["period"]), ctx.lang), className="stat-growth flat")
    unit = fmt.unit(card, ctx.lang) if cell.value is not None else ""
    said = [html.Div(ctx.t(cell.state), className="stat-share")] if cell.state in ("withheld", "missing") else []
    return stat(ctx.name(card), cell.text, unit, when, *said)


def _bars(model: TableModel) -> tuple[list[tuple[str, str, Cell]], str]:
    """Pairs of the latest period in which some row has a value that is not zero, and that period's name."""
    for at in range(len(model.column_heads) - 1, -1, -1):
        pairs = [
            (code, label, cells[at])
            for (code, label, _), cells in zip(model.row_heads, model.cells, strict=True)
            if code != TOTAL
        ]
        if any(cell.value for *_, cell in pairs):
            return pairs, model.column_heads[at]
    return [], ""


def _total(model: TableModel) -> TableModel:
    """The model's total row alone, for the chart."""
    at = [i for i, (code, *_) in enumerate(model.row_heads) if code == TOTAL]
    heads, cells = tuple(model.row_heads[i] for i in at), tuple(model.cells[i] for i in at)
    return TableModel(**{**model.__dict__, "row_heads": heads, "cells": cells})


def _chart(spec: Block, model: TableModel) -> tuple[Any, str]:
    """The figure (None where there is nothing to draw) and what is added to the title."""
    if spec.chart == "bars":
        pairs, when = _bars(model)
        return (ranked_bars(pairs, model.unit, limit=20), f" · {when}") if pairs else (None, "")
    if spec.chart == "course":
        model = _total(model)
    elif spec.chart == "stacked":
        return stacked_years(model), ""
    shown = any(cell.value is not None for row in model.cells for cell in row)
    return (lines(model), "") if shown else (None, "")


def _hints(ctx: Context, card: Indicator, model: TableModel) -> list[html.P]:
    """Definition, what is to be noted of the indicator, its legal basis, and how many cells are not shown."""
    texts = [
        ctx.name(card, "definition"),
        ctx.name(card, "note"),
        f"{ctx.t('legal_basis')} {ctx.cited(card.legal_basis)}",
    ]
    hidden = sum(cell.state == "withheld" for row in model.cells for cell in row)
    texts += [ctx.t("hidden_note", n=hidden)] if hidden else []
    return [html.P(text, className="hint") for text in texts if text]


def _absent(ctx: Context, theme: Theme, spec: Block, state: State) -> html.Section:
    """A block there is nothing to show in: said, not drawn as zero."""
    card, dataset = load_indicators()[spec.indicator], load_datasets()[spec.dataset]
    title = f"{ctx.name(card)} · {ctx.name(dataset.dimension(spec.rows))}"
    said = [html.B(ctx.t("not_received")), f" · {ctx.name(theme, 'absent')}"]
    body = [
        html.P(said if state == "not_received" else ctx.t("nothing_to_show"), className="lead"),
        html.P(f"{ctx.t('source')} {ctx.name(dataset, 'source')}", className="hint"),
    ]
    return plain_block(title, body, wide=spec.wide)


def _block(ctx: Context, theme: Theme, spec: Block, last: str) -> html.Section:
    state = _state(ctx, spec)
    if state != "shown":
        return _absent(ctx, theme, spec, state)
    periods = Periods() if last == ALL else Periods("latest", int(last))
    found = cube(ctx, spec.dataset, spec.indicator, None, periods)
    model = two_way(ctx, found, spec.rows, "period")
    card = found.indicators[0]
    figure, when = _chart(spec, model)
    of = ctx.t("total") if spec.chart == "course" else ctx.name(found.dataset.dimension(spec.rows))
    title = f"{ctx.name(card)} · {of}{when}"
    hints = _hints(ctx, card, model)
    # Where nothing can be drawn the table says why: withheld or missing, cell by cell.
    body = [graph(figure, title), *hints] if figure is not None else [data_table(ctx, model), *hints]
    return block(
        ctx, title, body, model=model, selection=found.selection, with_table=figure is not None, wide=spec.wide
    )


def _paired(blocks: tuple[Block, ...]) -> list[Block]:
    """The blocks as they stand, the last one across the page where it would have half a row for itself."""
    single = sum(not b.wide for b in blocks) % 2 == 1
    return [*blocks[:-1], blocks[-1].model_copy(update={"wide": True})] if single else list(blocks)


def _render(theme: Theme) -> Callable[[Context], Any]:
    def render(ctx: Context) -> Any:
        last = ctx.choice("last", (SHORT, ALL), SHORT)
        options = [(SHORT, ctx.t("last_periods", n=SHORT)), (ALL, ctx.t("all_periods"))]
        cards = [card for figure in theme.stats if (card := _card(ctx, figure)) is not None]
        blocks = [_block(ctx, theme, spec, last) for spec in _paired(theme.blocks)]
        return html.Div(
            [
                page_head(
                    ctx.t(theme.key), ctx.name(theme, "lead"), select(ctx, "last", ctx.t("period"), options, last)
                ),
                html.Div(cards, className="stats headline"),
                html.Div([*blocks, *(plan_register.section(ctx) if theme.listing else [])], className="grid"),
            ]
        )

    return render


PAGES = tuple(Page(t.path, "page:themes", t.key, "nav_themes", _render(t)) for t in themes())
