"""Text to phrases (经营范围拆分): fold width and case, drop boilerplate and exclusions, split, keep offsets.

Folding is character by character and keeps the length of the text, so an offset in the folded text is the offset in
the original text. A character whose NFKC form is longer than one character (``㈱``, ``㎡``) becomes a space.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from taxonomy.classifier import kernel_split
from taxonomy.classifier.kernel_split import LEFT_OUT, Tables, Words, hash_words, split
from taxonomy.classifier.kernel_text import strings, utf8

FIELDS: Final = ("name", "scope", "product", "filing")
BREAKS: Final = ";。,、\n|/:()[]【】{}<>《》〈〉“”\"'‘’!?·•●■◆★※~`"
SPACES: Final = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
CUES: Final = ("不包括", "不含", "不从事", "不得", "不涉及", "不设", "不经营", "未经")
EXCEPTIONS: Final = ("除外", "以外")
APPROVALS: Final = (
    "依法须经批准", "依法须批准", "相关部门批准", "审批机关批准", "许可证", "有效期", "行政法规", "国务院决定", "专营", "限制项目",
    "另行申报", "市场主体自主", "凭有效", "资质证书", "自主开展经营", "取得许可", "国家禁止", "国家法律", "法律法规",
)  # fmt: skip
CLAUSES: Final = (
    "依法须经批准的项目", "法律法规", "法律、法规", "法律行政法规", "法律、行政法规", "国务院决定", "凭许可证", "一般经营项目",
    "许可经营项目", "一般项目", "许可项目",
)  # fmt: skip
LEGAL_FORMS: Final = (
    "股份有限责任公司", "集团股份有限公司", "股份有限公司", "有限责任公司", "集团有限公司", "有限公司", "分公司", "合伙企业", "股份公司",
)  # fmt: skip
PROBE: Final = 2_000
WORTH_A_CACHE: Final = 0.25
_LETTERS: Final = re.compile(r"[一-鿿a-z]")


@cache
def fold_table() -> dict[str, str]:
    """Characters that change when folded (NFKC, lower case, marks to space), each to exactly one character."""
    table: dict[str, str] = {}
    for point in [*range(0x20, 0x3400), *range(0xF900, 0x10000), *range(0x2F800, 0x2FA20)]:
        char = chr(point)
        if unicodedata.category(char) in {"Cn", "Co", "Cs"}:
            continue
        folded = unicodedata.normalize("NFKC", char).lower()
        if len(folded) != 1 or unicodedata.category(folded)[0] in "CM":
            folded = " "
        if folded != char:
            table[char] = folded
    table |= {"\t": " ", "\r": "\n", "^": " ", "〓": " ", "_": " "}
    return table


def fold(text: pl.Expr) -> pl.Expr:
    """Fold width, case and compatibility forms of a string column; the number of characters stays."""
    table = fold_table()
    return text.str.replace_many(list(table), list(table.values()))


@cache
def _translation() -> dict[int, str]:
    return str.maketrans(dict(fold_table()))


def fold_text(text: str) -> str:
    """The same for one Python string."""
    return text.translate(_translation())


@cache
def _tables() -> Tables:
    """What the compiled splitter reads."""
    table = fold_table()
    folded = np.arange(1 + max(map(ord, table)), dtype=np.int32)
    folded[[ord(char) for char in table]] = [ord(char) for char in table.values()]
    props = np.zeros(0x10000, dtype=np.int32)
    letters, han = [chr(c) for c in range(ord("a"), ord("z") + 1)], [chr(c) for c in range(0x4E00, 0xA000)]
    sets = {
        kernel_split.BREAK: BREAKS + SPACES, kernel_split.OPENS: "([【", kernel_split.CLOSES: ")]】",
        kernel_split.ENDS_SENTENCE: ";。\n", kernel_split.ENDS_CLAUSE: ";。:()[]【】",
        kernel_split.LATIN: "".join(letters) + "0123456789", kernel_split.READABLE: "".join(letters + han),
    }  # fmt: skip
    for bit, chars in sets.items():
        props[[ord(char) for char in chars]] |= bit
    bits: dict[str, int] = {}
    kinds = {
        CUES: kernel_split.CUE,
        APPROVALS: kernel_split.BOILER,
        EXCEPTIONS: kernel_split.EXCEPT,
        CLAUSES: kernel_split.CLAUSE,
    }
    for words, bit in kinds.items():
        for word in words:
            bits[word] = bits.get(word, 0) | bit
    ordered = sorted(bits)
    for number, word in reversed(list(enumerate(ordered, start=1))):
        props[ord(word[0])] = (props[ord(word[0])] & kernel_split.PROPERTIES) | (number << kernel_split.WORD_SHIFT)
    return Tables(
        folded, props, _rows(ordered, [bits[word] for word in ordered]), _rows(LEGAL_FORMS, [0] * len(LEGAL_FORMS))
    )


def _rows(words: Sequence[str], bits: Sequence[int]) -> npt.NDArray[np.int32]:
    table = np.zeros((len(words), 2 + max(map(len, words))), dtype=np.int32)
    for at, (word, bit) in enumerate(zip(words, bits, strict=True)):
        table[at, : 2 + len(word)] = [bit, len(word), *map(ord, word)]
    return table


@dataclass(frozen=True)
class Vocabulary:
    """Phrases known beforehand: those left out (``generic``), those with a number of their own (``numbered``)."""

    words: Words
    label: npt.NDArray[np.int32]

    @classmethod
    def of(cls, generic: Iterable[str] = (), numbered: Sequence[str] = ()) -> "Vocabulary":
        """``numbered`` phrases are found by their position, unless they are generic."""
        labels = {phrase: number for number, phrase in enumerate(numbered)} | dict.fromkeys(generic, LEFT_OUT)
        data, offsets = utf8(pl.Series(list(labels), dtype=pl.String))
        return cls(hash_words(data.copy(), offsets.copy()), np.array(list(labels.values()), dtype=np.int32))


@dataclass(frozen=True)
class Phrases:
    """Phrases in the order of the texts, one entry an occurrence, as arrays.

    ``row``, ``field``, ``start`` (character of the original text), ``number`` (of the distinct phrase), ``first``
    (whether the phrase has not stood in its row before); ``distinct`` the phrases themselves, folded, and ``label`` what
    the vocabulary calls them (-1: unknown). A phrase may have several numbers, though only one in a row.
    """

    row: npt.NDArray[np.int32]
    field: npt.NDArray[np.uint8]
    start: npt.NDArray[np.int32]
    number: npt.NDArray[np.int32]
    first: npt.NDArray[np.bool_]
    distinct: pa.LargeStringArray
    label: npt.NDArray[np.int32]

    @cached_property
    def _column(self) -> pl.Series:
        return pl.Series("phrase", pl.from_arrow(self.distinct), dtype=pl.String)

    def text(self, numbers: npt.NDArray[np.signedinteger]) -> pl.Series:
        """The distinct phrases of these numbers."""
        return self._column.gather(pl.Series(numbers))

    def frame(self) -> pl.DataFrame:
        """Columns ``row``, ``field``, ``start``, ``phrase``."""
        row, start = pl.Series(self.row, dtype=pl.UInt32), pl.Series(self.start, dtype=pl.UInt32)
        return pl.DataFrame({"row": row, "field": self.field, "start": start, "phrase": self.text(self.number)})


def split_texts(
    columns: Sequence[pl.Series], fields: Sequence[npt.NDArray[np.uint8]], row: npt.NDArray[np.int32], known: Vocabulary
) -> Phrases:
    """Phrases of rows of texts, in the order of the rows and, within them, of ``columns``.

    Parameters
    ----------
    columns
        Texts (String, nulls allowed), each of the length of ``row``.
    fields
        Position of each text in :data:`FIELDS`, one array a column.
    row
        Number of each row.
    known
        Phrases to leave out, phrases to label.
    """
    buffers = [utf8(column) for column in columns]
    shift = np.cumsum([0, *(len(data) for data, _ in buffers)])
    low = np.stack([offsets[:-1] + s for (_, offsets), s in zip(buffers, shift, strict=False)], axis=1).ravel()
    high = np.stack([offsets[1:] + s for (_, offsets), s in zip(buffers, shift, strict=False)], axis=1).ravel()
    data = np.concatenate([data for data, _ in buffers])
    rows, of_field = np.repeat(row, len(columns)), np.stack(fields, axis=1).ravel()
    found, text, offsets, label = split(
        data, low, high, rows, of_field, _tables(), known.words, known.label, PROBE, WORTH_A_CACHE
    )
    return Phrases(found.row, found.field, found.start, found.number, found.first, strings(text, offsets), label)


def phrase_frame(texts: pl.DataFrame, generic: frozenset[str] = frozenset()) -> pl.DataFrame:
    """Split texts into phrases.

    Parameters
    ----------
    texts
        Columns ``row`` (UInt32), ``field`` (UInt8, index into ``FIELDS``), ``text`` (String, not null); in the
        order wanted for the result.
    generic
        Folded phrases that say nothing about the industry (技术咨询, 货物进出口); they are left out.

    Returns
    -------
    pl.DataFrame
        ``row``, ``field``, ``start`` (character offset in the original text), ``phrase`` (folded), in text order.
        Approval clauses, bracketed exclusions and lists after 不含/不包括/不从事 are not among them.
    """
    field, row = texts["field"].to_numpy(), texts["row"].to_numpy().astype(np.int32)
    return split_texts([texts["text"]], [field], row, Vocabulary.of(generic)).frame()


def phrases_of(texts: list[str]) -> list[list[str]]:
    """Phrases of each scope-like text, folded (the form the model is trained on)."""
    schema = {"row": pl.UInt32, "field": pl.UInt8, "text": pl.String}
    frame = pl.DataFrame({"row": range(len(texts)), "field": [1] * len(texts), "text": texts}, schema=schema)
    found: list[list[str]] = [[] for _ in texts]
    for row, phrase in phrase_frame(frame).select("row", "phrase").iter_rows():
        found[row].append(phrase)
    return found


def readable_chars(text: str) -> int:
    """Chinese characters and letters in a text, after folding."""
    return len(_LETTERS.findall(fold_text(text)))
