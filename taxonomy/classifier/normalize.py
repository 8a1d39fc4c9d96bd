"""Text to phrases (经营范围拆分): fold width and case, drop boilerplate and exclusions, split, keep offsets.

Folding is character by character and keeps the length of the text, so an offset in the folded text is the offset in
the original text. A character whose NFKC form is longer than one character (``㈱``, ``㎡``) becomes a space.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

Mask = npt.NDArray[np.bool_]
FIELDS: Final = ("name", "scope", "product", "filing")
_BREAKS: Final = r";。,、\n|/:()\[\]【】{}<>《》〈〉“”\"'‘’!?·•●■◆★※~`"
_CUE: Final = r"不包括|不含|不从事|不得|不涉及|不设|不经营|未经"
_BOILER: Final = (
    r"依法须经批准|依法须批准|相关部门批准|审批机关批准|许可证|有效期|行政法规|国务院决定|专营|限制项目|另行申报|市场主体自主|"
    r"凭有效|资质证书|自主开展经营|取得许可|国家禁止|国家法律|法律法规"
)
_EXCLUDED_BRACKET: Final = rf"[(\[【][^()\[\]【】]*(?:{_CUE}|除外|以外|{_BOILER})[^()\[\]【】]*(?:[)\]】]|$)"
_CLAUSE: Final = (
    r"(?:依法须经批准的项目|法律、?(?:行政)?法规|国务院决定|凭许可证|一般经营项目|许可经营项目|一般项目|许可项目)"
)
_CLAUSE_WORDS: Final = ["依法须经", "法律", "国务院", "凭许可证", "一般", "许可"]
_TILE: Final = (
    rf"{_EXCLUDED_BRACKET}|{_CLAUSE}(?:[^;。:()\[\]【】]*)|[{_BREAKS}\s]+"
    rf"|[^{_BREAKS}\s]+(?: [a-z0-9][^{_BREAKS}\s]*)*"
)
_LEGAL_FORM: Final = (
    r"(?:股份有限责任公司|集团股份有限公司|股份有限公司|有限责任公司|集团有限公司|有限公司|分公司|合伙企业|股份公司)+$"
)
_LETTERS: Final = re.compile(r"[一-鿿a-z]")


@dataclass(frozen=True)
class _Kinds:
    """What each token is: its length in characters, a run of breaks, one that ends a sentence, a word of exclusion."""

    length: npt.NDArray[np.int64]
    is_break: Mask
    is_strong: Mask
    cue: Mask


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


def fold_text(text: str) -> str:
    """The same for one Python string."""
    table = fold_table()
    return "".join(table.get(char, char) for char in text)


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
    tokens = (
        texts.select("row", "field", fold(pl.col("text")).str.extract_all(_TILE).alias("phrase"))
        .with_row_index("text_id")
        .explode("phrase")
        .filter(pl.col("phrase").is_not_null())
    )
    if tokens.height == 0:
        return _no_phrases()
    phrase, scope = tokens["phrase"], (tokens["field"] == 1).to_numpy()
    is_break = phrase.str.contains(rf"^[{_BREAKS}\s]").to_numpy()
    kinds = _Kinds(
        length=phrase.str.len_chars().to_numpy().astype(np.int64),
        is_break=is_break,
        is_strong=_matching(phrase, is_break, r"^[^\[(【][;。\n]|^[;。\n]"),
        cue=phrase.str.contains_any(_CUE.split("|")).to_numpy(),
    )
    is_clause = _matching(phrase, phrase.str.contains_any(_CLAUSE_WORDS).to_numpy(), rf"^{_CLAUSE}")
    excepted = _matching(phrase, scope & phrase.str.contains_any(["除", "以外"]).to_numpy(), r"除外|以外|^除")
    start, is_open = _offsets(tokens["text_id"].to_numpy(), kinds)
    keep = ~(is_break | is_clause | (scope & (excepted | is_open)))
    phrases = tokens.with_columns(
        start=pl.Series(start, dtype=pl.UInt32),
        phrase=_cut(
            _cut(phrase, keep & scope & kinds.cue, rf"(?:{_CUE}).*$"),
            keep & (tokens["field"] == 0).to_numpy(),
            _LEGAL_FORM,
        ),
    ).filter(pl.Series(keep))
    phrases = phrases.filter(pl.col("phrase").str.contains(r"[一-鿿a-z]") & (pl.col("phrase").str.len_chars() > 1))
    if generic:
        phrases = phrases.filter(~pl.col("phrase").is_in(sorted(generic)))
    return phrases.select("row", "field", "start", "phrase")


def _matching(phrase: pl.Series, candidate: Mask, pattern: str) -> Mask:
    """Whether phrases match a pattern; only candidates are looked at, for regular expressions are slow."""
    found = np.zeros(len(phrase), dtype=bool)
    at = np.flatnonzero(candidate)
    found[at] = phrase.gather(at).str.contains(pattern).to_numpy()
    return found


def _cut(phrase: pl.Series, chosen: Mask, pattern: str) -> pl.Series:
    """Cut what matches the pattern off the chosen phrases."""
    at = np.flatnonzero(chosen)
    return phrase.clone().scatter(at, phrase.gather(at).str.replace(pattern, "")) if len(at) else phrase


def phrases_of(texts: list[str]) -> list[list[str]]:
    """Phrases of each scope-like text, folded (the form the model is trained on)."""
    schema = {"row": pl.UInt32, "field": pl.UInt8, "text": pl.String}
    frame = pl.DataFrame({"row": range(len(texts)), "field": [1] * len(texts), "text": texts}, schema=schema)
    found: list[list[str]] = [[] for _ in texts]
    for row, phrase in phrase_frame(frame).select("row", "phrase").iter_rows():
        found[row].append(phrase)
    return found


def _no_phrases() -> pl.DataFrame:
    return pl.DataFrame(schema={"row": pl.UInt32, "field": pl.UInt8, "start": pl.UInt32, "phrase": pl.String})


def _offsets(text_id: npt.NDArray[np.uint32], kinds: _Kinds) -> tuple[npt.NDArray[np.int64], Mask]:
    """Character offset of each token in its text, and whether an exclusion word stands open before it."""
    first = np.empty(len(kinds.length), dtype=bool)
    first[0] = True
    first[1:] = text_id[1:] != text_id[:-1]
    before = np.cumsum(kinds.length) - kinds.length
    start = before - before[np.maximum.accumulate(np.where(first, np.arange(len(first)), 0))]
    cue = kinds.cue & ~kinds.is_break
    opened: npt.NDArray[np.int64] = np.cumsum(cue) - cue
    sentence = first | kinds.is_strong
    at_sentence = np.maximum.accumulate(np.where(sentence, np.arange(len(first)), 0))
    return start, opened > opened[at_sentence]


def readable_chars(text: str) -> int:
    """Chinese characters and letters in a text, after folding."""
    return len(_LETTERS.findall(fold_text(text)))
