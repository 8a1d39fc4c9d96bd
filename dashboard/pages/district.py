"""区域分布: tiles, a comparison, branch × district, districts over the years."""

from typing import Any

from dash import html

from dashboard.components.block import block, graph
from dashboard.components.controls import page_head, select
from dashboard.components.table import data_table
from dashboard.components.tiles import tile_map
from dashboard.context import Context
from dashboard.data import branches, core_indicators, cube, two_way, years
from dashboard.figures.charts import ranked_bars
from dashboard.pages.base import Page
from warehouse.catalogue import TOTAL
from warehouse.cube import Periods


def render(ctx: Context) -> Any:
    """The page."""
    indicators = core_indicators(ctx)
    indicator = ctx.choice("indicator", [i for i, _ in indicators], indicators[0][0])
    known = years(ctx, "core_branch_district")
    year = ctx.choice("year", known, known[0])
    parts = [(TOTAL, ctx.t("total")), *branches(ctx)]
    branch = ctx.choice("branch", [c for c, _ in parts], TOTAL)
    measure = ctx.choice("measure", ["value", "yoy"], "value")
    one_year = Periods("fixed", values=(year,))
    found = cube(ctx, "core_branch_district", indicator, {"ai_class": (branch,)}, one_year)
    model = two_way(ctx, found, "district", "period", fixed={"ai_class": branch})
    cells = {code: row[0] for (code, _, _), row in zip(model.row_heads, model.cells, strict=True)}
    pairs = [(code, label, cells[code]) for code, label, _ in model.row_heads if code != TOTAL]
    full = cube(ctx, "core_branch_district", indicator, None, one_year)
    full_model = two_way(ctx, full, "district", "ai_class", measure=measure)
    course = cube(ctx, "core_branch_district", indicator, {"ai_class": (branch,)})
    course_model = two_way(ctx, course, "district", "period", measure=measure, fixed={"ai_class": branch})
    name = dict(parts)[branch]
    hidden = sum(cell.state == "withheld" for _, _, cell in pairs)
    hint = [html.P(ctx.t("hidden_note", n=hidden), className="hint")] if hidden else []
    return html.Div(
        [
            page_head(
                ctx.t("page_district"),
                ctx.t("district_lead"),
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
                    block(ctx, f"{model.title} · {name} · {year}",
                          [html.P(ctx.t("district_tiles"), className="hint"), tile_map(ctx, cells, model.unit)],
                          model=model, selection=found.selection),
                    block(ctx, f"{model.title} · {ctx.t('district_bars')} · {name} · {year}",
                          [graph(ranked_bars(pairs, model.unit), ctx.t("district_bars")), *hint],
                          model=model, selection=found.selection),
                    block(ctx, f"{full_model.title} · {ctx.t('district_table')} · {year}",
                          [data_table(ctx, full_model)], model=full_model, selection=full.selection,
                          with_table=False, wide=True),
                    block(ctx, f"{course_model.title} · {ctx.t('district_years')} · {name}",
                          [data_table(ctx, course_model)], model=course_model, selection=course.selection,
                          with_table=False, wide=True),
                ],
                className="grid",
            ),
        ]
    )  # fmt: skip


PAGE = Page("/district", "page:district", "page_district", "nav_monitor", render)
