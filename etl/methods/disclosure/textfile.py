"""CSV files as bureaus have them: UTF-8 with or without mark, GB18030; complaints name file, line and column."""

import csv
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import polars as pl

from etl.methods.disclosure.problem import ProblemError

NUMBER: Final = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
PLAIN: Final = r"^[+-]?\d*\.?\d*$"
DECIMALS: Final = 6
DIGITS: Final = 18


def read_rows(path: Path, needed: Sequence[str] = ()) -> pl.DataFrame:
    """A CSV file as text, blanks around and empty texts gone.

    Raises
    ------
    ProblemError
        Where the file cannot be read or lacks a column.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ProblemError(f"文件不存在 / {path} does not exist; expected a CSV file; check the path") from None
    except OSError as error:
        raise ProblemError(f"无法读取 / cannot read {path}: {error.strerror}; expected a CSV file; check it") from None
    text = _decoded(raw, path)
    if not text.strip():
        raise ProblemError(f"文件为空 / {path} is empty; expected a header line and rows; export it again")
    try:
        frame = pl.read_csv(text.encode(), infer_schema=False)
    except pl.exceptions.PolarsError as error:
        first = str(error).splitlines()[0]
        raise ProblemError(
            f"不是 CSV / {path}: {first}; expected as many fields in each line as in the first"
        ) from None
    frame = frame.rename({c: c.strip() for c in frame.columns})
    check_columns(frame, path, needed)
    stripped = pl.all().str.strip_chars()
    return frame.select(pl.when(stripped != "").then(stripped).name.keep())


def append_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Append lines to a CSV file that is the owner's alone; the header comes with the first."""
    new = not path.exists()
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        if new:
            writer.writerow(header)
        writer.writerows(rows)


def _decoded(raw: bytes, path: Path) -> str:
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ProblemError(f"编码不明 / {path} is neither UTF-8 nor GB18030; expected text; save it as CSV UTF-8")


def check_columns(frame: pl.DataFrame, path: Path, needed: Sequence[str]) -> None:
    """Raise where a column is missing."""
    for column in needed:
        if column not in frame.columns:
            raise ProblemError(
                f"缺少列 / {path} line 1: no column {column!r}; expected it beside {', '.join(frame.columns)}; "
                "correct the header or the specification"
            )


def numbers(frame: pl.DataFrame, column: str, path: Path, empty: bool = False) -> pl.Series:
    """A column of text as numbers: exact decimals where up to six decimals are written, floats otherwise.

    Raises
    ------
    ProblemError
        For the first text that is no number, with its line; for the first gap unless ``empty`` are allowed.
    """
    text = frame[column]
    wrong = ~text.str.contains(NUMBER)
    wrong = wrong.fill_null(not empty)
    if wrong.any():
        at = int(wrong.arg_true()[0])
        found = "空 / empty" if text[at] is None else repr(text[at])
        raise ProblemError(
            f"不是数值 / {path} line {at + 2}, column {column}: {found}; expected a number such as 1234.5; "
            "correct the row"
        )
    fraction = text.str.extract(r"\.(\d*?)0*$").str.len_chars().fill_null(0)
    digits = text.str.replace_all(r"[^0-9]", "").str.len_chars().fill_null(0)
    scale = int(fraction.max() or 0)  # type: ignore[arg-type]
    plain = bool(text.drop_nulls().str.contains(PLAIN).all())
    if plain and scale <= DECIMALS and int(digits.max() or 0) <= DIGITS:  # type: ignore[arg-type]
        trimmed = text.str.replace(r"^\+", "").str.replace(r"(\.\d*?)0+$", "$1").str.replace(r"\.$", "")
        trimmed = trimmed.str.replace(r"^(-?)\.", "${1}0.")
        return trimmed.cast(pl.Decimal(38, scale)).rename(column)
    return text.cast(pl.Float64).rename(column)
