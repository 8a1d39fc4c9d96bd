"""Large delimited files block by block: the rows that :mod:`etl.reading.raw` would give, in bounded memory."""

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from etl.contract import Contract
from etl.reading.raw import LINE, FileRefused, Raw, find_head, is_footnote, wrong_encoding

if TYPE_CHECKING:
    from etl.reading.tokens import Tokens

MIN_BYTES: Final = 8 << 20
"""Smaller files are read cell by cell: compiled code has nothing to gain there."""
BLOCK_BYTES: Final = 16 << 20


def suits(contract: Contract, path: Path) -> bool:
    """Whether a file is to be read block by block (a mark for 同上 may refer to the block before: then it is not)."""
    file = contract.file
    plain = file.delimiter.isascii() and file.delimiter not in '"\r\n'
    large = file.format == "csv" and path.stat().st_size >= MIN_BYTES
    return large and plain and not any(column.ditto for column in contract.columns)


def _utf8_blocks(path: Path, encoding: str) -> Iterator[tuple[bytes, bool]]:
    """The text as UTF-8, and whether it is the end. UnicodeDecodeError where the file is not in ``encoding``."""
    decoder = codecs.getincrementaldecoder(encoding)(errors="strict")
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield decoder.decode(block).encode(), False
    yield decoder.decode(b"", final=True).encode(), True


def _encoding(contract: Contract, path: Path) -> str:
    """The contract's first encoding that the whole file is in (a row may not be taken before that is known)."""
    for encoding in contract.file.encoding:
        try:
            for _ in _utf8_blocks(path, encoding):
                pass
        except UnicodeDecodeError:
            continue
        return encoding
    raise wrong_encoding(contract)


def blocks(contract: Contract, path: Path) -> Iterator[Raw]:
    """The data rows of one file, some tens of thousands at a time.

    Raises
    ------
    FileRefused
        Wrong encoding, missing column, no data; a quote never closed, after the blocks before it.
    """
    from etl.reading.tokens import cells, tokenise

    place: dict[int, str] | None = None
    width, line, rest, found = 0, 1, b"", False
    for block, final in _utf8_blocks(path, _encoding(contract, path)):
        data = rest + block
        tokens = tokenise(data, contract.file.delimiter, line, final=final)
        if tokens.failed:
            raise FileRefused(
                f"第 {tokens.failed} 行起无法解析（引号未闭合）；请检查引号 / unreadable from line {tokens.failed} on"
            )
        rest, line, skip = data[tokens.used :], tokens.line, 0
        if place is None:
            count = min(len(tokens.records), contract.file.header_search)
            head = [cells(tokens, record) for record in range(count)]
            at, place = find_head(contract, head)
            width, skip = max(len(head[at]), max(place) + 1), at + 1
        raw = _raw(contract, tokens, place, width, skip)
        if raw.frame.height or raw.ragged:
            found = True
            yield raw
    if not found:
        raise FileRefused("没有数据行；请检查是否为空表 / no data rows; check that the right file was sent")


def _raw(contract: Contract, tokens: "Tokens", place: dict[int, str], width: int, skip: int) -> Raw:
    """Rows of one block: blank lines and footnotes left out, rows with more cells than heads apart."""
    from etl.reading.tokens import cells, column

    stop = tokens.records
    start = np.concatenate([np.zeros(1, dtype=np.int64), stop[:-1]]) if len(stop) else stop
    bounds = np.concatenate([np.zeros(1, dtype=np.int64), tokens.ends])
    kept = bounds[stop] > bounds[start]
    kept[:skip] = False
    for record in np.flatnonzero(kept & (tokens.words <= 2)).tolist():
        kept[record] = not is_footnote(contract, cells(tokens, record))
    surplus = kept & (bounds[stop] > bounds[np.minimum(start + width, stop)])
    ragged = tuple((int(tokens.lines[r]), tuple(cells(tokens, r))) for r in np.flatnonzero(surplus).tolist())
    rows = np.flatnonzero(kept & ~surplus)
    columns = [column(tokens, position, rows).alias(name) for position, name in place.items()]
    return Raw(pl.DataFrame([pl.Series(LINE, tokens.lines[rows]), *columns]), None, ragged)
