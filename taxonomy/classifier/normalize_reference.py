"""Text to phrases by regular expressions: the reference implementation of :func:`taxonomy.classifier.normalize.phrase_frame`.

It is several times slower than the compiled one, which is tested to be equal to it.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from taxonomy.classifier.normalize import APPROVALS, BREAKS, CLAUSES, CUES, LEGAL_FORMS, fold

Mask = npt.NDArray[np.bool_]
_BREAKS: Final = "".join(rf"\{c}" if c in "[]" else c for c in BREAKS)
_CUE: Final = "|".join(CUES)
_BOILER: Final = "|".join(APPROVALS)
_EXCLUDED_BRACKET: Final = rf"[(\[【][^()\[\]【】]*(?:{_CUE}|除外|以外|{_BOILER})[^()\[\]【】]*(?:[)\]】]|$)"
_CLAUSE: Final = rf"(?:{'|'.join(CLAUSES)})"
_TILE: Final = (
    rf"{_EXCLUDED_BRACKET}|{_CLAUSE}(?:[^;。:()\[\]【】]*)|[{_BREAKS}\s]+"
    rf"|[^{_BREAKS}\s]+(?: [a-z0-9][^{_BREAKS}\s]*)*"
)
_LEGAL_FORM: Final = rf"(?:{'|'.join(LEGAL_FORMS)})+$"


@dataclass(frozen=True)
class _Kinds:
    """What each token is: its length in characters, a run of breaks, one that ends a sentence, a word of exclusion."""

    length: npt.NDArray[np.int64]
    is_break: Mask
    is_strong: Mask
    cue: Mask


def reference_phrase_frame(texts: pl.DataFrame, generic: frozenset[str] = frozenset()) -> pl.DataFrame:
    """As :func:`taxonomy.classifier.normalize.phrase_frame`."""
    tokens = (
        texts.select("row", "field", fold(pl.col("text")).str.extract_all(_TILE).alias("phrase"))
        .with_row_index("text_id")
        .explode("phrase")
        .filter(pl.col("phrase").is_not_null())
    )
    if tokens.height == 0:
        return tokens.select("row", "field", pl.lit(0, pl.UInt32).alias("start"), "phrase")
    phrase, scope = tokens["phrase"], (tokens["field"] == 1).to_numpy()
    is_break = phrase.str.contains(rf"^[{_BREAKS}\s]").to_numpy()
    kinds = _Kinds(
        length=phrase.str.len_chars().to_numpy().astype(np.int64),
        is_break=is_break,
        is_strong=_matching(phrase, is_break, r"^[^\[(【][;。\n]|^[;。\n]"),
        cue=phrase.str.contains_any(list(CUES)).to_numpy(),
    )
    is_clause = _matching(phrase, ~is_break, rf"^{_CLAUSE}")
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
