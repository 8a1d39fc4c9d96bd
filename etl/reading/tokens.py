"""Delimited text → cells, compiled: the state machine of Python's ``csv`` reader (excel dialect) over UTF-8 bytes.

``csv`` itself is the reference: the tests hold both against each other, sign by sign. A line ends at ``\\n``, ``\\r`` or
``\\r\\n``, also inside quotes; a quote inside an unquoted cell stands for itself; a doubled quote inside quotes is one.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numba
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
FIELD_LIMIT: Final = 131_072
"""Characters in one cell, as in ``csv``: more means that a quote was never closed."""
_START, _PLAIN, _QUOTED, _CLOSED = 0, 1, 2, 3
_NEWLINE, _RETURN, _QUOTE = 10, 13, 34


@dataclass(frozen=True)
class Tokens:
    """Complete records of a block.

    ``text`` holds all cells one after another; cell ``c`` is ``text[ends[c-1]:ends[c]]``; record ``r`` has the cells
    ``records[r-1]:records[r]`` and starts in line ``lines[r]`` of the file; ``words[r]`` counts its cells that surely
    hold more than white space. ``used`` bytes were read, ``line`` lines ended; ``failed`` is the line of a cell too long.
    """

    text: U8
    ends: I64
    records: I64
    lines: I64
    words: I64
    used: int
    line: int
    failed: int


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _tokenise(
    data: U8, delimiter: int, line: int, final: bool, text: U8, ends: I64, records: I64, lines: I64, words: I64
) -> tuple[int, int, int, int, int, int]:  # pragma: no cover - compiled
    """Fill the arrays; ``(cells, records, text bytes, used, line, failed)`` of the last complete record."""
    n = len(data)
    state, at, cells, rows = _START, 0, 0, 0
    row_line, signs, word, row_words = line, 0, False, 0
    done = (0, 0, 0, 0, line)
    i = 0
    while i < n:
        c = data[i]
        end_of_line = c in (_NEWLINE, _RETURN)
        width = 1
        if c == _RETURN:
            if i + 1 == n and not final:
                break
            if i + 1 < n and data[i + 1] == _NEWLINE:
                width = 2
        if state == _QUOTED and c != _QUOTE:
            for k in range(width):
                text[at] = data[i + k]
                at += 1
            signs += width if (c & 0xC0) != 0x80 else 0
            word = word or (c > 32 and c < 127) or c >= 0xE4
            line += 1 if end_of_line else 0
        elif state == _QUOTED:
            state = _CLOSED
        elif state == _START and c == _QUOTE:
            state = _QUOTED
        elif state == _CLOSED and c == _QUOTE:
            text[at] = c
            at += 1
            signs += 1
            word = True
            state = _QUOTED
        elif c == delimiter or end_of_line:
            empty_line = end_of_line and state == _START and cells == done[0]
            if not empty_line:
                ends[cells] = at
                cells += 1
                row_words += 1 if word else 0
            state, signs, word = _START, 0, False
            if end_of_line:
                line += 1
                records[rows], lines[rows], words[rows] = cells, row_line, row_words
                rows += 1
                row_line, row_words = line, 0
                done = (cells, rows, at, i + width, line)
        else:
            text[at] = c
            at += 1
            signs += 1 if (c & 0xC0) != 0x80 else 0
            word = word or (c > 32 and c < 127) or c >= 0xE4
            state = _PLAIN
        if signs > FIELD_LIMIT:
            return done[0], done[1], done[2], done[3], done[4], line
        i += width
    if final and (state != _START or cells > done[0]):
        ends[cells] = at
        cells += 1
        records[rows], lines[rows], words[rows] = cells, row_line, row_words + (1 if word else 0)
        done = (cells, rows + 1, at, n, line)
    return done[0], done[1], done[2], done[3], done[4], 0


def tokenise(data: bytes, delimiter: str, line: int, *, final: bool) -> Tokens:
    """The complete records at the head of ``data`` (UTF-8), which starts in ``line``; all of it when ``final``.

    ``delimiter`` is one ASCII sign. A blank line is a record without cells.
    """
    block = np.frombuffer(data, dtype=np.uint8)
    breaks = int(np.count_nonzero((block == _NEWLINE) | (block == _RETURN))) + 1
    most = int(np.count_nonzero(block == ord(delimiter))) + breaks + 1
    text = np.empty(len(block), dtype=np.uint8)
    ends = np.empty(most, dtype=np.int64)
    records, lines, words = (np.empty(breaks + 1, dtype=np.int64) for _ in range(3))
    cells, rows, at, used, line, failed = _tokenise(
        block, ord(delimiter), line, final, text, ends, records, lines, words
    )
    return Tokens(text[:at], ends[:cells], records[:rows], lines[:rows], words[:rows], used, line, failed)


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _gather(text: U8, ends: I64, first: I64, count: I64, place: int, rows: I64, out: U8, offsets: I64) -> None:
    """Copy cell ``place`` of each row of ``rows``, empty where a row is shorter."""  # pragma: no cover - compiled
    at = 0
    for k in range(len(rows)):
        r = rows[k]
        if place < count[r]:
            c = first[r] + place
            start = ends[c - 1] if c > 0 else 0
            size = ends[c] - start
            out[at : at + size] = text[start : start + size]
            at += size
        offsets[k + 1] = at


def column(tokens: Tokens, place: int, rows: I64) -> pl.Series:
    """Cell ``place`` of the given records as text, null where it is empty or absent."""
    first = (
        np.concatenate([np.zeros(1, dtype=np.int64), tokens.records[:-1]]) if len(tokens.records) else tokens.records
    )
    count = tokens.records - first
    here = rows[count[rows] > place]
    cell = first[here] + place
    size = int((tokens.ends[cell] - np.where(cell > 0, tokens.ends[np.maximum(cell - 1, 0)], 0)).sum())
    out = np.empty(size, dtype=np.uint8)
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    _gather(tokens.text, tokens.ends, first, count, place, rows, out, offsets)
    array = pa.LargeStringArray.from_buffers(len(rows), pa.py_buffer(offsets), pa.py_buffer(out))
    series = pl.Series(array)
    return pl.select(pl.when(series != "").then(series)).to_series()


def cells(tokens: Tokens, record: int) -> list[str]:
    """The cells of one record."""
    stop = int(tokens.records[record])
    start = int(tokens.records[record - 1]) if record else 0
    bounds = [int(tokens.ends[start - 1]) if start else 0, *tokens.ends[start:stop].tolist()]
    return [tokens.text[a:b].tobytes().decode() for a, b in pairwise(bounds)]
