"""Columns of strings as the bytes and offsets that compiled functions read."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

Texts: TypeAlias = pl.Series | pa.Array | pa.ChunkedArray
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]


def utf8(texts: Texts) -> tuple[U8, I64]:
    """The bytes of a column of strings and the offsets of its rows in them, shape ``(n + 1,)``; a null is empty.

    An Arrow array of strings, whole or a slice, is read where it lies; a polars column, an array of several chunks and one
    with nulls are copied once. No Python string is made.
    """
    array = _arrow(texts) if isinstance(texts, pl.Series) else texts
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0) if array.num_chunks == 1 else array.combine_chunks()
    if array.null_count or not (pa.types.is_large_string(array.type) or pa.types.is_string(array.type)):
        array = _arrow(pl.Series(pl.from_arrow(array)))
    _, places, content = array.buffers()
    kind = np.int64 if pa.types.is_large_string(array.type) else np.int32
    offsets = np.zeros(1, dtype=np.int64)
    if len(array):
        offsets = np.frombuffer(places, dtype=kind, count=len(array) + 1, offset=array.offset * kind().itemsize)
    data = np.zeros(0, dtype=np.uint8) if content is None else np.frombuffer(content, dtype=np.uint8)
    result = data.view(), offsets.astype(np.int64, copy=False).view()
    for part in result:
        part.flags.writeable = False
    return result


def _arrow(texts: pl.Series) -> pa.LargeStringArray:
    # Not by pyarrow's own functions: they import pandas where it is installed.
    return texts.cast(pl.String).fill_null("").to_arrow(compat_level=pl.CompatLevel.oldest())


def strings(data: U8, offsets: I64) -> pa.LargeStringArray:
    """The Arrow array of strings that lies in these buffers."""
    return pa.LargeStringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data))
