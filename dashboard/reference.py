"""Table models from a release's reference tables: the same frame around a figure as a cube's (unit, source, status, vintage)."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import polars as pl

from dashboard.context import Context
from warehouse import format as fmt
from warehouse.cube import ABSENT, Cell, TableModel
from warehouse.read import UnknownName

WITHHELD_CELL = Cell(fmt.WITHHELD, None, "withheld")
MISSING_CELL = Cell(fmt.MISSING, None, "missing")


def table_or_none(ctx: Context, name: str) -> pl.DataFrame | None:
    """A reference table; None in a release made before it existed, or when it is empty."""
    try:
        frame = ctx.release.table(name)
    except UnknownName:
        return None
    return frame if frame.height else None


def cell(value: float | None, *, conf: str = "F", decimals: int = 0, factor: float = 1.0) -> Cell:
    """A figure of a reference table: withheld, missing, or rounded to ``decimals`` after division by ``factor``."""
    if conf == "C":
        return WITHHELD_CELL
    if value is None:
        return MISSING_CELL
    number = fmt.round_half_up(Decimal(repr(value / factor)), decimals)
    return Cell(f"{number:,}", number, "zero" if number == 0 else "value")


def model(
    ctx: Context, title: str, unit: str, rows: Sequence[tuple[str, str, int]], columns: Sequence[str],
    cells: Mapping[tuple[str, str], Cell], *, source: str, notes: Sequence[str] = (), heads: Sequence[str] | None = None,
) -> TableModel:  # fmt: skip
    """A table of ``cells`` by (row code, column); what is not there is *not applicable*."""
    info = ctx.release.info
    return TableModel(
        title=title,
        unit=unit,
        row_heads=tuple(rows),
        column_heads=tuple(heads or columns),
        cells=tuple(tuple(cells.get((code, c), ABSENT) for c in columns) for code, _, _ in rows),
        notes=tuple(notes),
        source=source,
        status=info.status,
        vintage=info.vintage,
        release_id=info.release_id,
        is_synthetic=info.is_synthetic,
    )


def records(frame: pl.DataFrame, **equal: Any) -> list[dict[str, Any]]:
    """Rows of a frame where columns have the given values."""
    for column, value in equal.items():
        frame = frame.filter(pl.col(column) == value)
    return list(frame.iter_rows(named=True))
