"""Headline cards: one figure with its unit, growth, course and what it rests on."""

from collections.abc import Sequence

from dash import html

from dashboard.context import Context
from dashboard.data import city_row
from dashboard.figures.charts import sparkline
from warehouse import format as fmt
from warehouse.catalogue import Indicator
from warehouse.cube import shown_cell, stage_names


def stat(label: str, value: str, unit: str, *under: object) -> html.Div:
    """A labelled figure."""
    return html.Div(
        [
            html.Div(label, className="stat-label"),
            html.Div([html.Span(value, className="stat-value"), html.Span(unit, className="stat-unit")]),
            *under,
        ],
        className="stat",
    )


def _growth(ctx: Context, row: dict[str, object]) -> html.Div:
    ratio = row["yoy_ratio"]
    if ratio is None:
        return html.Div(fmt.yoy_note_text(str(row["yoy_note"]), ctx.lang) or fmt.MISSING, className="stat-growth flat")
    number = float(ratio)  # type: ignore[arg-type]
    sign = fmt.growth_sign(number)
    direction = {"▲": "up", "▼": "down"}.get(sign, "flat")
    return html.Div(f"{sign} {ctx.t('yoy')} {fmt.growth_text(number, ctx.lang)}", className=f"stat-growth {direction}")


def headline(ctx: Context, indicator: Indicator, period: str) -> html.Div:
    """Card of one headline indicator in a year."""
    rows = city_row(ctx, indicator)
    row = rows.get(period)
    if row is None:
        return stat(ctx.name(indicator), fmt.NOT_APPLICABLE, fmt.unit(indicator, ctx.lang))
    cell = shown_cell(row, indicator, "value", ctx.lang)
    course: Sequence[float | None] = [
        None if r["value"] is None else float(r["value"])  # type: ignore[arg-type]
        for p, r in rows.items()
        if p <= period
    ]
    under: list[object] = [_growth(ctx, row)]
    if stage := stage_names(ctx.release, ctx.lang).get(str(row["revision_stage"])):
        under.append(html.Div(stage, className="stat-share", title=ctx.t("stage_hint")))
    if row["model_share"] is not None:
        share = f"{ctx.t('model_share')} {fmt.percent(float(row['model_share']))}%"  # type: ignore[arg-type]
        under.append(html.Div(share, className="stat-share", title=ctx.t("model_share_hint")))
    if len([v for v in course if v is not None]) > 1:
        under.append(html.Img(src=sparkline(course), alt="", className="spark"))
    return stat(ctx.name(indicator), cell.text, fmt.unit(indicator, ctx.lang), *under)
