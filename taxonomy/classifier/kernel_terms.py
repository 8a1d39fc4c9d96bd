"""Terms of a lexicon in many texts at once: one compiled pass over UTF-8 bytes."""

import numba
import numpy as np
import numpy.typing as npt

from taxonomy.classifier.kernel_text import I64, U8, Texts, utf8

U16 = npt.NDArray[np.uint16]
_ONE, _TWO, _SIX, _TWELVE = (np.uint64(n) for n in (1, 2, 6, 12))
_NO_CHARACTER = np.uint64(0xD800)
_LOW_4, _LOW_6 = np.uint64(0x0F), np.uint64(0x3F)


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _find_terms(
    data: U8, offsets: I64, head: U16, group: I64, term_data: U8, term_offsets: I64, order: I64, found: I64
) -> int:  # pragma: no cover - compiled
    count = 0
    for i in range(offsets.shape[0] - 1):
        p, stop, char, counted = offsets[i], offsets[i + 1], 0, offsets[i]
        while p < stop:
            # Unsigned numbers: a signed index is compared with zero each time.
            at = np.uint64(p)
            lead = np.uint64(data[at])
            size, key = 1, lead
            if lead >= 0xF0:
                size, key = 4, _NO_CHARACTER
            elif lead >= 0xE0:
                size, second, third = 3, np.uint64(data[at + _ONE]), np.uint64(data[at + _TWO])
                key = ((lead & _LOW_4) << _TWELVE) | ((second & _LOW_6) << _SIX) | (third & _LOW_6)
            elif lead >= 0x80:
                size, key = 2, ((lead & _LOW_6) << _SIX) | (np.uint64(data[at + _ONE]) & _LOW_6)
            number = head[key]
            if number > 0:
                for term in range(group[number - 1], group[number]):
                    low, last = term_offsets[term] + size, term_offsets[term + 1] - 1
                    shift = p + size - low
                    if shift + last < stop:
                        # From the end: the last byte tells most.
                        while last >= low and term_data[last] == data[shift + last]:
                            last -= 1
                        if last < low:
                            while counted < p:
                                char += (data[counted] & 0xC0) != 0x80
                                counted += 1
                            if count < found.shape[0]:
                                found[count, 0], found[count, 1], found[count, 2] = i, order[term], char
                            count += 1
            p += size
    return count


class TermFinder:
    """Finds every occurrence of every term, overlaps included, in one pass over UTF-8 bytes.

    Terms are grouped by their first character. Which begin with a character stands in a table of the basic plane: a text costs little more than stepping over its characters, however many terms there are.

    Raises
    ------
    ValueError
        If a term is empty, stands twice, or begins outside the basic plane.
    """

    def __init__(self, terms: list[str]) -> None:
        if len(set(terms)) < len(terms) or any(not t or ord(t[0]) > 0xFFFF for t in terms):
            raise ValueError("terms must be unique, not empty and begin with a character of the basic plane")
        heads = sorted({t[0] for t in terms})
        self._head = np.zeros(0x10000, dtype=np.uint16)
        self._head[[ord(h) for h in heads]] = np.arange(1, len(heads) + 1)
        self._order = np.array(sorted(range(len(terms)), key=lambda i: (terms[i][0], i)), dtype=np.int64)
        sizes = [sum(1 for t in terms if t[0] == h) for h in heads]
        self._group = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        encoded = [terms[i].encode() for i in self._order]
        self._data = np.frombuffer(b"".join(encoded) or b"\0", dtype=np.uint8)
        self._offsets = np.concatenate([[0], np.cumsum([len(e) for e in encoded])]).astype(np.int64)

    def find(self, texts: Texts) -> npt.NDArray[np.int64]:
        """Shape ``(hits, 3)``: row, term, first character, in text order."""
        if len(texts) == 0 or len(self._order) == 0:
            return np.empty((0, 3), dtype=np.int64)
        data, offsets = utf8(texts)
        tables = self._head, self._group, self._data, self._offsets, self._order
        found = np.empty((max(1024, len(texts)), 3), dtype=np.int64)
        count = _find_terms(data, offsets, *tables, found)
        if count > found.shape[0]:
            found = np.empty((count, 3), dtype=np.int64)
            _find_terms(data, offsets, *tables, found)
        return found[:count]
