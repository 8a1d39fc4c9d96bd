"""导出中心: yearbook, datasets, drafts; every download goes through the audited routes."""

from typing import Any

from dash import html

from dashboard.components.block import badge, plain_block
from dashboard.components.controls import page_head
from dashboard.components.table import plain_table
from dashboard.context import Context
from dashboard.data import years
from dashboard.pages.base import Page
from warehouse.export import exporters


def _link(text: str, href: str) -> html.A:
    return html.A(text, href=href, className="download", download="")


def _yearbooks(ctx: Context) -> html.Section:
    links = [_link(f"{y}", f"/export/yearbook/{y}.xlsx?lang={ctx.lang}") for y in years(ctx)]
    body = [html.P(ctx.t("exports_yearbook_text"), className="lead"), html.Div(links, className="link-row")]
    return plain_block(ctx.t("exports_yearbook"), body, extra=badge(ctx, synthetic=ctx.release.info.is_synthetic))


def _drafts(ctx: Context) -> html.Section:
    links = [_link(f"{y}", f"/draft/art67/{y}.docx?lang={ctx.lang}") for y in years(ctx)]
    body = [html.P(ctx.t("impact_guard"), className="lead"), html.Div(links, className="link-row")]
    return plain_block(ctx.t("exports_draft"), body, extra=badge(ctx, synthetic=ctx.release.info.is_synthetic))


def _datasets(ctx: Context) -> html.Section:
    formats = exporters()
    rows = [
        [
            html.Span([ctx.name(d, "title"), html.Br(), html.Code(d.id)]),
            badge(ctx, synthetic=ctx.release.is_synthetic(d.id), real=not d.is_demo_data),
            f"{ctx.release.cube_frame(d.id).height:,}",
            ctx.t("yes") if d.protected else ctx.t("no"),
            html.Span(
                [_link(f, f"/export/{d.id}.{e.extension}?lang={ctx.lang}") for f, e in formats.items()],
                className="link-row",
            ),
        ]
        for d in ctx.release.datasets()
    ]
    heads = [ctx.t(f"col_{k}") for k in ("dataset", "kind", "cells", "protected", "formats")]
    return plain_block(ctx.t("exports_datasets"), [plain_table(heads, rows, numeric=(2,))], wide=True)


def render(ctx: Context) -> Any:
    """The page."""
    blocks = [_yearbooks(ctx)]
    if ctx.may("draft"):
        blocks.append(_drafts(ctx))
    api = html.Ul(
        [
            html.Li(html.Code(a))
            for a in ("GET /api/v1/health", "GET /api/v1/datasets", "GET /api/v1/datasets/{id}?format=json-stat")
        ]
    )
    blocks += [_datasets(ctx), plain_block(ctx.t("exports_api"), [api], wide=True)]
    return html.Div([page_head(ctx.t("page_exports"), ctx.t("exports_lead")), html.Div(blocks, className="grid")])


PAGE = Page("/exports", "page:exports", "page_exports", "nav_output", render)
