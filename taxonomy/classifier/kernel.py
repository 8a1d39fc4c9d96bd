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
    if n == 0:
        return np.zeros((0, weights.shape[1])), np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int32)
    data, offsets = utf8(phrases)
    scores = np.zeros((n, weights.shape[1]))
    seen, total = np.zeros(n, dtype=np.int32), np.zeros(n, dtype=np.int32)
    _score(data, offsets, slot, weights, scores, seen, total)
    return scores, seen, total


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _score_fields(
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int64],
    row: npt.NDArray[np.int64],
    number: npt.NDArray[np.int64],
    sizes: npt.NDArray[np.int64],
    length: F64,
    idf: F64,
    slot: I32,
    weights: F64,
    scores: F64,
) -> None:  # pragma: no cover - compiled
    buckets = slot.shape[0] // sizes.shape[0]
    width = weights.shape[1]
    found = np.empty(1024, dtype=np.int64)
    starts = np.empty(1024, dtype=np.int64)
    n = row.shape[0]
    first = 0
    while first < n:
        last = first
        while last < n and row[last] == row[first] and number[last] == number[first]:
            last += 1
        block = number[first]
        count = 0
        for phrase in range(first, last):
            span = offsets[phrase + 1] - offsets[phrase]
            if span + 1 > starts.shape[0]:
                starts = np.empty(2 * (span + 1), dtype=np.int64)
            chars = 0
            for p in range(offsets[phrase], offsets[phrase + 1]):
                if (data[p] & 0xC0) != 0x80:
                    starts[chars] = p
                    chars += 1
            starts[chars] = offsets[phrase + 1]
            need = count + chars * (sizes[block, 1] - sizes[block, 0] + 1)
            if need > found.shape[0]:
                larger = np.empty(2 * need, dtype=np.int64)
                larger[:count] = found[:count]
                found = larger
            for size in range(sizes[block, 0], sizes[block, 1] + 1):
                for j in range(chars - size + 1):
                    h = np.int64(murmur3(data, starts[j], starts[j + size]))
                    bucket = abs(h) % buckets + block * buckets
                    if idf[bucket] > 0.0:
                        found[count] = bucket
                        count += 1
        grams = np.sort(found[:count])
        square = 0.0
        at = 0
        while at < count:
            end = at
            while end < count and grams[end] == grams[at]:
                end += 1
            value = (1.0 + np.log(float(end - at))) * idf[grams[at]]
            square += value * value
            at = end
        if square > 0.0:
            scale = length[block] / np.sqrt(square)
            at = 0
            while at < count:
                end = at
                while end < count and grams[end] == grams[at]:
                    end += 1
                place = slot[grams[at]]
                if place >= 0:
                    value = scale * (1.0 + np.log(float(end - at))) * idf[grams[at]]
                    for c in range(width):
                        scores[row[first], c] += value * weights[place, c]
                at = end
        first = last


def utf8(phrases: pl.Series) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The bytes of a string column and the offsets of its rows, shape ``(n + 1,)``, without a Python string made."""
    array = phrases.cast(pl.String).to_arrow(compat_level=pl.CompatLevel.oldest())
    buffers = array.buffers()
    offsets = np.frombuffer(buffers[1], dtype=np.int64)[array.offset : array.offset + len(array) + 1]
    data = np.frombuffer(buffers[2], dtype=np.uint8) if buffers[2] is not None else np.zeros(0, dtype=np.uint8)
    return data, offsets


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


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def add_phrases(
    micro: npt.NDArray[np.int64],
    row: npt.NDArray[np.int64],
    phrase: npt.NDArray[np.int64],
    weight: F64,
    margin: F64,
) -> None:  # pragma: no cover - compiled
    """Add ``weight × margin[phrase]`` in millionths to ``micro[row]`` for every occurrence of a phrase."""
    for i in range(row.shape[0]):
        for c in range(micro.shape[1]):
            value = margin[phrase[i], c]
            if value != 0.0:
                micro[row[i], c] += np.int64(np.rint(weight[i] * value * 1e6))


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def add_terms(
    micro: npt.NDArray[np.int64],
    row: npt.NDArray[np.int64],
    term: npt.NDArray[np.int64],
    weight: F64,
    term_weight: F64,
) -> None:  # pragma: no cover - compiled
    """Add ``weight × term_weight[term]`` in millionths to ``micro[row]`` for every concept of a row."""
    for i in range(row.shape[0]):
        for c in range(micro.shape[1]):
            value = term_weight[term[i], c]
            if value != 0.0:
                micro[row[i], c] += np.int64(np.rint(weight[i] * value * 1e6))
