"""产业结构, the part on domains of use: the same core revenue cut another way, and the overlap with the branches."""

from dash import html

from dashboard.components.block import block, graph
from dashboard.components.table import data_table
from dashboard.context import Context
from dashboard.data import cube, two_way
from dashboard.figures.charts import ranked_bars
from warehouse.cube import Periods

INDICATOR = "ai_revenue_by_domain"
DATASETS = ("core_domain_year", "core_branch_domain")


def _hint(ctx: Context) -> html.P:
    return html.P(ctx.t("structure_domains_hint"), className="hint")


def _ranked(ctx: Context, year: str) -> html.Section:
    leaves = tuple(c.code for c in ctx.release.codes("sales_domain") if c.level == 2)
    found = cube(ctx, "core_domain_year", INDICATOR, {"domain": leaves}, Periods("fixed", values=(year,)))
    model = two_way(ctx, found, "domain", "period")
    pairs = [
        (code, label, cells[0]) for (code, label, _), cells in zip(model.row_heads, model.cells, strict=True)
    ]  # fmt: skip
    title = f"{ctx.name(ctx.release.indicator(INDICATOR))} · {year}"
    body = [graph(ranked_bars(pairs, model.unit, limit=len(pairs)), title), _hint(ctx)]
    return block(ctx, title, body, model=model, selection=found.selection, wide=True)


def _years(ctx: Context) -> html.Section:
    found = cube(ctx, "core_domain_year", INDICATOR)
    model = two_way(ctx, found, "domain", "period")
    return block(
        ctx, ctx.t("structure_domain_years"), [data_table(ctx, model)], model=model, selection=found.selection,
        with_table=False, wide=True,
    )  # fmt: skip


def _overlap(ctx: Context, year: str) -> html.Section:
    found = cube(ctx, "core_branch_domain", INDICATOR, None, Periods("fixed", values=(year,)))
    model = two_way(ctx, found, "ai_class", "domain")
    title = f"{ctx.t('structure_overlap')} · {year}"
    return block(
        ctx, title, [data_table(ctx, model), _hint(ctx)], model=model, selection=found.selection, with_table=False,
        wide=True,
    )  # fmt: skip


def sections(ctx: Context, year: str) -> list[html.Section]:
    """The blocks for a year; none in a release made before there were domains."""
    there = {d.id for d in ctx.release.datasets()}
    if not there.issuperset(DATASETS) or year not in ctx.release.periods(DATASETS[0]):
        return []
    return [_ranked(ctx, year), _overlap(ctx, year), _years(ctx)]
