"""Tables: withheld, missing and zero shown apart, depth by indent, heads for screen readers (drawn by assets/drawn.js)."""

import json
from collections.abc import Sequence
from typing import Any

from dash import html

from dashboard.components.drawn import node
from dashboard.context import Context
from warehouse import format as fmt
from warehouse.cube import TableModel

TITLED = ("withheld", "missing")


def _drawn(model: dict[str, Any]) -> html.Div:
    text = json.dumps({"titles": {}, "numeric": [], "rowHeads": False, **model}, ensure_ascii=False)
    return html.Div(className="scroll", tabIndex="0", **{"data-table": text})


def data_table(ctx: Context, model: TableModel) -> html.Div:
    """A table model; sticky head and first column."""
    rows = [
        [[label, f"depth-{depth}"], *([c.text, f"num {c.state}"] for c in cells)]
        for (_, label, depth), cells in zip(model.row_heads, model.cells, strict=True)
    ]
    return _drawn(
        {
            "className": "data", "head": ["", *model.column_heads], "rows": rows, "rowHeads": True,
            "titles": {state: ctx.t(state) for state in TITLED},
        }
    )  # fmt: skip


def plain_table(heads: Sequence[str], rows: Sequence[Sequence[Any]], numeric: Sequence[int] = ()) -> html.Div:
    """A table of texts or of ``dash.html`` elements; columns in ``numeric`` are right-aligned, *withheld* is hatched."""
    cells = [[[node(cell), _class(cell, i in numeric)] for i, cell in enumerate(row)] for row in rows]
    return _drawn({"className": "data plain", "head": list(heads), "rows": cells, "numeric": list(numeric)})


def _class(cell: Any, numeric: bool) -> str:
    state = {fmt.WITHHELD: "withheld", fmt.MISSING: "missing"}.get(cell, "") if isinstance(cell, str) else ""
    return f"num {state}".rstrip() if numeric else ""
