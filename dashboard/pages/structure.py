"""产业结构: branches over the years, leaves ranked, classes by year and by size."""

from typing import Any

from dash import html

from dashboard.components.block import block, graph
from dashboard.components.controls import page_head, select
from dashboard.components.table import data_table
from dashboard.context import Context
from dashboard.data import branches, core_indicators, cube, two_way, years
from dashboard.figures.charts import ranked_bars, stacked_years
from dashboard.pages import growth, structure_domains
from dashboard.pages.base import Page
from warehouse.catalogue import TOTAL, load_indicators
from warehouse.cube import Periods


def _codes(ctx: Context, branch: str) -> tuple[str, ...]:
    """The total and every core code, or a branch with all below it."""
    core = [c.code for c in ctx.release.codes("ai_industry_2026") if c.segment == "core"]
    return (TOTAL, *core) if branch == TOTAL else tuple(c for c in core if c.startswith(branch))


def _leaves(ctx: Context, indicator: str, year: str, branch: str) -> html.Section:
    leaves = tuple(c for c in _codes(ctx, branch) if len(c) == 3)
    found = cube(ctx, "core_leaf_year", indicator, {"ai_class": leaves}, Periods("fixed", values=(year,)))
    model = two_way(ctx, found, "ai_class", "period")
    pairs = [
        (code, f"{code} {label}", cells[0])
        for (code, label, _), cells in zip(model.row_heads, model.cells, strict=True)
    ]
    hidden = sum(cell.state == "withheld" for _, _, cell in pairs)
    body: list[Any] = [graph(ranked_bars(pairs, model.unit, by_branch=True), ctx.t("structure_leaves"))]
    if hidden:
        body.append(html.P(ctx.t("hidden_note", n=hidden), className="hint"))
    title = f"{model.title} · {ctx.t('structure_leaves')} · {year}"
    return block(ctx, title, body, model=model, selection=found.selection)


def _size_cube(indicator: str) -> str:
    """By class where that is published of the indicator, else by branch."""
    return "core_leaf_size" if "core_leaf_size" in load_indicators()[indicator].datasets else "core_branch_size"


def render(ctx: Context) -> Any:
    """The page."""
    indicators = core_indicators(ctx)
    indicator = ctx.choice("indicator", [i for i, _ in indicators], indicators[0][0])
    known = years(ctx)
    year = ctx.choice("year", known, known[0])
    parts = [(TOTAL, ctx.t("total")), *branches(ctx)]
    branch = ctx.choice("branch", [c for c, _ in parts], TOTAL)
    measure = ctx.choice("measure", ["value", "yoy"], "value")
    over_years = cube(ctx, "core_leaf_year", indicator, {"ai_class": (TOTAL, *(c for c, _ in branches(ctx)))})
    years_model = two_way(ctx, over_years, "ai_class", "period")
    by_class = cube(ctx, "core_leaf_year", indicator, {"ai_class": _codes(ctx, branch)})
    by_size = cube(
        ctx, _size_cube(indicator), indicator, {"ai_class": _codes(ctx, branch)}, Periods("fixed", values=(year,))
    )
    size_model = two_way(ctx, by_size, "ai_class", "size", measure=measure)
    class_model = two_way(ctx, by_class, "ai_class", "period", measure=measure)
    title = f"{years_model.title} · {ctx.t('structure_years')}"
    return html.Div(
        [
            page_head(
                ctx.t("page_structure"),
                ctx.t("structure_lead"),
                select(ctx, "indicator", ctx.t("indicator"), indicators, indicator),
                select(ctx, "year", ctx.t("year"), [(y, y) for y in known], year),
                select(ctx, "branch", ctx.t("branch"), parts, branch),
                select(
                    ctx, "measure", ctx.t("measure"),
                    [("value", ctx.t("measure_value")), ("yoy", ctx.t("measure_yoy"))], measure,
                ),
            ),
            html.Div(
                [
                    block(ctx, title, [graph(stacked_years(years_model), title)], model=years_model,
                          selection=over_years.selection),
                    _leaves(ctx, indicator, year, branch),
                    block(ctx, f"{class_model.title} · {ctx.t('structure_table')}", [data_table(ctx, class_model)],
                          model=class_model, selection=by_class.selection, with_table=False, wide=True),
                    block(ctx, f"{size_model.title} · {ctx.t('structure_size' if by_size.dataset.id == 'core_leaf_size' else 'structure_branch_size')} · {year}",
                          [data_table(ctx, size_model)], model=size_model, selection=by_size.selection,
                          with_table=False, wide=True),
                    *growth.branch_blocks(ctx, year),
                    *structure_domains.sections(ctx, year),
                ],
                className="grid",
            ),
        ]
    )  # fmt: skip


PAGE = Page("/structure", "page:structure", "page_structure", "nav_monitor", render)
