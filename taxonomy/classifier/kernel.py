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
def margins(
    scores: F64, keep: npt.NDArray[np.bool_], scale: float, floor: float, cap: float
) -> F64:  # pragma: no cover - compiled
    """``scale`` times each class's score over the first one's, less ``floor``, between zero and ``cap``; zero unless kept."""
    n, width = scores.shape[0], scores.shape[1] - 1
    result = np.zeros((n, width))
    for i in range(n):
        if keep[i]:
            for c in range(width):
                value = scale * (scores[i, c + 1] - scores[i, 0]) - floor
                if value > 0.0:
                    result[i, c] = min(value, cap)
    return result


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


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _find_terms(
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int64],
    first: npt.NDArray[np.int32],
    group: npt.NDArray[np.int64],
    term_data: npt.NDArray[np.uint8],
    term_offsets: npt.NDArray[np.int64],
    order: npt.NDArray[np.int64],
    found: npt.NDArray[np.int64],
) -> int:  # pragma: no cover - compiled
    room, count = found.shape[0], 0
    for i in range(offsets.shape[0] - 1):
        char, p, stop = 0, offsets[i], offsets[i + 1]
        while p < stop:
            lead = data[p]
            size, key = 1, np.int64(lead)
            if lead >= 0xF0:
                size = 4
            elif lead >= 0xE0:
                size = 3
                key = ((lead & 0x0F) << 12) | ((data[p + 1] & 0x3F) << 6) | (data[p + 2] & 0x3F)
            elif lead >= 0xC0:
                size = 2
                key = ((lead & 0x1F) << 6) | (data[p + 1] & 0x3F)
            slot = first[key]
            if slot >= 0:
                for g in range(group[slot], group[slot + 1]):
                    term = order[g]
                    low, high = term_offsets[term], term_offsets[term + 1]
                    if p + high - low <= stop:
                        q = low + size
                        while q < high and term_data[q] == data[p + q - low]:
                            q += 1
                        if q == high:
                            if count < room:
                                found[count, 0], found[count, 1], found[count, 2] = i, term, char
                            count += 1
            p += size
            char += 1
    return count


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def largest(values: F64, count: int) -> npt.NDArray[np.int64]:  # pragma: no cover - compiled
    """Positions of the ``count`` largest values of each row, largest first, ties by position."""
    result = np.empty((values.shape[0], count), dtype=np.int64)
    for i in range(values.shape[0]):
        held = 0
        for c in range(values.shape[1]):
            at = held
            while at > 0 and values[i, c] > values[i, result[i, at - 1]]:
                at -= 1
            if at < count:
                last = min(held, count - 1)
                for j in range(last, at, -1):
                    result[i, j] = result[i, j - 1]
                result[i, at] = c
                held = min(held + 1, count)
    return result


class TermFinder:
    """Finds every occurrence of every term, overlaps included, in one pass over UTF-8 bytes.

    Terms are grouped by their first character, looked up in a table of the basic plane: a text costs little more than
    counting its characters, however many terms there are.

    Raises
    ------
    ValueError
        If a term is empty, stands twice, or begins outside the basic plane.
    """

    def __init__(self, terms: list[str]) -> None:
        if len(set(terms)) < len(terms) or any(not t or ord(t[0]) > 0xFFFF for t in terms):
            raise ValueError("terms must be unique, not empty and begin with a character of the basic plane")
        heads = sorted({t[0] for t in terms})
        self._first: npt.NDArray[np.int32] = np.full(0x10000, -1, dtype=np.int32)
        self._first[[ord(h) for h in heads]] = np.arange(len(heads), dtype=np.int32)
        ordered = sorted(range(len(terms)), key=lambda i: (terms[i][0], i))
        self._order = np.array(ordered, dtype=np.int64)
        sizes = [sum(1 for t in terms if t[0] == h) for h in heads]
        self._group = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        encoded = [t.encode() for t in terms]
        self._data = np.frombuffer(b"".join(encoded) or b"\0", dtype=np.uint8)
        self._offsets = np.concatenate([[0], np.cumsum([len(e) for e in encoded])]).astype(np.int64)

    def find(self, texts: pl.Series) -> npt.NDArray[np.int64]:
        """Shape ``(hits, 3)``: row, term, first character, in text order; texts without nulls."""
        if len(texts) == 0 or len(self._order) == 0:
            return np.empty((0, 3), dtype=np.int64)
        data, offsets = utf8(texts)
        found = np.empty((max(1024, len(texts)), 3), dtype=np.int64)
        count = _find_terms(data, offsets, self._first, self._group, self._data, self._offsets, self._order, found)
        if count > found.shape[0]:
            found = np.empty((count, 3), dtype=np.int64)
            _find_terms(data, offsets, self._first, self._group, self._data, self._offsets, self._order, found)
        return found[:count]
