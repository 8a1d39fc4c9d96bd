"""数据质量 (first version): files received, coverage, modelled shares, coding routes, what is withheld."""

from typing import Any

import polars as pl
from dash import html

from dashboard.components.block import badge, plain_block
from dashboard.components.cards import stat
from dashboard.components.controls import page_head
from dashboard.components.drawn import drawn
from dashboard.components.table import plain_table
from dashboard.context import Context
from dashboard.pages import quality_classifier, quality_process, quality_quantities
from dashboard.pages.base import Page
from warehouse import format as fmt


def _sources(ctx: Context) -> html.Section:
    """Each source with its number of files and rows; file by file only where one was refused, the rest folded."""
    title = "title" if ctx.lang == "zh" else "title_en"
    frame = ctx.release.table("meta_source_run").sort("source_id", "file")
    counts = [pl.col(c).sum() for c in ("rows_in", "rows_accepted", "rows_quarantined")]
    refused = (pl.col("status") == "refused").sum().alias("refused")
    sums = frame.group_by("source_id", title, maintain_order=True).agg(pl.len().alias("files"), *counts, refused)
    rows = [
        [r[title], *(f"{r[c]:,}" for c in ("files", "refused", "rows_in", "rows_accepted", "rows_quarantined"))]
        for r in sums.iter_rows(named=True)
    ]
    heads = [ctx.t(f"col_{k}") for k in ("source", "files", "refused", "rows", "accepted", "quarantined")]
    bad = frame.filter(pl.col("status") == "refused")
    body = [plain_table(heads, rows, numeric=range(1, 6)), *([_files(ctx, bad, title)] if bad.height else [])]
    folded = drawn(html.Details([html.Summary(ctx.t("quality_files")), _files(ctx, frame, title)], className="behind"))
    return plain_block(ctx.t("quality_sources"), [*body, folded], wide=True)


def _files(ctx: Context, frame: pl.DataFrame, title: str) -> html.Div:
    rows = [
        [
            r[title], r["file"], f"{r['rows_in']:,}", f"{r['rows_accepted']:,}", f"{r['rows_quarantined']:,}",
            html.Span(ctx.t(f"state_{r['status']}"), className=f"pill pill-{r['status']}"), r["message"],
        ]
        for r in frame.iter_rows(named=True)
    ]  # fmt: skip
    heads = [ctx.t(f"col_{k}") for k in ("source", "file", "rows", "accepted", "quarantined", "state", "message")]
    return plain_table(heads, rows, numeric=(2, 3, 4))


def _metric(ctx: Context, name: str) -> list[tuple[str, float]]:
    frame = ctx.release.table("meta_quality").filter(pl.col("metric") == name)
    return [(r["scope"], r["value"]) for r in frame.iter_rows(named=True)]


def _percent(value: float) -> str:
    return f"{fmt.percent(value)}%"


def _shares(ctx: Context) -> html.Section:
    found = {tuple(scope.split("|")): value for scope, value in _metric(ctx, "model_share")}
    periods = sorted({p for _, p in found})
    ids = [i.id for i in ctx.release.indicators() if any(k[0] == i.id for k in found)]
    rows = [
        [
            ctx.name(ctx.release.indicator(i)),
            *(_percent(found[i, p]) if (i, p) in found else fmt.MISSING for p in periods),
        ]
        for i in ids
    ]
    table = plain_table([ctx.t("indicator"), *periods], rows, numeric=range(1, len(periods) + 1))
    synthetic = badge(ctx, synthetic=ctx.release.info.is_synthetic)
    return plain_block(
        ctx.t("quality_shares"),
        [html.P(ctx.t("model_share_hint"), className="lead"), table],
        extra=synthetic,
        wide=True,
    )


def render(ctx: Context) -> Any:
    """The page."""
    synthetic = badge(ctx, synthetic=ctx.release.info.is_synthetic)
    totals = {name: _metric(ctx, name) for name in ("register_units", "nominated_units")}
    cards = [stat(ctx.t(name), f"{int(rows[0][1]):,}", "") for name, rows in totals.items() if rows]
    routes = [
        [ctx.t(f"route_{scope}"), _percent(value)]
        for scope, value in sorted(_metric(ctx, "route_share"), key=lambda r: -r[1])
    ]
    coverage = [[scope, _percent(value)] for scope, value in _metric(ctx, "survey_coverage")]
    withheld = [
        [ctx.name(ctx.release.dataset(scope), "title"), _percent(value)]
        for scope, value in _metric(ctx, "withheld_share")
    ]
    share = ctx.t("col_share")
    return html.Div(
        [
            page_head(ctx.t("page_quality"), ctx.t("quality_lead")),
            html.Div(cards, className="stats headline"),
            html.Div(
                [
                    plain_block(
                        ctx.t("quality_routes"),
                        [plain_table([ctx.t("col_route"), share], routes, (1,))],
                        extra=synthetic,
                    ),
                    plain_block(
                        ctx.t("quality_coverage"),
                        [plain_table([ctx.t("year"), share], coverage, (1,))],
                        extra=synthetic,
                    ),
                    _shares(ctx),
                    *quality_quantities.sections(ctx),
                    *quality_process.sections(ctx),
                    plain_block(
                        ctx.t("quality_withheld"),
                        [plain_table([ctx.t("col_dataset"), share], withheld, (1,))],
                        extra=synthetic,
                    ),
                    *quality_classifier.sections(ctx),
                    _sources(ctx),
                ],
                className="grid",
            ),
        ]
    )


PAGE = Page("/quality", "page:quality", "page_quality", "nav_basis", render)
