"""Texts to phrases, compiled: folding, tokens, places and distinct phrases in one pass over UTF-8 bytes.

What a token is stands in :mod:`taxonomy.classifier.normalize`, whose tables these functions read; the same rules as
regular expressions, against which they are tested, in :mod:`taxonomy.classifier.normalize_reference`.
"""

from typing import Any, Final, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from taxonomy.classifier.kernel_text import I32, I64, U8

Mask = npt.NDArray[np.bool_]

# Properties of a character; above them, the row (from one) of the first word that begins with it.
BREAK: Final = 1
OPENS: Final = 2
CLOSES: Final = 4
ENDS_SENTENCE: Final = 8
ENDS_CLAUSE: Final = 16
LATIN: Final = 32
READABLE: Final = 64
WORD_SHIFT: Final = 8
PROPERTIES: Final = (1 << WORD_SHIFT) - 1
# What a word is.
CUE: Final = 1
BOILER: Final = 2
EXCEPT: Final = 4
CLAUSE: Final = 8
# Fields of texts (index into normalize.FIELDS) that are treated apart.
NAME: Final = 0
SCOPE: Final = 1
# Kinds of token.
_BEGINS_WORD: Final = ~PROPERTIES
_IS_BREAK: Final = 0
_IS_CLAUSE: Final = 1
_IS_PHRASE: Final = 2
NO_LABEL: Final = -1
LEFT_OUT: Final = -2
_MIX: Final = -7046029254386353131
_EXCEPT_SIGN: Final = ord("除")


class Tables(NamedTuple):
    """``fold`` by code point; ``props`` by folded code point of the basic plane; ``words`` in order, a row each: bits, size,
    code points, padded with zeros; ``forms`` (legal forms of names) alike."""

    fold: I32
    props: I32
    words: I32
    forms: I32


class Words(NamedTuple):
    """Distinct phrases behind a hash table: bytes, offsets, hashes, ``table`` of their numbers (-1: free)."""

    data: U8
    offsets: I64
    hashes: I64
    table: I64


class Found(NamedTuple):
    """Phrases in text order: row, field, first character, number of the distinct phrase, whether it is its row's first."""

    row: I32
    field: U8
    start: I32
    number: I32
    first: Mask


# Arrays are handed on one by one: a tuple of them costs more at each call than most of these functions do.


@numba.njit(cache=True, inline="always")  # type: ignore[untyped-decorator]
def _decoded(data: U8, p: int) -> tuple[Any, int]:  # pragma: no cover - compiled
    """The code point at byte ``p`` and its number of bytes."""
    lead = np.int64(data[p])
    if lead < 0x80:
        return lead, 1
    if lead < 0xE0:
        return ((lead & 0x1F) << 6) | (data[p + 1] & 0x3F), 2
    if lead < 0xF0:
        return ((lead & 0x0F) << 12) | ((data[p + 1] & 0x3F) << 6) | (data[p + 2] & 0x3F), 3
    code = ((lead & 0x07) << 18) | ((data[p + 1] & 0x3F) << 12) | ((data[p + 2] & 0x3F) << 6)
    return code | (data[p + 3] & 0x3F), 4


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _folded(
    data: U8, low: int, high: int, fold: I32, props: I32, codes: I32, kinds: I32
) -> int:  # pragma: no cover - compiled
    """Folded code points and their properties; how many."""
    n, p = 0, low
    while p < high:
        code, size = _decoded(data, p)
        # Nothing between these two is ever folded.
        if (code < 0x3400 or code >= 0xF900) and code < fold.shape[0]:
            code = np.int64(fold[code])
        codes[n] = code
        kinds[n] = props[code] if code < props.shape[0] else 0
        n += 1
        p += size
    return n


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _words_at(codes: I32, kinds: I32, p: int, n: int, words: I32) -> int:  # pragma: no cover - compiled
    """Bits of all words that begin at ``p``."""
    word, found = (kinds[p] >> WORD_SHIFT) - 1, 0
    while 0 <= word < words.shape[0] and words[word, 2] == codes[p]:
        size, same = words[word, 1], 1
        if p + size <= n:
            while same < size and codes[p + same] == words[word, 2 + same]:
                same += 1
            if same == size:
                found |= words[word, 0]
        word += 1
    return found


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _bracket(codes: I32, kinds: I32, p: int, n: int, words: I32) -> int:  # pragma: no cover - compiled
    """End of a bracket opened at ``p`` that holds a word of exclusion or approval; ``p`` if it is none."""
    end, found = p + 1, 0
    while end < n and kinds[end] & (OPENS | CLOSES) == 0:
        found |= _words_at(codes, kinds, end, n, words)
        end += 1
    if found & (CUE | BOILER | EXCEPT) == 0 or (end < n and kinds[end] & CLOSES == 0):
        return p
    return min(end + 1, n)


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _token(
    codes: I32, kinds: I32, p: int, n: int, words: I32
) -> tuple[int, int, int, int]:  # pragma: no cover - compiled
    """The token at ``p``: its kind, its end, the bits of its words, where its first cue stands (-1: none)."""
    if kinds[p] & OPENS:
        end = _bracket(codes, kinds, p, n, words)
        if end > p:
            return _IS_BREAK, end, 0, -1
    end, bits, cue = p, 0, -1
    if kinds[p] & BREAK:
        while end < n and kinds[end] & BREAK:
            end += 1
        return _IS_BREAK, end, 0, -1
    kind, stop = _IS_PHRASE, BREAK
    if _words_at(codes, kinds, p, n, words) & CLAUSE:
        kind, stop = _IS_CLAUSE, ENDS_CLAUSE
    while end < n:
        if kinds[end] & (stop | _BEGINS_WORD):
            if kinds[end] & stop:
                # A Latin word after a single space belongs to the phrase.
                joins = kind == _IS_PHRASE and codes[end] == 32 and end + 1 < n and kinds[end + 1] & LATIN != 0
                if not joins:
                    break
            here = _words_at(codes, kinds, end, n, words)
            if here & CUE and cue < 0:
                cue = end
            bits |= here
        end += 1
    return kind, end, bits, cue


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _without_form(codes: I32, p: int, end: int, forms: I32, reached: Mask) -> int:  # pragma: no cover - compiled
    """Where the legal forms that a name ends with begin."""
    reached[: end - p] = False
    reached[end - p] = True
    lowest, at = end, end
    while at >= lowest:
        if reached[at - p]:
            for form in range(forms.shape[0]):
                size, same = forms[form, 1], 0
                if at - size >= p:
                    while same < size and codes[at - size + same] == forms[form, 2 + same]:
                        same += 1
                    if same == size:
                        reached[at - size - p] = True
                        lowest = min(lowest, at - size)
        at -= 1
    return lowest


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _kept_end(
    codes: I32,
    kinds: I32,
    p: int,
    token: tuple[int, int, int, int],
    field: int,
    excluded: bool,
    forms: I32,
    reached: Mask,
) -> int:  # pragma: no cover - compiled
    """Where the phrase of a token ends; ``p`` if it is none."""
    kind, end, bits, cue = token
    if kind != _IS_PHRASE:
        return p
    if field == SCOPE:
        if excluded or bits & EXCEPT or codes[p] == _EXCEPT_SIGN:
            return p
        end = cue if cue >= 0 else end
    elif field == NAME:
        end = _without_form(codes, p, end, forms, reached)
    readable = 0
    for at in range(p, end):
        readable |= kinds[at]
    return end if readable & READABLE and end > p + 1 else p


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _encoded(codes: I32, low: int, high: int, data: U8, at: int) -> tuple[int, Any]:  # pragma: no cover - compiled
    """Write code points as UTF-8 from ``at`` on: where they end, and their hash."""
    h = np.int64(0)
    for i in range(low, high):
        code = np.int64(codes[i])
        h = (h ^ code) * _MIX
        if code < 0x80:
            data[at] = code
            at += 1
        elif code < 0x800:
            data[at], data[at + 1] = 0xC0 | (code >> 6), 0x80 | (code & 0x3F)
            at += 2
        elif code < 0x10000:
            data[at], data[at + 1] = 0xE0 | (code >> 12), 0x80 | ((code >> 6) & 0x3F)
            data[at + 2] = 0x80 | (code & 0x3F)
            at += 3
        else:
            data[at], data[at + 1] = 0xF0 | (code >> 18), 0x80 | ((code >> 12) & 0x3F)
            data[at + 2], data[at + 3] = 0x80 | ((code >> 6) & 0x3F), 0x80 | (code & 0x3F)
            at += 4
    return at, h ^ (h >> 32)


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _placed(
    known: U8, offsets: I64, hashes: I64, table: I64, h: int, data: U8, low: int, high: int, floor: int
) -> tuple[int, int]:  # pragma: no cover - compiled
    """The place in the table and the number of a phrase; -1 where it is not there. Numbers below ``floor`` are forgotten."""
    mask = table.shape[0] - 1
    at = h & mask
    while True:
        number = table[at]
        if number < floor:
            return at, -1
        start, same = offsets[number], 0
        if hashes[number] == h and offsets[number + 1] - start == high - low:
            while same < high - low and known[start + same] == data[low + same]:
                same += 1
            if same == high - low:
                return at, number
        at = (at + 1) & mask


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _larger(hashes: I64, table: I64, floor: int, count: int) -> I64:  # pragma: no cover - compiled
    """A table of twice the size with the numbers from ``floor`` on."""
    larger = np.full(2 * table.shape[0], -1, dtype=np.int64)
    mask = larger.shape[0] - 1
    for number in range(floor, count):
        at = hashes[number] & mask
        while larger[at] >= 0:
            at = (at + 1) & mask
        larger[at] = number
    return larger


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def hash_words(data: U8, offsets: I64) -> Words:  # pragma: no cover - compiled
    """Distinct words behind a hash table."""
    count, size = offsets.shape[0] - 1, 16
    while size < 2 * count:
        size *= 2
    hashes, table = np.empty(count, dtype=np.int64), np.full(size, -1, dtype=np.int64)
    for number in range(count):
        h, p = np.int64(0), offsets[number]
        while p < offsets[number + 1]:
            code, length = _decoded(data, p)
            h = (h ^ code) * _MIX
            p += length
        hashes[number] = h ^ (h >> 32)
        at, _ = _placed(data, offsets, hashes, table, hashes[number], data, offsets[number], offsets[number + 1], 0)
        table[at] = number
    return Words(data, offsets, hashes, table)


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _room(total: int, texts: int) -> tuple[Found, Words]:  # pragma: no cover - compiled
    """Space for all phrases there can be: a phrase has two characters and a break or the end behind it. What is not used
    is never touched, so it costs no memory."""
    room = total // 3 + texts + 1
    found = Found(
        np.empty(room, dtype=np.int32),
        np.empty(room, dtype=np.uint8),
        np.empty(room, dtype=np.int32),
        np.empty(room, dtype=np.int32),
        np.empty(room, dtype=np.bool_),
    )
    offsets = np.empty(room + 1, dtype=np.int64)
    offsets[0] = 0
    data, table = np.empty(2 * total + 8, dtype=np.uint8), np.full(4096, -1, dtype=np.int64)
    return found, Words(data, offsets, np.empty(room, dtype=np.int64), table)


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def split(
    data: U8,
    low: I64,
    high: I64,
    row: I32,
    field: U8,
    tables: Tables,
    known: Words,
    label: I32,
    probe: int,
    worth: float,
) -> tuple[Found, U8, I64, I32]:  # pragma: no cover - compiled
    """Phrases of the texts ``data[low[i]:high[i]]``; the distinct ones' bytes, offsets and labels.

    A phrase found again has the number it had. If, of the first ``probe`` phrases, a share of less than ``worth`` were
    found again, later ones are looked for within their own row only.
    """
    total, longest = 0, 1
    for i in range(low.shape[0]):
        total += high[i] - low[i]
        longest = max(longest, high[i] - low[i])
    codes, kinds = np.empty(longest, dtype=np.int32), np.empty(longest, dtype=np.int32)
    reached = np.empty(longest + 1, dtype=np.bool_)
    found, words = _room(total, low.shape[0])
    of_row, of_field, start, of_number, first = found
    text, offsets, hashes, table = words
    known_text, known_offsets, known_hashes, known_table = known
    fold, props, listed, forms = tables
    labels, last_row = np.empty_like(of_row), np.empty_like(of_row)
    count, distinct, floor, remember = 0, 0, 0, True
    for i in range(low.shape[0]):
        n, p, excluded = _folded(data, low[i], high[i], fold, props, codes, kinds), 0, False
        if not remember and row[i] != row[i - 1]:
            floor = distinct
        while p < n:
            token = _token(codes, kinds, p, n, listed)
            stop = _kept_end(codes, kinds, p, token, field[i], excluded, forms, reached)
            if stop > p:
                begin = offsets[distinct]
                finish, h = _encoded(codes, p, stop, text, begin)
                at, number = _placed(text, offsets, hashes, table, h, text, begin, finish, floor)
                if number < 0:
                    number = distinct
                    table[at], hashes[number], offsets[number + 1], last_row[number] = number, h, finish, -1
                    entry = _placed(known_text, known_offsets, known_hashes, known_table, h, text, begin, finish, 0)[1]
                    labels[number] = label[entry] if entry >= 0 else NO_LABEL
                    distinct += 1
                    if 2 * (distinct - floor) > table.shape[0]:
                        table = _larger(hashes, table, floor, distinct)
                if labels[number] != LEFT_OUT:
                    of_row[count], of_field[count], start[count], of_number[count] = row[i], field[i], p, number
                    first[count], last_row[number] = last_row[number] != row[i], row[i]
                    count += 1
                    remember &= count != probe or distinct <= (1.0 - worth) * probe
            second = p + 1 < token[1] and kinds[p] & OPENS == 0 and kinds[p + 1] & ENDS_SENTENCE != 0
            excluded &= token[0] != _IS_BREAK or not (second or kinds[p] & ENDS_SENTENCE != 0)
            excluded |= token[3] >= 0
            p = token[1]
    kept = Found(of_row[:count], of_field[:count], start[:count], of_number[:count], first[:count])
    return kept, text[: offsets[distinct]], offsets[: distinct + 1], labels[:distinct]
