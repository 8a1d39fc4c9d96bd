"""A scheme as a table: one row a code, lists joined by ；."""

import csv
import io
from typing import Final

from taxonomy.scheme import Code, Scheme

COLUMNS: Final = (
    "code", "parent", "level", "level_name", "name_zh", "name_en", "definition_zh", "definition_en", "includes",
    "excludes", "key_products", "legal_basis", "segment", "valid_from", "valid_to", "status", "basis", "successors",
)  # fmt: skip


def _cell(code: Code, name: str) -> object:
    value = getattr(code, name)
    if isinstance(value, tuple):
        return "；".join(value)
    return "" if value is None else value


def codes_csv(scheme: Scheme) -> str:
    """The table as CSV text with a header line, without byte order mark."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([_cell(code, name) for name in COLUMNS] for code in scheme.codes)
    return text.getvalue()
