"""A block: title, unit, figure, its table, notes, source, status, vintage, downloads. Nothing is shown without them."""

from collections.abc import Sequence
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from dashboard.components.drawn import drawn
from dashboard.components.table import data_table
from dashboard.context import Context
from dashboard.theme import CONFIG
from warehouse.cube import Selection, TableModel
from warehouse.export.words import release_kind


def _kind(ctx: Context, *, synthetic: bool, real: bool) -> str:
    """The word that says what kind of data a block shows; 试行 is for trial releases alone."""
    if synthetic:
        return "simulated"
    if real:
        return "real"
    return "official" if release_kind(ctx.release.info) == "official" else "trial"


def badge(ctx: Context, *, synthetic: bool, real: bool = False) -> html.Span:
    """模拟数据, 真实公开数据, 试行数据 or 正式发布数据: on every block."""
    kind = _kind(ctx, synthetic=synthetic, real=real)
    return html.Span(ctx.t(kind), className=f"badge badge-{kind}")


def _downloads(ctx: Context, selection: Selection | None) -> list[Any]:
    if selection is None or not ctx.may("export"):
        return []
    links = [
        html.A(label, href=f"/export/selection.{extension}?{selection.to_query()}", className="download", download="")
        for label, extension in (("CSV", "csv"), ("Excel", "xlsx"))
    ]
    return [html.Span([f"{ctx.t('download')} ", *links], className="downloads")]


def foot(ctx: Context, model: TableModel, selection: Selection | None = None, *, real: bool = False) -> Component:
    """Source, status, vintage, release, notes and downloads of a block."""
    status = ctx.t(_kind(ctx, synthetic=model.is_synthetic, real=real))
    facts = [
        (ctx.t("source"), model.source), (ctx.t("status"), status), (ctx.t("vintage"), model.vintage),
        (ctx.t("release"), model.release_id),
    ]  # fmt: skip
    if model.stage:
        facts.insert(2, (ctx.t("stage"), model.stage))
    line = html.Div(
        [html.Span([html.B(f"{label} "), text], className="fact") for label, text in facts]
        + _downloads(ctx, selection),
        className="facts",
    )
    notes = html.Details([html.Summary(ctx.t("notes")), html.Ol([html.Li(n) for n in model.notes])], className="notes")
    return drawn(html.Footer([line, notes] if model.notes else [line]))


def block(
    ctx: Context,
    title: str,
    body: Sequence[Any],
    *,
    model: TableModel,
    real: bool = False,
    selection: Selection | None = None,
    with_table: bool = True,
    wide: bool = False,
) -> html.Section:
    """A framed block for one table model: its head, ``body``, the table folded under it, its foot."""
    unit = f"{ctx.t('unit')}：{model.unit}" if ctx.lang == "zh" else f"{ctx.t('unit')}: {model.unit}"
    marks = html.Div([html.Span(unit, className="unit"), badge(ctx, synthetic=model.is_synthetic, real=real)])
    head = drawn(html.Header([html.H2(title), marks]))
    parts = [head, *body]
    if with_table:
        parts.append(behind(ctx, data_table(ctx, model)))
    parts.append(foot(ctx, model, selection, real=real))
    return html.Section(parts, className="block wide" if wide else "block")


def behind(ctx: Context, table: html.Div) -> Component:
    """A table folded under its chart."""
    return drawn(html.Details([html.Summary(ctx.t("table")), table], className="behind"))


def graph(figure: Any, label: str) -> html.Div:
    """A chart with a text for those who cannot see it; its table follows in the block."""
    return html.Div(
        dcc.Graph(figure=figure, config=CONFIG, responsive="auto", style={"height": f"{figure.layout.height}px"}),
        role="img", className="graph", **{"aria-label": label},
    )  # fmt: skip


def plain_block(title: str, body: Sequence[Any], *, extra: Any = None, wide: bool = False) -> html.Section:
    """A block without figures of its own (text, lists)."""
    head = drawn(html.Header([html.H2(title), html.Div(extra or [])]))
    return html.Section([head, *body], className="block wide" if wide else "block")
