"""Charts of the classifier's quality."""

from collections.abc import Sequence

import plotly.graph_objects as go

from dashboard.theme import SERIES, figure


def automation_curve(
    thresholds: Sequence[float],
    series: Sequence[tuple[str, Sequence[float | None]]],
    limits: tuple[Sequence[float | None], Sequence[float | None]] | None,
    axis: str,
) -> go.Figure:
    """Shares (0-1) over the confidence threshold; ``limits``, the interval of the last series, as error bars."""
    traces = []
    for number, (name, values) in enumerate(series):
        bars = None
        if limits is not None and number == len(series) - 1:
            low, high = limits
            gaps = [_gap(v, a, b) for v, a, b in zip(values, low, high, strict=True)]
            bars = {
                "type": "data", "symmetric": False, "thickness": 1, "width": 3,
                "array": [up for up, _ in gaps], "arrayminus": [down for _, down in gaps],
            }  # fmt: skip
        traces.append(
            go.Scatter(
                name=name, x=list(thresholds), y=list(values), mode="lines+markers", connectgaps=False, error_y=bars,
                line={"width": 2.5, "color": SERIES[number]}, marker={"size": 7},
                hovertemplate="%{x}<br>%{y:.1%}<extra>" + name + "</extra>",
            )
        )  # fmt: skip
    return figure(*traces, height=320, xaxis={"title": {"text": axis}}, yaxis={"tickformat": ".0%", "range": [0, 1.02]})


def _gap(value: float | None, low: float | None, high: float | None) -> tuple[float, float]:
    """Error bar upwards and downwards; none where the figure is not known, for then no point is drawn either."""
    if value is None or low is None or high is None:
        return 0.0, 0.0
    return high - value, value - low
