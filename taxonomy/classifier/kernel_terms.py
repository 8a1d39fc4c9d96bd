"""Terms of a lexicon in many texts at once: one compiled pass over UTF-8 bytes."""

import numba
import numpy as np
import numpy.typing as npt

from taxonomy.classifier.kernel import Texts, utf8


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

    def find(self, texts: Texts) -> npt.NDArray[np.int64]:
        """Shape ``(hits, 3)``: row, term, first character, in text order."""
        if len(texts) == 0 or len(self._order) == 0:
            return np.empty((0, 3), dtype=np.int64)
        data, offsets = utf8(texts)
        found = np.empty((max(1024, len(texts)), 3), dtype=np.int64)
        count = _find_terms(data, offsets, self._first, self._group, self._data, self._offsets, self._order, found)
        if count > found.shape[0]:
            found = np.empty((count, 3), dtype=np.int64)
            _find_terms(data, offsets, self._first, self._group, self._data, self._offsets, self._order, found)
        return found[:count]
