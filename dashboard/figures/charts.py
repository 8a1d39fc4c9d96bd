"""Charts drawn from table models: what is withheld or missing is left out, never drawn as zero."""

from collections.abc import Mapping, Sequence
from urllib.parse import quote

import plotly.graph_objects as go

from dashboard.theme import ACCENT, BRANCH, LINE, SERIES, figure, period_axis
from warehouse.cube import Cell, TableModel


def _number(cell: Cell) -> float | None:
    return None if cell.value is None else float(cell.value)


def _colour(code: str, index: int) -> str:
    return BRANCH.get(code, SERIES[index % len(SERIES)])


def stacked_years(model: TableModel, skip: Sequence[str] = ("_T",)) -> go.Figure:
    """Rows stacked over the columns (years)."""
    traces = [
        go.Bar(
            name=label, x=list(model.column_heads), y=[_number(c) for c in cells], marker_color=_colour(code, i),
            hovertemplate=f"%{{x}} {label}<br>%{{text}} {model.unit}<extra></extra>", text=[c.text for c in cells],
            textposition="none",
        )
        for i, ((code, label, _), cells) in enumerate(zip(model.row_heads, model.cells, strict=True))
        if code not in skip
    ]  # fmt: skip
    return figure(*traces, barmode="stack", height=320, xaxis=period_axis(model.column_heads))


def lines(model: TableModel, skip: Sequence[str] = ()) -> go.Figure:
    """Rows as lines over the columns; gaps stay gaps."""
    traces = [
        go.Scatter(
            name=label, x=list(model.column_heads), y=[_number(c) for c in cells], mode="lines+markers",
            line={"width": 2.5, "color": _colour(code, i)}, marker={"size": 7}, connectgaps=False,
            text=[c.text for c in cells], hovertemplate=f"%{{x}} {label}<br>%{{text}} {model.unit}<extra></extra>",
        )
        for i, ((code, label, _), cells) in enumerate(zip(model.row_heads, model.cells, strict=True))
        if code not in skip
    ]  # fmt: skip
    return figure(*traces, height=320, xaxis=period_axis(model.column_heads))


def ranked_bars(
    pairs: Sequence[tuple[str, str, Cell]], unit: str, limit: int = 15, *, by_branch: bool = False
) -> go.Figure:
    """Horizontal bars of ``(code, label, cell)``, largest first; cells without a value are left out.

    ``by_branch``: the codes are of the catalogue, and a bar takes its branch's colour.
    """
    shown = sorted((p for p in pairs if p[2].value is not None), key=lambda p: float(p[2].value or 0), reverse=True)
    shown = shown[:limit][::-1]
    trace = go.Bar(
        x=[_number(c) for _, _, c in shown], y=[label for _, label, _ in shown], orientation="h",
        marker_color=[BRANCH.get(code[:1], ACCENT) if by_branch else ACCENT for code, _, _ in shown],
        text=[c.text for _, _, c in shown], textposition="outside", cliponaxis=False,
        hovertemplate=f"%{{y}}<br>%{{text}} {unit}<extra></extra>",
    )  # fmt: skip
    return figure(
        trace, height=max(160, 60 + 26 * len(shown)), showlegend=False,
        xaxis={"visible": False}, yaxis={"gridcolor": "rgba(0,0,0,0)", "ticklabelstandoff": 8},
        margin={"r": 70},
    )  # fmt: skip


def months_and_stock(
    months: Sequence[str], flow: Mapping[str, Sequence[float]], stock: Sequence[float], stock_name: str
) -> go.Figure:
    """Monthly flows stacked by series (bars, left) and the stock (line, right)."""
    bars = [
        go.Bar(name=name, x=list(months), y=list(values), marker_color=SERIES[i])
        for i, (name, values) in enumerate(flow.items())
    ]
    line = go.Scatter(
        name=stock_name,
        x=list(months),
        y=list(stock),
        yaxis="y2",
        mode="lines",
        line={"width": 2.5, "color": "#1b2733", "shape": "hv"},
    )
    return figure(
        *bars, line, barmode="stack", height=340,
        xaxis={"type": "category", "tickangle": -45},
        yaxis2={"overlaying": "y", "side": "right", "showgrid": False, "rangemode": "tozero", "fixedrange": True, "linecolor": LINE, "automargin": True, "tickmode": "auto", "ticks": ""},
    )  # fmt: skip


def sparkline(values: Sequence[float | None]) -> str:
    """A small line without axes, from zero upwards, as an SVG in a ``data:`` address; gaps stay gaps."""
    width, height, edge = 160, 36, 3
    top = max((v for v in values if v is not None), default=0.0) or 1.0
    step = (width - 2 * edge) / max(len(values) - 1, 1)
    path, pen = [], "M"
    for at, value in enumerate(values):
        if value is not None:
            y = height - edge - (height - 2 * edge) * max(value, 0.0) / top
            path.append(f"{pen}{edge + at * step:.1f},{y:.1f}")
        pen = "M" if value is None else "L"
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" preserveAspectRatio="none">'
        f'<path d="{"".join(path)}" fill="none" stroke="{ACCENT}" stroke-width="2" vector-effect="non-scaling-stroke"/></svg>'
    )
    return f"data:image/svg+xml,{quote(svg)}"
