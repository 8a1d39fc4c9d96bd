"""Files as received → text tables with line numbers. What cannot be read is refused whole, with one sentence."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final

import polars as pl

from etl.contract import Contract

LINE: Final = "__line"
CHUNK: Final = 50_000


class FileRefused(ValueError):
    """A file that cannot be used at all: what, where, what was expected, what to do."""


@dataclass(frozen=True)
class Raw:
    """All cells as text (null where empty), ``__line`` the line in the file, columns named by the contract's headers.

    ``ragged`` holds rows with more cells than headers: ``(line, cells)``.
    """

    frame: pl.DataFrame
    sheet: str | None
    ragged: tuple[tuple[int, tuple[str, ...]], ...] = ()


def _clean_head(text: Any) -> str:
    import unicodedata

    folded = unicodedata.normalize("NFKC", str(text or ""))
    return "".join(folded.split()).replace("（", "(").replace("）", ")").lstrip("﻿")


def _wanted(contract: Contract) -> dict[str, str]:
    """Cleaned header or alias → the contract's header."""
    return {_clean_head(name): c.header for c in contract.columns for name in c.names}


def _place(contract: Contract, heads: Sequence[str]) -> dict[int, str]:
    """Position → contract header, for the heads that the contract knows."""
    wanted = _wanted(contract)
    return {i: wanted[h] for i, h in enumerate(heads) if h in wanted}


def find_head(contract: Contract, rows: Sequence[Sequence[Any]]) -> tuple[int, dict[int, str]]:
    """Row number of the last head row and the columns found.

    Raises
    ------
    FileRefused
        If no row (or pair of rows) holds every column the contract requires (names those missing in the best one), or the
        row holds one of them twice.
    """
    needed = {c.header for c in contract.columns if not c.optional}
    depth = contract.file.header_rows
    best: set[str] = set()
    for top in range(min(len(rows), contract.file.header_search)):
        found = _place(contract, _joined_heads(rows[top : top + depth]))
        if needed <= set(found.values()):
            return top + depth - 1, _once(found)
        best = max(best, set(found.values()), key=len)
    missing = "、".join(c.header for c in contract.columns if c.header in needed - best)
    raise FileRefused(
        f"缺少列 {missing}；请按表式补齐后重报 / columns missing: {missing}; complete the form and send it again"
    )


def _once(place: dict[int, str]) -> dict[int, str]:
    doubled = "、".join(name for name in dict.fromkeys(place.values()) if list(place.values()).count(name) > 1)
    if doubled:
        raise FileRefused(f"列 {doubled} 出现两次；请只留一列 / columns {doubled} come twice; leave one of them")
    return place


def _joined_heads(rows: Sequence[Sequence[Any]]) -> list[str]:
    """Heads of one or several rows, merged cells joined by ``/``."""
    cleaned = [[_clean_head(cell) for cell in row] for row in rows]
    width = max((len(row) for row in cleaned), default=0)
    padded = [row + [""] * (width - len(row)) for row in cleaned]
    heads = padded[0] if padded else []
    for row in padded[1:]:
        joined, above = [], ""
        for head, below in zip(heads, row, strict=True):
            above = head or above
            joined.append(f"{above}/{below}" if below else head)
        heads = joined
    return heads


def is_footnote(contract: Contract, cells: Sequence[Any]) -> bool:
    """Whether a row is a note below the table (注：…, 填表人：…)."""
    texts = 0
    for cell in cells:
        text = "" if cell is None else str(cell).strip()
        if text:
            texts += 1
            if texts > 2 or (texts == 1 and not text.startswith(contract.file.footnote)):
                return False
    return texts > 0


def _no_rows() -> FileRefused:
    return FileRefused("没有数据行；请检查是否为空表 / no data rows; check that the right file was sent")


def _table(lines: list[int], rows: list[list[str]], place: dict[int, str]) -> pl.DataFrame:
    """Rows of cells as columns, null where a cell is empty; a row may be shorter than the head."""
    depth = max(place) + 1
    columns = list(zip(*(row if len(row) >= depth else row + [""] * (depth - len(row)) for row in rows), strict=False))
    texts = [pl.Series(n, [cell or None for cell in columns[at]], dtype=pl.String) for at, n in place.items()]
    return pl.DataFrame([pl.Series(LINE, lines, dtype=pl.Int64), *texts])


def _frames(contract: Contract, rows: Iterable[tuple[int, list[str]]], place: dict[int, str], width: int) -> Raw:
    parts: list[pl.DataFrame] = []
    ragged: list[tuple[int, tuple[str, ...]]] = []
    lines: list[int] = []
    kept: list[list[str]] = []
    for line, cells in rows:
        if not any(cells) or is_footnote(contract, cells):
            continue
        if len(cells) > width and any(cells[width:]):
            ragged.append((line, tuple(cells)))
            continue
        lines.append(line)
        kept.append(cells)
        if len(lines) >= CHUNK:
            parts.append(_table(lines, kept, place))
            lines, kept = [], []
    if lines:
        parts.append(_table(lines, kept, place))
    if not parts and not ragged:
        raise _no_rows()
    schema = {LINE: pl.Int64, **dict.fromkeys(place.values(), pl.String)}
    return Raw(pl.concat(parts) if parts else pl.DataFrame(schema=schema), None, tuple(ragged))


def wrong_encoding(contract: Contract) -> FileRefused:
    """The refusal of a file in none of the contract's encodings."""
    expected = " / ".join(contract.file.encoding)
    return FileRefused(
        f"编码既非 {expected}；请另存为其中之一 / not in the encoding {expected}; save the file in one of them"
    )


def _decode(contract: Contract, path: Path) -> str:
    data = path.read_bytes()
    if not data.strip():
        raise FileRefused("文件为空；请重新导出 / the file is empty; export it again")
    for encoding in contract.file.encoding:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise wrong_encoding(contract)


def _csv(contract: Contract, path: Path) -> Raw:
    reader = csv.reader(io.StringIO(_decode(contract, path), newline=""), delimiter=contract.file.delimiter)
    numbered: list[tuple[int, list[str]]] = []

    def rows() -> Iterator[tuple[int, list[str]]]:
        last = 0
        try:
            for cells in reader:
                yield last + 1, cells
                last = reader.line_num
        except csv.Error as error:
            raise FileRefused(
                f"第 {reader.line_num} 行起无法解析（{error}）；请检查引号 / unreadable from line {reader.line_num} on"
            ) from error

    stream = rows()
    head: list[list[str]] = []
    for line, cells in stream:
        numbered.append((line, cells))
        head.append(cells)
        if len(head) >= contract.file.header_search:
            break
    at, place = find_head(contract, head)
    width = max(len(numbered[at][1]), max(place) + 1)
    return _frames(contract, chain(numbered[at + 1 :], stream), place, width)


def _xlsx(contract: Contract, path: Path) -> Raw:
    import fastexcel

    if path.stat().st_size == 0:
        raise FileRefused("文件为空；请重新导出 / the file is empty; export it again")
    try:
        book = fastexcel.read_excel(path)
        name = contract.file.sheet or book.sheet_names[0]
        if name not in book.sheet_names:
            raise FileRefused(f"没有工作表 {name}；现有 {'、'.join(book.sheet_names)} / no sheet {name}")
        sheet = book.load_sheet(name, header_row=None, dtypes="string", skip_rows=0)
        table = sheet.to_polars()
    except FileRefused:
        raise
    except Exception as error:
        raise FileRefused(
            "不是完整的 xlsx 文件（可能被截断）；请重新导出 / not a complete xlsx file (truncated?); export it again"
        ) from error
    at, place = find_head(contract, table.head(contract.file.header_search + contract.file.header_rows).rows())
    return Raw(_below(contract, table, at, place), name)


def _below(contract: Contract, table: pl.DataFrame, at: int, place: dict[int, str]) -> pl.DataFrame:
    """The rows below row ``at`` (counted from 0) of a sheet read from its first line, without blank ones and footnotes."""
    cells = pl.all()
    texts = table.cast(pl.String).slice(at + 1)
    marked = texts.select(
        pl.any_horizontal(cells != "").fill_null(False).alias("any"),
        pl.sum_horizontal(cells.str.contains(r"[^\s\x00-\x1f]").fill_null(False)).alias("words"),
    )
    kept = marked["any"].to_numpy(writable=True)
    for row in (marked["words"] <= 2).arg_true():
        kept[row] = kept[row] and not is_footnote(contract, texts.row(row))
    lines = pl.int_range(at + 2, at + 2 + pl.len(), dtype=pl.Int64).alias(LINE)
    found = {head: pl.col(table.columns[position]) for position, head in place.items()}
    heads = [pl.when(cell != "").then(cell).alias(head) for head, cell in found.items()]
    frame = texts.select(lines, *heads).filter(pl.Series(kept))
    if frame.height == 0:
        raise _no_rows()
    return frame


def read_raw(contract: Contract, path: Path) -> Raw:
    """The text table of one file.

    Raises
    ------
    FileRefused
        Wrong encoding, missing column, not or not completely an xlsx file, no data.
    """
    return (_csv if contract.file.format == "csv" else _xlsx)(contract, path)
