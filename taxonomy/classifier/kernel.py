"""Scores of many phrases at once: a fused numba kernel over UTF-8 bytes, equal to scikit-learn's hashing.

The n-grams are the character 2- and 3-grams of a phrase, hashed by MurmurHash3 (seed 0) into ``2**bits`` buckets as
``sklearn.feature_extraction.text.HashingVectorizer(analyzer="char", ngram_range=(2, 3), alternate_sign=False)`` does.
A phrase's score is the sum of its n-grams' weight rows divided by the square root of their number.
"""

from typing import Final

import numba
import numpy as np
import numpy.typing as npt
import polars as pl

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
NGRAMS: Final = (2, 3)


@numba.njit(cache=True, inline="always")  # type: ignore[untyped-decorator]
def _rotl(x: np.uint32, r: np.uint32) -> np.uint32:  # pragma: no cover - compiled
    return np.uint32((x << r) | (x >> (np.uint32(32) - r)))


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def murmur3(data: npt.NDArray[np.uint8], lo: int, hi: int) -> np.int32:  # pragma: no cover - compiled
    """MurmurHash3 x86 32 bit, seed 0, of ``data[lo:hi]``."""
    c1, c2 = np.uint32(0xCC9E2D51), np.uint32(0x1B873593)
    h = np.uint32(0)
    n = hi - lo
    for block in range(n // 4):
        p = lo + 4 * block
        k = (
            np.uint32(data[p])
            | (np.uint32(data[p + 1]) << np.uint32(8))
            | (np.uint32(data[p + 2]) << np.uint32(16))
            | (np.uint32(data[p + 3]) << np.uint32(24))
        )
        k = np.uint32(np.uint32(k) * c1)
        k = np.uint32(_rotl(k, np.uint32(15)) * c2)
        h = np.uint32(h ^ k)
        h = np.uint32(_rotl(h, np.uint32(13)) * np.uint32(5) + np.uint32(0xE6546B64))
    p = lo + 4 * (n // 4)
    tail = n % 4
    k = np.uint32(0)
    if tail >= 3:
        k = np.uint32(k ^ (np.uint32(data[p + 2]) << np.uint32(16)))
    if tail >= 2:
        k = np.uint32(k ^ (np.uint32(data[p + 1]) << np.uint32(8)))
    if tail >= 1:
        k = np.uint32(k ^ np.uint32(data[p]))
        k = np.uint32(k * c1)
        h = np.uint32(h ^ np.uint32(_rotl(k, np.uint32(15)) * c2))
    h = np.uint32(h ^ np.uint32(n))
    h = np.uint32(h ^ (h >> np.uint32(16)))
    h = np.uint32(h * np.uint32(0x85EBCA6B))
    h = np.uint32(h ^ (h >> np.uint32(13)))
    h = np.uint32(h * np.uint32(0xC2B2AE35))
    h = np.uint32(h ^ (h >> np.uint32(16)))
    return np.int32(h)


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _score(
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int64],
    slot: I32,
    weights: F64,
    scores: F64,
    seen: I32,
    total: I32,
) -> None:  # pragma: no cover - compiled
    width = weights.shape[1]
    buckets = slot.shape[0]
    starts = np.empty(4096, dtype=np.int64)
    for i in range(offsets.shape[0] - 1):
        chars = 0
        for p in range(offsets[i], offsets[i + 1]):
            if (data[p] & 0xC0) != 0x80 and chars < 4095:
                starts[chars] = p
                chars += 1
        if chars < 4095:
            starts[chars] = offsets[i + 1]
        else:
            chars = 4094
        for size in range(2, 4):
            for j in range(chars - size + 1):
                h = np.int64(murmur3(data, starts[j], starts[j + size]))
                row = slot[abs(h) % buckets]
                total[i] += 1
                if row >= 0:
                    seen[i] += 1
                    for c in range(width):
                        scores[i, c] += weights[row, c]
        if total[i] > 0:
            scale = 1.0 / np.sqrt(float(total[i]))
            for c in range(width):
                scores[i, c] *= scale


def score_phrases(phrases: pl.Series, slot: I32, weights: F64) -> tuple[F64, I32, I32]:
    """Class scores of phrases.

    Parameters
    ----------
    phrases
        Folded phrases without nulls (String), each shorter than 4,094 characters (a longer tail is not read).
    slot
        Shape ``(2**bits,)``: row of ``weights`` for each bucket, -1 where training never saw it.
    weights
        Shape ``(n_seen, n_classes)``.

    Returns
    -------
    tuple
        scores ``(n, n_classes)``, seen n-grams ``(n,)``, all n-grams ``(n,)``.
    """
    n = len(phrases)
    encoded = phrases.cast(pl.Binary)
    data = np.frombuffer(b"".join(encoded.to_list()), dtype=np.uint8)
    offsets = np.zeros(n + 1, dtype=np.int64)
    np.cumsum(phrases.str.len_bytes().to_numpy(), out=offsets[1:])
    scores = np.zeros((n, weights.shape[1]))
    seen, total = np.zeros(n, dtype=np.int32), np.zeros(n, dtype=np.int32)
    _score(data, offsets, slot, weights, scores, seen, total)
    return scores, seen, total
