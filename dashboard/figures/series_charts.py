"""Charts of growth, demography, quarters and climate; what is withheld or missing is left out."""

from collections.abc import Sequence

import plotly.graph_objects as go

from dashboard.theme import ACCENT, ACCENT_SOFT, LINE, MUTED, SERIES, figure, period_axis
from warehouse.cube import Cell


def waterfall(labels: Sequence[str], cells: Sequence[Cell], unit: str) -> go.Figure:
    """From the first total down through its parts to the last total; a part that is not shown leaves a gap.

    The bars lie: names of parts are too long to stand side by side under upright ones, in English above all.
    """
    kinds = ["absolute", *["relative"] * (len(cells) - 2), "total"]
    trace = go.Waterfall(
        y=list(labels), x=[None if c.value is None else float(c.value) for c in cells], measure=kinds, orientation="h",
        text=[c.text for c in cells], textposition="outside", cliponaxis=False,
        increasing={"marker": {"color": SERIES[2]}}, decreasing={"marker": {"color": SERIES[4]}},
        totals={"marker": {"color": ACCENT}}, connector={"line": {"color": MUTED, "width": 1}},
        hovertemplate=f"%{{y}}<br>%{{text}} {unit}<extra></extra>",
    )  # fmt: skip
    return figure(
        trace, height=60 + 30 * len(cells), showlegend=False, margin={"r": 64},
        xaxis={"showgrid": True, "gridcolor": LINE, "rangemode": "tozero", "separatethousands": True, "nticks": 6},
        yaxis={"autorange": "reversed", "showgrid": False, "type": "category", "ticksuffix": "  "},
    )  # fmt: skip


def named_lines(columns: Sequence[str], series: Sequence[tuple[str, Sequence[Cell]]], unit: str) -> go.Figure:
    """Named rows as lines; gaps stay gaps."""
    traces = [
        go.Scatter(
            name=name, x=list(columns), y=[None if c.value is None else float(c.value) for c in cells],
            mode="lines+markers", connectgaps=False, line={"width": 2.5, "color": SERIES[i % len(SERIES)]},
            marker={"size": 6}, text=[c.text for c in cells],
            hovertemplate=f"%{{x}} {name}<br>%{{text}} {unit}<extra></extra>",
        )
        for i, (name, cells) in enumerate(series)
    ]  # fmt: skip
    return figure(*traces, height=320, xaxis=period_axis(columns))


def grouped_bars(columns: Sequence[str], series: Sequence[tuple[str, Sequence[Cell]]], unit: str) -> go.Figure:
    """Named rows as bars beside one another."""
    traces = [
        go.Bar(
            name=name, x=list(columns), y=[None if c.value is None else float(c.value) for c in cells],
            marker_color=SERIES[i % len(SERIES)], text=[c.text for c in cells], textposition="none",
            hovertemplate=f"%{{x}} {name}<br>%{{text}} {unit}<extra></extra>",
        )
        for i, (name, cells) in enumerate(series)
    ]  # fmt: skip
    return figure(*traces, height=300, barmode="group", xaxis=period_axis(columns))


def band(
    columns: Sequence[str], middle: Sequence[float | None], low: Sequence[float | None], high: Sequence[float | None],
    name: str, band_name: str,
) -> go.Figure:  # fmt: skip
    """A line with the range it would have under other weights."""
    edge = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    return figure(
        go.Scatter(x=list(columns), y=list(high), showlegend=False, **edge),
        go.Scatter(x=list(columns), y=list(low), name=band_name, fill="tonexty", fillcolor=ACCENT_SOFT, **edge),
        go.Scatter(
            x=list(columns), y=list(middle), name=name, mode="lines+markers", line={"width": 2.5, "color": ACCENT},
            marker={"size": 6}, hovertemplate="%{x}<br>%{y:.1f}<extra></extra>",
        ),
        height=320, xaxis=period_axis(columns), yaxis={"rangemode": "normal"},
    )  # fmt: skip
