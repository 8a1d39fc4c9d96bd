"""Districts as tiles (方块图): the value as depth of colour, withheld tiles hatched; a sketch, so no map approval is needed."""

from collections.abc import Mapping

from dash import html

from dashboard.context import Context
from taxonomy.scheme import load_scheme
from warehouse.catalogue import TOTAL
from warehouse.cube import Cell

STEPS = ("#eef4fb", "#cfe0f3", "#9fc3e6", "#5f97ce", "#1f5fa8")


def _shade(value: float, largest: float) -> tuple[str, str]:
    step = 0 if largest <= 0 else min(int(5 * (value / largest) ** 0.5), 4)
    return STEPS[step], ("#ffffff" if step >= 4 else "#1b2733")


def tile_map(ctx: Context, cells: Mapping[str, Cell], unit: str) -> html.Div:
    """One tile a district of the partition; ``cells`` by district code."""
    largest = max((float(c.value) for d, c in cells.items() if d != TOTAL and c.value is not None), default=0.0)
    tiles = []
    for code in load_scheme("district_sz").codes:
        if "x" not in code.attributes:
            continue
        cell = cells.get(code.code)
        place = {"gridColumn": str(code.attributes["x"]), "gridRow": str(code.attributes["y"])}
        name = html.Span(ctx.name(code), className="tile-name")
        if cell is None or cell.value is None:
            text = cell.text if cell else "—"
            state = cell.state if cell else "not_applicable"
            tiles.append(html.Div([name, html.Span(text)], className=f"tile tile-{state}", style=place))
            continue
        background, ink = _shade(float(cell.value), largest)
        style = {**place, "backgroundColor": background, "color": ink}
        tiles.append(html.Div([name, html.Span([cell.text, html.Small(f" {unit}")])], className="tile", style=style))
    return html.Div(tiles, className="tiles")
