"""The text of a CSV that a user hands over as a table of strings: read as it stands, or refused with the line."""

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aistat.errors import UserError

if TYPE_CHECKING:
    import polars as pl

SAVE_AS: Final = "save it as CSV UTF-8 (comma separated)"
SEPARATORS: Final = {";": "semicolons", "\t": "tabs", "；": "full-width semicolons", "，": "full-width commas"}


def csv_table(path: Path, text: str) -> "pl.DataFrame":
    """A table of strings, empty cells null. Names lose the blanks around them; lines without a value at the end are no rows.

    Raises
    ------
    UserError
        If the text is empty or not separated by commas, a column has no name or that of another, or a line has more or
        fewer cells than the header. ``path`` is for the message.
    polars.exceptions.PolarsError, csv.Error
        If it is no CSV.
    """
    import polars as pl

    kept = _without_blank_end(text)
    names = _header(path, kept)
    table = pl.read_csv(kept.encode(), infer_schema=False)
    table.columns = [name or f"\0{i}" for i, name in enumerate(names)]
    return _named(path, table, names)


def _without_blank_end(text: str) -> str:
    """Up to the last line that holds a value; spreadsheets write rows of commas below a table."""
    last = len(text.rstrip(" \t\r\n,"))
    end = text.find("\n", last)
    return text if end < 0 else text[: end + 1]


def _header(path: Path, text: str) -> list[str]:
    """Names of the columns; every line below is seen to have a cell for each."""
    if not text.strip(" \t\r\n,"):
        raise UserError(f"{path} is empty; a header line and rows are expected")
    if text.lstrip().startswith("{"):
        raise UserError(f"{path} is JSON; a CSV is expected: a header line with the names of the columns, then rows")
    lines = csv.reader(io.StringIO(text, newline=""))
    names = [name.strip() for name in next(lines)]
    _refuse_header(path, names)
    start = lines.line_num + 1
    for row in lines:
        if len(row or [""]) != len(names):
            raise UserError(
                f"{path}: line {start} has {len(row)} cells, the header {len(names)}; give every line a cell for each "
                "column (empty where missing, in quotes where it holds a comma)"
            )
        start = lines.line_num + 1
    return names


def _refuse_header(path: Path, names: list[str]) -> None:
    other = [word for sign, word in SEPARATORS.items() if len(names) == 1 and sign in names[0]]
    if other:
        raise UserError(f"{path}: line 1 is separated by {other[0]}; commas are expected: {SAVE_AS}")
    if not any(names):
        raise UserError(f"{path}: line 1 is blank; a header line with the names of the columns is expected there")
    twice = [name for i, name in enumerate(names) if name and name in names[:i]]
    if twice:
        raise UserError(f"{path}: column {twice[0]} stands twice in the header; remove or rename one of them")


def _named(path: Path, table: "pl.DataFrame", names: list[str]) -> "pl.DataFrame":
    """Without empty columns that have no name, as spreadsheets write them beside a table."""
    for i, column in enumerate(table.columns):
        if not names[i] and table[column].null_count() < table.height:
            raise UserError(f"{path}: column {i + 1} has values but no name in the header; name it or remove it")
    return table.select(n for n in names if n)
