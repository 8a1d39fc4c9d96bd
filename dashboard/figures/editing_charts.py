"""Charts of editing: what is withheld leaves a gap, never a zero."""

from collections.abc import Sequence

import plotly.graph_objects as go

from dashboard.theme import ACCENT, SERIES, figure, period_axis

Series = Sequence[tuple[str, Sequence[float | None]]]


def rate_lines(periods: Sequence[str], series: Series) -> go.Figure:
    """Rates (0-1) over the periods."""
    traces = [
        go.Scatter(
            name=name, x=list(periods), y=list(values), mode="lines+markers", connectgaps=False,
            line={"width": 2.5, "color": SERIES[i]}, marker={"size": 7}, hovertemplate="%{x}<br>%{y:.2%}<extra>" + name + "</extra>",
        )
        for i, (name, values) in enumerate(series)
    ]  # fmt: skip
    return figure(*traces, height=280, xaxis=period_axis(periods), yaxis={"tickformat": ".2~%", "rangemode": "tozero"})


def rule_bars(names: Sequence[str], counts: Sequence[float]) -> go.Figure:
    """Horizontal bars, largest first."""
    pairs = sorted(zip(counts, names, strict=True))
    trace = go.Bar(
        x=[c for c, _ in pairs], y=[n for _, n in pairs], orientation="h", marker_color=ACCENT,
        text=[f"{c:,.0f}" for c, _ in pairs], textposition="outside", cliponaxis=False,
        hovertemplate="%{y}<br>%{x:,.0f}<extra></extra>",
    )  # fmt: skip
    return figure(
        trace, height=max(140, 60 + 30 * len(pairs)), showlegend=False, xaxis={"visible": False}, margin={"r": 70},
        yaxis={"gridcolor": "rgba(0,0,0,0)", "ticklabelstandoff": 8},
    )  # fmt: skip


def effect_bars(periods: Sequence[str], series: Series) -> go.Figure:
    """Relative change of totals by item, grouped by period."""
    traces = [
        go.Bar(
            name=name, x=list(periods), y=list(values), marker_color=SERIES[i % len(SERIES)],
            hovertemplate="%{x}<br>%{y:.2%}<extra>" + name + "</extra>",
        )
        for i, (name, values) in enumerate(series)
    ]  # fmt: skip
    return figure(*traces, barmode="group", height=300, xaxis=period_axis(periods), yaxis={"tickformat": ".0%"})
