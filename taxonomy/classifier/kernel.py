"""Scores of many phrases at once: a fused numba kernel over UTF-8 bytes, equal to scikit-learn's hashing.

The n-grams are the character 2- and 3-grams of a phrase, hashed by MurmurHash3 (seed 0) into ``2**bits`` buckets as
``sklearn.feature_extraction.text.HashingVectorizer(analyzer="char", ngram_range=(2, 3), alternate_sign=False)`` does.
A phrase's score is the sum of its n-grams' weight rows divided by the square root of their number.
"""

from collections.abc import Mapping
from typing import Final

import numba
import numpy as np
import numpy.typing as npt
import polars as pl

from taxonomy.classifier.kernel_parts import Sparse
from taxonomy.classifier.kernel_text import F64, I32, I64, U8, Texts, utf8

NGRAMS: Final = (2, 3)
LONGEST: Final = 4095


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
def _grams(
    data: U8, low: int, high: int, slot: I32, starts: I64, rows: I64
) -> tuple[int, int]:  # pragma: no cover - compiled
    """Rows of the weights of a phrase's n-grams into ``rows``: how many were found, how many n-grams there are."""
    mask, chars = slot.shape[0] - 1, 0
    for p in range(low, high):
        if (data[p] & 0xC0) != 0x80 and chars < LONGEST:
            starts[chars] = p
            chars += 1
    if chars < LONGEST:
        starts[chars] = high
    else:
        chars = LONGEST - 1
    seen, total = 0, 0
    for size in range(2, 4):
        for j in range(chars - size + 1):
            h = np.int64(murmur3(data, starts[j], starts[j + size]))
            rows[seen] = slot[abs(h) & mask]
            total += 1
            seen += rows[seen] >= 0
    return seen, total


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _scored(rows: I64, seen: int, total: int, weights: F64, scores: F64) -> None:  # pragma: no cover - compiled
    """Scores ``(n_classes,)`` of one phrase from :func:`_grams`."""
    width = weights.shape[1]
    for c in range(width):
        scores[c] = 0.0
    for j in range(seen):
        row = np.uint64(rows[j])
        for c in range(width):
            scores[c] += weights[row, np.uint64(c)]
    scale = 1.0 / np.sqrt(float(max(total, 1)))
    for c in range(width):
        scores[c] *= scale


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _score(
    data: U8, offsets: I64, slot: I32, weights: F64, scores: F64, seen: I32, total: I32
) -> None:  # pragma: no cover - compiled
    starts, rows = np.empty(LONGEST + 1, dtype=np.int64), np.empty(2 * LONGEST, dtype=np.int64)
    one = np.empty(weights.shape[1])
    for i in range(offsets.shape[0] - 1):
        seen[i], total[i] = _grams(data, offsets[i], offsets[i + 1], slot, starts, rows)
        _scored(rows, seen[i], total[i], weights, one)
        for c in range(one.shape[0]):
            scores[i, c] = one[c]


def score_phrases(phrases: Texts, slot: I32, weights: F64) -> tuple[F64, I32, I32]:
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
    if n == 0:
        return np.zeros((0, weights.shape[1])), np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int32)
    data, offsets = utf8(phrases)
    scores = np.zeros((n, weights.shape[1]))
    seen, total = np.zeros(n, dtype=np.int32), np.zeros(n, dtype=np.int32)
    _score(data, offsets, slot, weights, scores, seen, total)
    return scores, seen, total


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _margins(
    data: U8, offsets: I64, slot: I32, weights: F64, scale: float, floor: float, cap: float, min_share: float
) -> tuple[Sparse, F64]:  # pragma: no cover - compiled
    n, width = offsets.shape[0] - 1, weights.shape[1] - 1
    starts, rows = np.empty(LONGEST + 1, dtype=np.int64), np.empty(2 * LONGEST, dtype=np.int64)
    at, share, scores = np.zeros(n + 1, dtype=np.int64), np.empty(n), np.empty(width + 1)
    column, value = np.empty(1024 + width, dtype=np.int64), np.empty(1024 + width)
    count = 0
    for i in range(n):
        seen, total = _grams(data, offsets[i], offsets[i + 1], slot, starts, rows)
        share[i] = seen / max(total, 1)
        if not share[i] < min_share:
            _scored(rows, seen, total, weights, scores)
            for c in range(width):
                margin = scale * (scores[c + 1] - scores[0]) - floor
                if margin > 0.0:
                    column[count], value[count] = c, min(margin, cap)
                    count += 1
            if count + width > column.shape[0]:
                column, value = np.append(column, np.empty_like(column)), np.append(value, np.empty_like(value))
        at[i + 1] = count
    return Sparse(at, column[:count].copy(), value[:count].copy()), share


def phrase_margins(phrases: Texts, slot: I32, weights: F64, rule: Mapping[str, float]) -> tuple[Sparse, F64]:
    """What phrases say for each class over the first one, ``(n, n_classes - 1)``, and their share of n-grams ever seen.

    ``scale`` times the difference of the scores of :func:`score_phrases`, less ``floor``, between zero and ``cap``; none
    where the share is below ``min_seen_share``. Only these few numbers are kept, never the scores of all phrases.
    """
    data, offsets = utf8(phrases)
    scale, floor, cap, share = (float(rule[name]) for name in ("scale", "floor", "cap", "min_seen_share"))
    result: tuple[Sparse, F64] = _margins(data, offsets, slot, weights, scale, floor, cap, share)
    return result


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _sort(values: I64, spare: I64, count: int, limit: int) -> I64:  # pragma: no cover - compiled
    """The first ``count`` values, each below ``limit``, in order (radix sort; either array may hold the result)."""
    places, shift = np.empty(65, dtype=np.int64), 0
    while limit >> shift > 0:
        places[:] = 0
        for i in range(count):
            places[((values[i] >> shift) & 63) + 1] += 1
        for digit in range(64):
            places[digit + 1] += places[digit]
        for i in range(count):
            digit = (values[i] >> shift) & 63
            spare[places[digit]] = values[i]
            places[digit] += 1
        values, spare, shift = spare, values, shift + 6
    return values


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _field_buckets(
    data: U8, offsets: I64, first: int, last: int, low: int, high: int, buckets: int, starts: I64, found: I64
) -> int:  # pragma: no cover - compiled
    """Buckets of the n-grams, sizes ``low`` to ``high``, of some phrases: how many."""
    count = 0
    for phrase in range(first, last):
        chars = 0
        for p in range(offsets[phrase], offsets[phrase + 1]):
            if (data[p] & 0xC0) != 0x80:
                starts[chars] = p
                chars += 1
        starts[chars] = offsets[phrase + 1]
        for size in range(low, high + 1):
            for j in range(chars - size + 1):
                found[count] = abs(np.int64(murmur3(data, starts[j], starts[j + size]))) & (buckets - 1)
                count += 1
    return count


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _score_fields(
    data: U8,
    offsets: I64,
    row: I64,
    number: I64,
    sizes: I64,
    length: F64,
    idf: F64,
    slot: I32,
    weights: F64,
    scores: F64,
) -> None:  # pragma: no cover - compiled
    buckets = slot.shape[0] // sizes.shape[0]  # a power of two
    found, spare, starts = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    value, n, first, last = np.empty(0), row.shape[0], 0, 0
    while first < n:
        while last < n and row[last] == row[first] and number[last] == number[first]:
            last += 1
        block = number[first]
        low, high = sizes[block, 0], sizes[block, 1]
        room = (offsets[last] - offsets[first]) * (high - low + 1)
        if room >= found.shape[0]:
            found, spare = np.empty(2 * room + 1, dtype=np.int64), np.empty(2 * room + 1, dtype=np.int64)
            starts, value = np.empty(2 * room + 1, dtype=np.int64), np.empty(2 * room + 1)
        count = _field_buckets(data, offsets, first, last, low, high, buckets, starts, found)
        grams = _sort(found, spare, count, buckets - 1)
        square, at, distinct = 0.0, 0, 0
        while at < count:
            end = at + 1
            while end < count and grams[end] == grams[at]:
                end += 1
            gram = grams[at] + block * buckets
            often = 1.0 + np.log(float(end - at)) if end > at + 1 else 1.0
            square += (often * idf[gram]) * (often * idf[gram])
            grams[distinct], value[distinct] = gram, often
            distinct += 1
            at = end
        if square > 0.0:
            scale = length[block] / np.sqrt(square)
            for at in range(distinct):
                place = slot[grams[at]]
                if place >= 0:
                    adds = scale * value[at] * idf[grams[at]]
                    for c in range(weights.shape[1]):
                        scores[row[first], c] += adds * weights[place, c]
        first = last


def score_fields(
    phrases: pl.Series,
    row: npt.NDArray[np.int64],
    number: npt.NDArray[np.int64],
    rows: int,
    sizes: npt.NDArray[np.int64],
    length: F64,
    idf: F64,
    slot: I32,
    weights: F64,
    bias: F64,
) -> F64:
    """Scores ``(rows, classes)`` of units from their phrases, sorted by ``row`` and field ``number``.

    Each field's n-grams (``sizes`` ``(fields, 2)``) weigh ``(1 + ln tf) · idf``, scaled to ``length`` ``(fields,)``;
    see :class:`taxonomy.classifier.textmodel.TextModel`.
    """
    scores = np.tile(bias, (rows, 1))
    if len(phrases):
        data, offsets = utf8(phrases)
        _score_fields(data, offsets, row, number, sizes, length, idf, slot, weights, scores)
    return scores


def gram_positions(phrases: list[str], ngrams: tuple[int, int], buckets: int) -> list[tuple[int, int, int, str, int]]:
    """Every n-gram of phrases: number of the phrase, characters ``start``-``end``, text, bucket."""
    found = []
    for at, phrase in enumerate(phrases):
        for size in range(ngrams[0], ngrams[1] + 1):
            for start in range(len(phrase) - size + 1):
                text = phrase[start : start + size]
                raw = np.frombuffer(text.encode(), dtype=np.uint8)
                bucket = abs(int(murmur3(raw, 0, len(raw)))) % buckets
                found.append((at, start, start + size, text, bucket))
    return found
