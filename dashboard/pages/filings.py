"""算法备案: the regulator's public lists, real data: by month of the list, district, type, role, and the list itself."""

from typing import Any

import dash_ag_grid as dag
import polars as pl
from dash import html

from dashboard.components.block import badge, block, graph, plain_block
from dashboard.components.cards import stat
from dashboard.components.controls import page_head, select
from dashboard.components.table import data_table
from dashboard.context import Context
from dashboard.data import cube, two_way
from dashboard.figures.charts import months_and_stock, ranked_bars
from dashboard.pages.base import Page
from warehouse.catalogue import TOTAL
from warehouse.cube import Periods

COLUMNS = (
    ("batch", "col_batch", 95), ("company", "col_company", 180), ("algorithm_name", "col_algorithm", 180),
    ("role_or_class", "col_role", 125), ("filing_type", "col_type", 150), ("district", "col_district", 110),
    ("filing_no", "col_no", 190),
)  # fmt: skip
LOCALE = {
    "page": "页", "to": "至", "of": "共", "next": "下一页", "last": "末页", "first": "首页", "previous": "上一页",
    "filterOoo": "筛选…", "contains": "包含", "notContains": "不包含", "equals": "等于", "notEqual": "不等于",
    "startsWith": "开头是", "endsWith": "结尾是", "blank": "为空", "notBlank": "不为空", "andCondition": "并且",
    "orCondition": "或者", "noRowsToShow": "没有数据", "pageSizeSelectorLabel": "每页",
}  # fmt: skip


def _stats(ctx: Context) -> html.Div:
    latest = cube(ctx, "filings_district_month", None, None, Periods("latest", 1))
    city = latest.frame.filter(pl.col("district") == TOTAL)
    value = {(r["indicator"], r["filing_type"]): int(r["value"]) for r in city.iter_rows(named=True)}
    item = ctx.name(ctx.release.indicator("filings").display, "unit")
    firm = ctx.name(ctx.release.indicator("filing_companies").display, "unit")
    synthesis = value.get(("filings_cumulated", "深度合成服务算法备案"), 0)
    cards = [
        stat(ctx.t("filings_total"), f"{value['filings_cumulated', TOTAL]:,}", item),
        stat(ctx.t("filings_companies"), f"{value['filing_companies', TOTAL]:,}", firm),
        stat(ctx.t("filings_synthesis"), f"{synthesis:,}", item),
        stat(ctx.t("filings_recommend"), f"{value['filings_cumulated', TOTAL] - synthesis:,}", item),
        stat(ctx.t("filings_latest"), latest.periods[-1], ""),
    ]
    return html.Div(cards, className="stats headline")


def _months(ctx: Context, district: str) -> html.Section:
    found = cube(ctx, "filings_district_month", "filings", {"district": (district,)})
    model = two_way(ctx, found, "filing_type", "period", fixed={"district": district})
    stock_cube = cube(ctx, "filings_district_month", "filings_cumulated", {"district": (district,)})
    stock = two_way(ctx, stock_cube, "filing_type", "period", fixed={"district": district})
    flow = {
        label: [float(c.value or 0) for c in cells]
        for (code, label, _), cells in zip(model.row_heads, model.cells, strict=True)
        if code != TOTAL
    }
    total = [float(c.value or 0) for c in stock.cells[0]]
    chart = months_and_stock(list(found.periods), flow, total, ctx.t("cumulated"))
    title = ctx.t("filings_months")
    return block(ctx, title, [graph(chart, title)], model=model, real=True, selection=found.selection, wide=True)


def _districts(ctx: Context) -> list[html.Section]:
    one = Periods("latest", 1)
    found = cube(ctx, "filings_district_month", "filings_cumulated", {"filing_type": (TOTAL,)}, one)
    model = two_way(ctx, found, "district", "period")
    pairs = [
        (c, label, cells[0]) for (c, label, _), cells in zip(model.row_heads, model.cells, strict=True) if c != TOTAL
    ]
    roles = cube(ctx, "filings_type_role", "filings_cumulated", None, one)
    role_model = two_way(ctx, roles, "role", "filing_type")
    role_pairs = [
        ("", label, cells[0])
        for (c, label, _), cells in zip(role_model.row_heads, role_model.cells, strict=True)
        if c != TOTAL
    ]
    return [
        block(ctx, ctx.t("filings_districts"), [graph(ranked_bars(pairs, model.unit), ctx.t("filings_districts"))],
              model=model, real=True, selection=found.selection),
        block(ctx, ctx.t("filings_roles"), [graph(ranked_bars(role_pairs, role_model.unit), ctx.t("filings_roles"))],
              model=role_model, real=True, selection=roles.selection),
    ]  # fmt: skip


def _names(ctx: Context, field: str) -> dict[str, str]:
    """The list's Chinese words in the reader's language; a district by its name, the others by their code lists."""
    scheme = {"filing_type": "filing_type", "role_or_class": "filing_role", "district": "district_sz"}[field]
    return {word: ctx.name(code) for code in ctx.release.codes(scheme) for word in (code.code, code.name_zh)}


def _list(ctx: Context) -> html.Section:
    frame = ctx.release.table("public_filing").select(f for f, _, _ in COLUMNS)
    if ctx.lang == "en":
        frame = frame.with_columns(
            pl.col(f).replace(_names(ctx, f)) for f in ("filing_type", "role_or_class", "district")
        )
    grid = dag.AgGrid(
        rowData=frame.to_dicts(),
        columnDefs=[
            {
                "field": f,
                "headerName": ctx.t(key),
                "flex": width,
                "minWidth": width,
                "filter": True,
                "sortable": True,
                "resizable": True,
                "wrapText": True,
                "autoHeight": True,
                "wrapHeaderText": True,
                "autoHeaderHeight": True,
            }
            for f, key, width in COLUMNS
        ],
        dashGridOptions={
            "domLayout": "autoHeight",
            "pagination": True,
            "paginationPageSize": 20,
            "paginationPageSizeSelector": False,
            "animateRows": False,
            "enableCellTextSelection": True,
            "localeText": LOCALE if ctx.lang == "zh" else {},
        },
        className="ag-theme-quartz list",
        style={"height": None},
    )
    return plain_block(
        ctx.t("filings_list", n=f"{frame.height:,}"), [grid], extra=badge(ctx, synthetic=False, real=True), wide=True
    )


def render(ctx: Context) -> Any:
    """The page."""
    held = ctx.release.cube_frame("filings_district_month")["district"].unique().to_list()
    places = [(TOTAL, ctx.t("total"))]
    places += [(c.code, ctx.name(c)) for c in ctx.release.codes("district_sz") if c.code in held]
    district = ctx.choice("district", [c for c, _ in places], TOTAL)
    found = cube(ctx, "filings_district_month", "filings", {"filing_type": (TOTAL,)})
    model = two_way(ctx, found, "period", "district")
    table = block(
        ctx, ctx.t("filings_month_table"), [data_table(ctx, model)], model=model, real=True,
        selection=found.selection, with_table=False, wide=True,
    )  # fmt: skip
    return html.Div(
        [
            page_head(
                ctx.t("page_filings"), ctx.t("filings_lead"),
                select(ctx, "district", ctx.t("col_district"), places, district),
            ),
            html.P(ctx.t("filings_caveat"), className="callout"),
            _stats(ctx),
            html.Div([_months(ctx, district), *_districts(ctx), table, _list(ctx)], className="grid"),
        ]
    )  # fmt: skip


PAGE = Page("/filings", "page:filings", "page_filings", "nav_monitor", render, real=True)
