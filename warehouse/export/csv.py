"""CSV, long form: UTF-8 with a byte order mark, exact values, no cell a spreadsheet takes for a formula."""

import csv
import io
from decimal import Decimal

from warehouse.export.registry import exporter
from warehouse.export.tidy import Extract
from warehouse.export.words import exact, safe_text


def _text(cell: str | Decimal | float | None) -> str:
    if cell is None:
        return ""
    if isinstance(cell, Decimal):
        return exact(cell)
    return safe_text(cell) if isinstance(cell, str) else repr(cell)


@exporter("csv", media_type="text/csv; charset=utf-8", extension="csv", name_zh="CSV 长表", name_en="CSV, long form")
def write_csv(data: Extract) -> bytes:
    """Header, then one line per cell; empty value = withheld or missing, ``symbol`` says which."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(data.columns)
    writer.writerows([_text(cell) for cell in row] for row in data.rows())
    return stream.getvalue().encode("utf-8-sig")
