"""Colours and the look of every figure. Palette told apart with any colour vision (after Okabe and Ito)."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

INK, MUTED, LINE, PAPER = "#1b2733", "#5c6b7a", "#dfe5ec", "#ffffff"
ACCENT, ACCENT_SOFT = "#1f5fa8", "#cfe0f3"
BRANCH: Mapping[str, str] = {
    "A": "#1f5fa8",
    "B": "#e08a1e",
    "C": "#2a9d8f",
    "D": "#9b5fa8",
    "E": "#8a95a1",
    "R": "#6b7a34",
}
SERIES = ("#1f5fa8", "#e08a1e", "#2a9d8f", "#9b5fa8", "#c0504d", "#6b7a34", "#8a95a1", "#e6a0c4", "#6cc0e8", "#3d3d3d")
FONT = (
    '"PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", system-ui, sans-serif'
)
QUARTER = re.compile(r"^(\d{4}年?)-?(.季度|Q\d)$")
CONFIG = {"displaylogo": False, "displayModeBar": False, "responsive": False, "locale": "en"}


def period_axis(columns: Sequence[str]) -> dict[str, Any]:
    """An axis of periods, never read as numbers or dates; of a long series every fourth has its label, or fewer."""
    step = 1 if len(columns) <= 12 else 4 * -(-len(columns) // 40)
    shown = list(columns[::step])
    # A quarter in two lines, so that labels stand beside one another in half a page.
    texts = [QUARTER.sub(r"\1<br>\2", text) for text in shown]
    return {"type": "category", "tickvals": shown, "ticktext": texts, "autotickangles": [0, 45, 90]}


def figure(*traces: Any, height: int = 300, **layout: Any) -> go.Figure:
    """A figure in the house style: no chart junk, light grid, units in the block's head."""
    base: dict[str, Any] = {
        "height": height,
        "margin": {"l": 8, "r": 16, "t": 8, "b": 8},
        "paper_bgcolor": PAPER,
        "plot_bgcolor": PAPER,
        "font": {"family": FONT, "size": 12, "color": INK},
        "colorway": SERIES,
        "hoverlabel": {"bgcolor": "#ffffff", "bordercolor": LINE, "font": {"family": FONT, "size": 12, "color": INK}},
        "legend": {
            "orientation": "h",
            "y": 1.02,
            "yanchor": "bottom",
            "x": 0,
            "font": {"size": 12},
            "traceorder": "normal",
        },
        "xaxis": {"showgrid": False, "linecolor": LINE, "ticks": "", "automargin": True, "fixedrange": True},
        "yaxis": {
            "gridcolor": LINE,
            "zerolinecolor": LINE,
            "ticks": "",
            "automargin": True,
            "fixedrange": True,
            "rangemode": "tozero",
            "separatethousands": True,
            "exponentformat": "none",
        },
        "bargap": 0.32,
        "template": "none",
        "dragmode": False,
    }
    for key, value in layout.items():
        base[key] = {**base[key], **value} if isinstance(base.get(key), dict) and isinstance(value, dict) else value
    return go.Figure(data=list(traces), layout=base)
