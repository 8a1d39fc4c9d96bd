"""Scores of a slice of units, and what they are made of.

A unit's score for a leaf is ``bias + code rule + unit model + Σ over its distinct phrases of field weight × (dictionary
+ model) + Σ over the distinct concepts of the lexicon``; *none* scores zero. Every part is an integer number of
millionths before it is summed: the result does not depend on the batch, its size or the order of rows, and evidence
adds up exactly. What the text of an algorithm filing adds is kept apart as well: no unit is coded by it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from taxonomy.classifier.bundle import Bundle
from taxonomy.classifier.evidence import MICRO, Parts
from taxonomy.classifier.kernel import phrase_margins
from taxonomy.classifier.kernel_parts import Sparse, add_parts, parts_of
from taxonomy.classifier.normalize import FIELDS, Phrases, split_texts
from taxonomy.classifier.textmodel import TextModel
from taxonomy.classifier.unit import sides, unit_phrases

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
TEXTS: Final = {"name": "name", "business_scope": "scope", "main_products": "product", "filing_text": "filing"}
FILING: Final = FIELDS.index("filing")
FIELD_NAMES: Final = (*FIELDS, "gbt_code", "")
KIND: Final = pl.Enum(["code", "dictionary", "lexicon", "model", "unit"])


@dataclass(frozen=True)
class Scored:
    """Scores of a slice in millionths, shape ``(n, leaves)``; the best leaf, what speaks for it, how familiar the text is
    (share of n-grams training has seen), how many phrases it has; ``code_at`` position of the declared code (0: none);
    ``related``: the unit model finds it likelier related than core or *none*; ``unfiled`` the scores without the filing's
    text (the same array where there is none). ``familiar`` and ``phrases`` are of the other texts."""

    frame: pl.DataFrame
    leaves: tuple[str, ...]
    micro: I64
    best: I64
    parts: Parts
    familiar: F64
    phrases: F64
    code_at: I64
    related: npt.NDArray[np.bool_]
    unfiled: I64

    @cached_property
    def score(self) -> F64:
        """Scores in log-odds."""
        return self.micro / MICRO


@dataclass(frozen=True)
class _Once:
    """Each distinct phrase of a row once, at its heaviest field, in row order: arrays of one length; ``number`` refers to
    the distinct phrases."""

    row: I32
    field: npt.NDArray[np.uint8]
    start: I32
    number: I32
    weight: F64


class _Entries(NamedTuple):
    """Phrases of the dictionary: position in :class:`_Once`, leaf, what they say for it in millionths."""

    at: I64
    leaf: I64
    micro: I64


def _micro(values: F64) -> I64:
    return np.rint(values * MICRO).astype(np.int64)


def _phrases(frame: pl.DataFrame, bundle: Bundle) -> tuple[Phrases, _Once]:
    """All phrases of the rows, and each row's distinct ones."""
    weights = bundle.parameters.field_weight
    # The heaviest field first: the first place of a phrase is then its heaviest; a filing displaces no other text.
    there = [item for item in TEXTS.items() if item[1] != "filing" or frame[item[0]].null_count() < frame.height]
    heaviest = sorted(there, key=lambda item: (item[1] == "filing", -weights[item[1]], FIELDS.index(item[1])))
    fields = [np.full(frame.height, FIELDS.index(field), dtype=np.uint8) for _, field in heaviest]
    texts = [frame[column] for column, _ in heaviest]
    found = split_texts(texts, fields, np.arange(frame.height, dtype=np.int32), bundle.vocabulary)
    heavy, at = np.array([weights[name] for name in FIELDS]), np.flatnonzero(found.first)
    field = found.field[at]
    return found, _Once(found.row[at], field, found.start[at], found.number[at], heavy[field])


def _trade(bundle: Bundle, found: Phrases, numbers: npt.NDArray[np.signedinteger]) -> npt.NDArray[np.bool_]:
    """Which of these phrases (numbers, each once) are of trade."""
    return bundle.lexicon.is_trade(found.text(numbers)).to_numpy()


def _margins(bundle: Bundle, found: Phrases) -> tuple[Sparse, F64]:
    """The linear model's clipped margins over *none*, and the share of n-grams that training had seen."""
    margin, share = phrase_margins(found.distinct, bundle.model.slot, bundle.model.weights, bundle.parameters.model)
    count = np.diff(margin.at)
    speaking = np.flatnonzero(count)
    margin.value[np.repeat(_trade(bundle, found, speaking), count[speaking])] = 0.0
    return margin, share


def _concepts(bundle: Bundle, found: Phrases, once: _Once) -> pl.DataFrame:
    """Distinct concepts of each row: ``row, field, weight, term, text, start, end`` (characters of the original text),
    each at its heaviest and first place; none from phrases of trade."""
    hits = bundle.lexicon.matches(found.distinct)
    hit, inverse = np.unique(hits["phrase"].to_numpy(), return_inverse=True)
    hits = hits.filter(pl.Series(~_trade(bundle, found, hit)[inverse], dtype=pl.Boolean))
    has_hit = np.zeros(len(found.distinct), dtype=bool)
    has_hit[hits["phrase"].to_numpy()] = True
    at = np.flatnonzero(has_hit[once.number])
    places: dict[str, npt.NDArray[Any]] = {
        "row": once.row,
        "field": once.field,
        "at": once.start,
        "phrase": once.number,
    }
    placed = pl.DataFrame({k: v[at] for k, v in (places | {"weight": once.weight}).items()}).join(
        hits.select(pl.col("phrase", "term", "start", "end").cast(pl.Int32)), on="phrase", how="inner"
    )
    words = pl.Series("text", bundle.lexicon.words, dtype=pl.String).gather(placed["term"])
    return (
        placed.select("row", "field", "weight", "term", words, pl.col("start", "end") + pl.col("at"))
        .sort(
            "row", "term", pl.col("field") == FILING, "weight", "field", "start",
            descending=[False, False, False, True, False, False],
        )
        .unique(["row", "term"], keep="first", maintain_order=True)
    )  # fmt: skip


def _entries(bundle: Bundle, found: Phrases, once: _Once) -> _Entries:
    """The dictionary's phrases among each row's phrases."""
    at = np.flatnonzero(found.label[once.number] >= 0)
    number = found.label[once.number[at]]
    weight = bundle.entries["weight"].to_numpy()[number]
    return _Entries(at, bundle.entries["leaf"].to_numpy()[number], _micro(once.weight[at] * weight))


def _unit_part(bundle: Bundle, model: TextModel, found: Phrases, rows: int) -> tuple[I64, npt.NDArray[np.bool_]]:
    """The unit model's likelihood ratio, clipped, and whether it finds the unit related; each ``(rows,)``, zero and
    false without scope and name."""
    rule, table = bundle.parameters.unit, unit_phrases(found.frame(), bundle.lexicon)
    said = sides(model, table, rows)
    ratio = rule["weight"] * np.clip(said.core, -rule["cap"], rule["cap"])
    has_text = np.zeros(rows, dtype=bool)
    has_text[table["row"].to_numpy()] = True
    return _micro(np.where(has_text, ratio, 0.0)), has_text & (said.related >= rule["review_from"])


def _rows_of(kind: str, places: Mapping[str, Any], micro: I64) -> pl.DataFrame:
    """Contributions with :data:`taxonomy.classifier.evidence.COLUMNS`; ``places`` holds all of them but kind and value,
    ``field`` as its position in :data:`FIELD_NAMES`."""
    field = pl.Series(FIELD_NAMES).gather(pl.Series(places["field"]))
    return pl.DataFrame({**places, "field": field, "micro": micro}).select(
        pl.col("row").cast(pl.UInt32), pl.lit(kind, KIND).alias("kind"), "field", "text",
        pl.col("start").cast(pl.Int64), pl.col("end").cast(pl.Int64), "micro",
    )  # fmt: skip


def _text_rows(found: Phrases, once: _Once, at: I64, kind: str, micro: I64) -> pl.DataFrame:
    """Contributions of the phrases ``once[at]`` at their places."""
    at, micro = at[micro != 0], micro[micro != 0]
    text, start = found.text(once.number[at]), once.start[at]
    end = start + text.str.len_chars().to_numpy()
    return _rows_of(
        kind, {"row": once.row[at], "field": once.field[at], "text": text, "start": start, "end": end}, micro
    )


def _concept_rows(concepts: pl.DataFrame, micro: I64) -> pl.DataFrame:
    """Contributions of concepts at their places."""
    at = np.flatnonzero(micro)
    return _rows_of("lexicon", concepts[at].select("row", "field", "text", "start", "end").to_dict(), micro[at])


def _row_rows(kind: str, field: str, micro: I64) -> pl.DataFrame:
    """Contributions of whole rows (declared code, unit model)."""
    at = np.flatnonzero(micro)
    nothing = np.zeros(len(at), dtype=np.uint8)
    text = pl.repeat("", len(at), dtype=pl.String, eager=True)
    places = {"row": at, "field": nothing + FIELD_NAMES.index(field), "text": text, "start": nothing, "end": nothing}
    return _rows_of(kind, places, micro[at])


class _Texts(NamedTuple):
    """What the texts say: phrases with their margins, concepts (row, term, weight) and whose they are, dictionary entries."""

    once: _Once
    margin: Sparse
    spoken: tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]
    own_concept: npt.NDArray[np.bool_]
    entries: _Entries


def _add_texts(micro: I64, bundle: Bundle, texts: _Texts, own: npt.NDArray[np.bool_], *, filed: bool) -> None:
    """Add to the scores what the unit's own texts say, or what its filing says."""
    once, entries = texts.once, texts.entries
    kept, kept_concept, kept_entry = own != filed, texts.own_concept != filed, own[entries.at] != filed
    add_parts(micro, once.row[kept], once.number[kept], once.weight[kept], texts.margin)
    add_parts(micro, *(column[kept_concept] for column in texts.spoken), bundle.concepts)
    np.add.at(micro, (once.row[entries.at[kept_entry]], entries.leaf[kept_entry]), entries.micro[kept_entry])


def score(frame: pl.DataFrame, bundle: Bundle) -> Scored:
    """Score units.

    Parameters
    ----------
    frame
        Columns ``name, business_scope, main_products, filing_text, gbt_code`` (String), at least one row.
    """
    n, bias = frame.height, _micro(np.array(bundle.parameters.bias))
    found, once = _phrases(frame, bundle)
    margin, share = _margins(bundle, found)
    concepts = _concepts(bundle, found, once)
    entries = _entries(bundle, found, once)
    code_at, code, unit = bundle.code_rule.positions(frame["gbt_code"]), _micro(bundle.code_rule.table), None
    micro, related = (code + bias)[code_at], np.zeros(n, dtype=bool)
    if bundle.unit is not None:
        unit, related = _unit_part(bundle, bundle.unit, found, n)
        micro += unit[:, None]
    spoken = (concepts["row"].to_numpy(), concepts["term"].to_numpy(), concepts["weight"].to_numpy())
    own, unfiled = once.field != FILING, micro
    texts = _Texts(once, margin, spoken, concepts["field"].to_numpy() != FILING, entries)
    _add_texts(micro, bundle, texts, own, filed=False)
    if not own.all():
        unfiled = micro.copy()
        _add_texts(micro, bundle, texts, own, filed=True)

    best = micro.argmax(axis=1)
    entry_best = np.where(entries.leaf == best[once.row[entries.at]], entries.micro, 0)
    margin_best = parts_of(best, once.row, once.number, once.weight, margin)
    parts = [
        _row_rows("code", "gbt_code", code[code_at, best]),
        _text_rows(found, once, entries.at, "dictionary", entry_best),
        _concept_rows(concepts, parts_of(best, *spoken, bundle.concepts)),
        _text_rows(found, once, np.arange(len(once.row)), "model", margin_best),
    ] + ([] if unit is None else [_row_rows("unit", "", unit)])
    table = pl.concat(parts).sort("row", "kind", "field", "start", "text")
    words = np.bincount(once.row[own], minlength=n).astype(np.float64)
    familiar = np.bincount(once.row[own], weights=share[once.number[own]], minlength=n) / np.maximum(words, 1.0)
    return Scored(
        frame=frame,
        leaves=bundle.leaves,
        micro=micro,
        best=best,
        parts=Parts(table, np.full(n, bias)),
        familiar=familiar,
        phrases=words,
        code_at=code_at,
        related=related,
        unfiled=unfiled,
    )
