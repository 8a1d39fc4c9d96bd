"""Tables: withheld, missing and zero shown apart, depth by indent, heads for screen readers (drawn by assets/tables.js)."""

import json
from collections.abc import Sequence
from typing import Any

from dash import html

from dashboard.context import Context
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
    """A table of texts (or components); columns in ``numeric`` are right-aligned."""
    if all(isinstance(cell, str) for row in rows for cell in row):
        texts = [[[cell, "num" if i in numeric else ""] for i, cell in enumerate(row)] for row in rows]
        return _drawn({"className": "data plain", "head": list(heads), "rows": texts, "numeric": list(numeric)})
    body = [
        html.Tr([html.Td(cell, className="num" if i in numeric else "") for i, cell in enumerate(row)]) for row in rows
    ]
    head = html.Thead(
        html.Tr([html.Th(h, scope="col", className="num" if i in numeric else "") for i, h in enumerate(heads)])
    )
    return html.Div(html.Table([head, html.Tbody(body)], className="data plain"), className="scroll", tabIndex="0")
