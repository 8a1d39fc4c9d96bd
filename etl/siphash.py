"""SipHash-2-4 with 128 bits (Aumasson and Bernstein 2012), compiled, one digest a text.

Why this one: polars' and Arrow's own hashes may change with their version, ``hashlib`` costs a Python call a row, and a
stored digest must mean the same for years. The tests hold it against the vectors its authors published.
"""

from typing import Final

import numba
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

U8 = npt.NDArray[np.uint8]
I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]
KEY: Final = bytes(range(16))
"""The key of the published vectors; nothing secret is meant."""
_HEX: Final = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)


@numba.njit(cache=True, inline="always")  # type: ignore[untyped-decorator]
def _rotl(x: np.uint64, r: int) -> np.uint64:  # pragma: no cover - compiled
    return (x << np.uint64(r)) | (x >> np.uint64(64 - r))


@numba.njit(cache=True, inline="always")  # type: ignore[untyped-decorator]
def _round(a: np.uint64, b: np.uint64, c: np.uint64, d: np.uint64) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    a += b  # pragma: no cover - compiled
    b = _rotl(b, 13) ^ a
    a = _rotl(a, 32)
    c += d
    d = _rotl(d, 16) ^ c
    a += d
    d = _rotl(d, 21) ^ a
    c += b
    b = _rotl(b, 17) ^ c
    c = _rotl(c, 32)
    return a, b, c, d


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _digests(data: U8, offsets: I64, k0: np.uint64, k1: np.uint64, out: U64) -> None:  # pragma: no cover - compiled
    """Digest ``i`` of ``data[offsets[i]:offsets[i + 1]]`` as two little-endian words in ``out[i]``."""
    for i in range(len(offsets) - 1):
        lo, hi = offsets[i], offsets[i + 1]
        a = np.uint64(0x736F6D6570736575) ^ k0
        b = np.uint64(0x646F72616E646F6D) ^ k1 ^ np.uint64(0xEE)
        c = np.uint64(0x6C7967656E657261) ^ k0
        d = np.uint64(0x7465646279746573) ^ k1
        whole = (hi - lo) // 8
        for word in range(whole):
            p = lo + 8 * word
            m = np.uint64(0)
            for j in range(8):
                m |= np.uint64(data[p + j]) << np.uint64(8 * j)
            d ^= m
            a, b, c, d = _round(a, b, c, d)
            a, b, c, d = _round(a, b, c, d)
            a ^= m
        m = np.uint64((hi - lo) & 0xFF) << np.uint64(56)
        for j in range((hi - lo) % 8):
            m |= np.uint64(data[lo + 8 * whole + j]) << np.uint64(8 * j)
        d ^= m
        a, b, c, d = _round(a, b, c, d)
        a, b, c, d = _round(a, b, c, d)
        a ^= m
        c ^= np.uint64(0xEE)
        for _ in range(4):
            a, b, c, d = _round(a, b, c, d)
        out[i, 0] = a ^ b ^ c ^ d
        b ^= np.uint64(0xDD)
        for _ in range(4):
            a, b, c, d = _round(a, b, c, d)
        out[i, 1] = a ^ b ^ c ^ d


def siphash128(texts: pl.Series, key: bytes = KEY) -> pl.Series:
    """Digest of the UTF-8 bytes of each text as 32 hex digits; null stays null. ``key`` has 16 bytes."""
    if len(key) != 16:
        raise ValueError(f"a SipHash key has 16 bytes, not {len(key)}")
    array = texts.fill_null("").to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.large_string())
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    _, offsets_buffer, data_buffer = array.buffers()
    offsets = np.frombuffer(offsets_buffer, dtype=np.int64)[array.offset : array.offset + len(array) + 1]
    data = np.frombuffer(data_buffer, dtype=np.uint8) if data_buffer is not None else np.empty(0, dtype=np.uint8)
    k0, k1 = np.frombuffer(key, dtype="<u8")
    out = np.empty((len(array), 2), dtype="<u8")
    if len(array):
        _digests(data, offsets, k0, k1, out)
    octets = out.view(np.uint8).reshape(len(array), 16)
    signs = np.empty((len(array), 32), dtype=np.uint8)
    signs[:, ::2], signs[:, 1::2] = _HEX[octets >> 4], _HEX[octets & 15]
    ends = pa.py_buffer(np.arange(len(array) + 1, dtype=np.int64) * 32)
    digests = pl.Series(pa.LargeStringArray.from_buffers(len(array), ends, pa.py_buffer(signs)))
    return pl.select(pl.when(texts.is_not_null()).then(digests)).to_series().alias(texts.name)
