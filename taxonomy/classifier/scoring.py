"""Scores of a slice of units, and what they are made of.

A unit's score for a leaf is ``bias + code rule + unit model + Σ over its distinct phrases of field weight × (dictionary
+ model) + Σ over the distinct concepts of the lexicon``; *none* scores zero. Every part is an integer number of
millionths before it is summed: the result does not depend on the batch, its size or the order of rows, and evidence
adds up exactly.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from taxonomy.classifier.bundle import Bundle
from taxonomy.classifier.evidence import COLUMNS, MICRO, Parts
from taxonomy.classifier.kernel import Sparse, add_parts, parts_of, phrase_margins, sparse_of
from taxonomy.classifier.normalize import FIELDS, Phrases, split_texts
from taxonomy.classifier.unit import AI, NONE, unit_phrases

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
TEXTS: Final = {"name": "name", "business_scope": "scope", "main_products": "product"}
KIND: Final = pl.Enum(["code", "dictionary", "lexicon", "model", "unit"])


@dataclass(frozen=True)
class Scored:
    """Scores of a slice in millionths, shape ``(n, leaves)``; the best leaf, what speaks for it, how familiar the text is
    (share of n-grams training has seen), how many phrases it has; ``code_at`` position of the declared code (0: none)."""

    frame: pl.DataFrame
    leaves: tuple[str, ...]
    micro: I64
    best: I64
    parts: Parts
    familiar: F64
    phrases: F64
    code_at: I64

    @cached_property
    def score(self) -> F64:
        """Scores in log-odds."""
        return self.micro / MICRO


@dataclass(frozen=True)
class _Once:
    """Each distinct phrase of a row once, at its heaviest field, in row order: arrays of one length; ``number`` refers to
    the distinct phrases."""

    row: I64
    field: npt.NDArray[np.uint8]
    start: I64
    number: I64
    weight: F64


def _micro(values: F64) -> I64:
    return np.rint(values * MICRO).astype(np.int64)


def _phrases(frame: pl.DataFrame, bundle: Bundle) -> tuple[Phrases, _Once]:
    """All phrases of the rows, and each row's distinct ones."""
    weights = bundle.parameters.field_weight
    # The heaviest field first: the first place of a phrase is then its heaviest.
    heaviest = sorted(TEXTS.items(), key=lambda item: (-weights[item[1]], FIELDS.index(item[1])))
    fields = [np.full(frame.height, FIELDS.index(field), dtype=np.uint8) for _, field in heaviest]
    texts = [frame[column] for column, _ in heaviest]
    found = split_texts(texts, fields, np.arange(frame.height, dtype=np.int64), bundle.vocabulary)
    heavy, at = np.array([weights[name] for name in FIELDS]), np.flatnonzero(found.first)
    field = found.field[at]
    return found, _Once(found.row[at], field, found.start[at], found.number[at], heavy[field])


def _trade(bundle: Bundle, found: Phrases, numbers: I64) -> npt.NDArray[np.bool_]:
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
    placed = pl.DataFrame(
        {"row": once.row[at], "field": once.field[at], "at": once.start[at], "phrase": once.number[at], "weight": once.weight[at]},
    ).join(hits.with_columns(pl.col("phrase").cast(pl.Int64)), on="phrase", how="inner")  # fmt: skip
    words = pl.Series(bundle.lexicon.words, dtype=pl.String)
    return (
        placed.select(
            "row", "field", "weight", "term", words.gather(placed["term"]).alias("text"),
            (pl.col("at") + pl.col("start")).alias("start"), (pl.col("at") + pl.col("end")).alias("end"),
        )
        .sort("row", "term", "weight", "field", "start", descending=[False, False, True, False, False])
        .unique(["row", "term"], keep="first", maintain_order=True)
    )  # fmt: skip


def _entries(bundle: Bundle, found: Phrases, once: _Once, at: I64) -> tuple[I64, I64, I64]:
    """Row, leaf and millionths of the dictionary's phrases among ``once[at]``."""
    number = found.label[once.number[at]]
    weight = bundle.entries["weight"].to_numpy()[number]
    return once.row[at], bundle.entries["leaf"].to_numpy()[number], _micro(once.weight[at] * weight)


def _unit_part(bundle: Bundle, found: Phrases, rows: int) -> I64:
    """The unit model's likelihood ratio, clipped, shape ``(rows,)``; zero without one, or without scope and name."""
    if bundle.unit is None:
        return np.zeros(rows, dtype=np.int64)
    rule = bundle.parameters.unit
    table = unit_phrases(found.frame())
    scores = bundle.unit.scores(table, rows)
    index = bundle.unit.classes.index
    ratio = rule["weight"] * np.clip(scores[:, index(AI)] - scores[:, index(NONE)], -rule["cap"], rule["cap"])
    has_text = np.zeros(rows, dtype=bool)
    has_text[table["row"].to_numpy()] = True
    return _micro(np.where(has_text, ratio, 0.0))


def _fields(column: pl.Expr) -> pl.Expr:
    return column.cast(pl.Int64).replace_strict(dict(enumerate(FIELDS)), return_dtype=pl.String)


def _text_rows(found: Phrases, once: _Once, at: I64, kind: str, micro: I64) -> pl.DataFrame:
    """Contributions of the phrases ``once[at]`` at their places."""
    at, micro = at[micro != 0], micro[micro != 0]
    text = found.text(once.number[at])
    places = {"row": once.row[at], "field": once.field[at], "text": text, "start": once.start[at], "micro": micro}
    return pl.DataFrame(places).select(
        "row", pl.lit(kind, KIND).alias("kind"), _fields(pl.col("field")).alias("field"), "text", "start",
        (pl.col("start") + pl.col("text").str.len_chars()).cast(pl.Int64).alias("end"), "micro",
    )  # fmt: skip


def _row_rows(kind: str, field: str, micro: I64) -> pl.DataFrame:
    """Contributions of whole rows (declared code, unit model)."""
    table = pl.DataFrame({"row": np.arange(len(micro), dtype=np.uint32), "micro": micro}).filter(pl.col("micro") != 0)
    return table.select(
        "row", pl.lit(kind, KIND).alias("kind"), pl.lit(field).alias("field"), pl.lit("").alias("text"),
        pl.lit(0, pl.Int64).alias("start"), pl.lit(0, pl.Int64).alias("end"), "micro",
    )  # fmt: skip


def score(frame: pl.DataFrame, bundle: Bundle) -> Scored:
    """Score units.

    Parameters
    ----------
    frame
        Columns ``name, business_scope, main_products, gbt_code`` (String), at least one row.
    """
    n, parameters = frame.height, bundle.parameters
    found, once = _phrases(frame, bundle)
    margin, share = _margins(bundle, found)
    concepts = _concepts(bundle, found, once)
    entry = np.flatnonzero(found.label[once.number] >= 0)
    entry_row, entry_leaf, entry_weight = _entries(bundle, found, once, entry)
    terms = sparse_of(parameters.lexicon * bundle.lexicon.class_weights(bundle.leaves))
    code_at = bundle.code_rule.positions(frame["gbt_code"])
    code, unit = _micro(bundle.code_rule.table)[code_at], _unit_part(bundle, found, n)

    micro = _micro(np.full((n, len(bundle.leaves)), parameters.bias)) + code + unit[:, None]
    add_parts(micro, once.row, once.number, once.weight, margin)
    spoken = (concepts["row"].to_numpy(), concepts["term"].to_numpy(), concepts["weight"].to_numpy())
    add_parts(micro, *spoken, terms)
    np.add.at(micro, (entry_row, entry_leaf), entry_weight)

    best = micro.argmax(axis=1)
    concept_rows = concepts.with_columns(micro=pl.Series(parts_of(best, *spoken, terms))).filter(pl.col("micro") != 0)
    parts = [
        _row_rows("code", "gbt_code", code[np.arange(n), best]),
        _text_rows(found, once, entry, "dictionary", np.where(entry_leaf == best[entry_row], entry_weight, 0)),
        concept_rows.select(
            "row", pl.lit("lexicon", KIND).alias("kind"), _fields(pl.col("field")).alias("field"), "text", "start", "end",
            "micro",
        ),
        _text_rows(
            found, once, np.arange(len(once.row)), "model",
            parts_of(best, once.row, once.number, once.weight, margin),
        ),
        _row_rows("unit", "", unit),
    ]  # fmt: skip
    table = pl.concat(
        [p.with_columns(pl.col("row").cast(pl.UInt32)).select(COLUMNS) for p in parts], how="vertical_relaxed"
    )
    words = np.bincount(once.row, minlength=n).astype(np.float64)
    familiar = np.bincount(once.row, weights=share[once.number], minlength=n) / np.maximum(words, 1.0)
    return Scored(
        frame=frame,
        leaves=bundle.leaves,
        micro=micro,
        best=best,
        parts=Parts(table.sort("row", "kind", "field", "start", "text"), _micro(np.full(n, parameters.bias))),
        familiar=familiar,
        phrases=words,
        code_at=code_at,
    )
