"""Scores of a slice of units, and what they are made of.

A unit's score for a leaf is ``bias + code rule + unit model + Σ over its distinct phrases of field weight × (dictionary
+ model) + Σ over the distinct concepts of the lexicon``; *none* scores zero. Every part is an integer number of
millionths before it is summed: the result does not depend on the batch, its size or the order of rows, and evidence
adds up exactly. What the text of an algorithm filing adds is kept apart as well: no unit is coded by it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from taxonomy.classifier.bundle import Bundle
from taxonomy.classifier.evidence import COLUMNS, MICRO, Parts
from taxonomy.classifier.kernel import add_phrases, add_terms, margins
from taxonomy.classifier.normalize import FIELDS, phrase_frame
from taxonomy.classifier.unit import log_ratio, unit_phrases

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
TEXTS: Final = {"name": "name", "business_scope": "scope", "main_products": "product", "filing_text": "filing"}
FILING: Final = FIELDS.index("filing")
PROBE: Final = 2_000
WORTH_A_CACHE: Final = 0.25
KIND: Final = pl.Enum(["code", "dictionary", "lexicon", "model", "unit"])


@dataclass(frozen=True)
class Scored:
    """Scores of a slice in millionths, shape ``(n, leaves)``; the best leaf, what speaks for it, how familiar the text is
    (share of n-grams training has seen), how many phrases it has; ``code_at`` position of the declared code (0: none);
    ``unfiled`` the scores without the filing's text (the same array where there is none). ``familiar`` and ``phrases``
    are of the other texts."""

    frame: pl.DataFrame
    leaves: tuple[str, ...]
    micro: I64
    best: I64
    parts: Parts
    familiar: F64
    phrases: F64
    code_at: I64
    unfiled: I64

    @property
    def score(self) -> F64:
        """Scores in log-odds."""
        return self.micro / MICRO


@dataclass(frozen=True)
class _Phrases:
    """All phrases in text order; each distinct one of a row once (``row, field, start, phrase, id``), at its heaviest
    field; the phrases that ``id`` refers to."""

    every: pl.DataFrame
    once: pl.DataFrame
    distinct: pl.Series


def _micro(values: F64) -> I64:
    return np.rint(values * MICRO).astype(np.int64)


def _phrases(frame: pl.DataFrame, bundle: Bundle) -> _Phrases:
    weights = bundle.parameters.field_weight
    # The heaviest field first: the first place of a phrase is then its heaviest; a filing displaces no other text.
    heaviest = sorted(TEXTS.items(), key=lambda item: (item[1] == "filing", -weights[item[1]], FIELDS.index(item[1])))
    texts = [
        frame.with_row_index("row").select(
            "row", pl.lit(FIELDS.index(field), pl.UInt8).alias("field"), pl.col(column).alias("text")
        )
        for column, field in heaviest
    ]
    every = phrase_frame(pl.concat(texts).drop_nulls("text").filter(pl.col("text") != ""), bundle.generic)
    heavy = np.array([weights[name] for name in FIELDS])
    once = every.with_columns(weight=pl.Series(heavy[every["field"].to_numpy()], dtype=pl.Float64))
    once = once.unique(["row", "phrase"], keep="first", maintain_order=True)
    phrases = once["phrase"]
    # Free text hardly repeats a phrase: looking each one up would cost more than scoring it again.
    if phrases.head(PROBE).n_unique() > (1.0 - WORTH_A_CACHE) * min(len(phrases), PROBE):
        return _Phrases(every, once.with_columns(id=pl.int_range(pl.len(), dtype=pl.UInt32)), phrases)
    distinct = phrases.unique().sort()
    ids = pl.DataFrame({"phrase": distinct}).with_row_index("id")
    return _Phrases(every, once.join(ids, on="phrase", how="left", maintain_order="left"), distinct)


def _margins(bundle: Bundle, phrases: pl.Series, is_trade: npt.NDArray[np.bool_]) -> tuple[F64, F64]:
    """The linear model's clipped margins over *none*, and the share of n-grams that training had seen."""
    rule = bundle.parameters.model
    scores, seen, total = bundle.model.scores(phrases)
    share = seen / np.maximum(total, 1)
    keep = ~((share < rule["min_seen_share"]) | is_trade)
    return margins(scores, keep, float(rule["scale"]), float(rule["floor"]), float(rule["cap"])), share


def _concepts(bundle: Bundle, found: _Phrases, is_trade: npt.NDArray[np.bool_]) -> pl.DataFrame:
    """Distinct concepts of each row: ``row, field, term, text, start, end`` (characters of the original text), each at
    its heaviest and first place; none from phrases of trade."""
    hits = bundle.lexicon.matches(found.distinct)
    hits = hits.filter(pl.Series(~is_trade[hits["phrase"].to_numpy()]))
    placed = found.once.rename({"start": "at"}).join(hits.rename({"phrase": "id"}), on="id", how="inner")
    return (
        placed.select(
            "row", "field", "weight", "term",
            pl.col("phrase").str.slice(pl.col("start"), pl.col("end") - pl.col("start")).alias("text"),
            (pl.col("at") + pl.col("start")).alias("start"), (pl.col("at") + pl.col("end")).alias("end"),
        )
        .sort(
            "row", "term", pl.col("field") == FILING, "weight", "field", "start",
            descending=[False, False, False, True, False, False],
        )
        .unique(["row", "term"], keep="first", maintain_order=True)
    )  # fmt: skip


def _unit_part(bundle: Bundle, found: _Phrases, rows: int) -> I64:
    """The unit model's likelihood ratio, clipped, shape ``(rows,)``; zero without one, or without scope and name."""
    if bundle.unit is None:
        return np.zeros(rows, dtype=np.int64)
    rule = bundle.parameters.unit
    table = unit_phrases(found.every, bundle.lexicon)
    ratio = rule["weight"] * np.clip(log_ratio(bundle.unit, table, rows), -rule["cap"], rule["cap"])
    has_text = np.zeros(rows, dtype=bool)
    has_text[table["row"].to_numpy()] = True
    return _micro(np.where(has_text, ratio, 0.0))


def _fields(column: pl.Expr) -> pl.Expr:
    return column.cast(pl.Int64).replace_strict(dict(enumerate(FIELDS)), return_dtype=pl.String)


def _text_rows(occurrences: pl.DataFrame, kind: str, micro: I64) -> pl.DataFrame:
    """Contributions of phrases at their places."""
    kept = occurrences.with_columns(micro=pl.Series(micro)).filter(pl.col("micro") != 0)
    return kept.select(
        "row", pl.lit(kind, KIND).alias("kind"), _fields(pl.col("field")).alias("field"),
        pl.col("phrase").alias("text"), pl.col("start").cast(pl.Int64),
        (pl.col("start") + pl.col("phrase").str.len_chars()).cast(pl.Int64).alias("end"), "micro",
    )  # fmt: skip


def _row_rows(kind: str, field: str, micro: I64) -> pl.DataFrame:
    """Contributions of whole rows (declared code, unit model)."""
    table = pl.DataFrame({"row": np.arange(len(micro), dtype=np.uint32), "micro": micro}).filter(pl.col("micro") != 0)
    return table.select(
        "row", pl.lit(kind, KIND).alias("kind"), pl.lit(field).alias("field"), pl.lit("").alias("text"),
        pl.lit(0, pl.Int64).alias("start"), pl.lit(0, pl.Int64).alias("end"), "micro",
    )  # fmt: skip


def _entry_micro(entries: pl.DataFrame) -> I64:
    return _micro((entries["weight"] * entries["weight_right"]).to_numpy())


def _add_texts(micro: I64, tables: Sequence[pl.DataFrame], margin: F64, term_weight: F64) -> None:
    """Add what phrases, concepts and dictionary entries (``tables``) say to the scores."""
    once, concepts, entries = tables
    row, ids = (once[c].to_numpy().astype(np.int64) for c in ("row", "id"))
    add_phrases(micro, row, ids, once["weight"].to_numpy(), margin)
    concept_row, term = concepts["row"].to_numpy().astype(np.int64), concepts["term"].to_numpy()
    add_terms(micro, concept_row, term, concepts["weight"].to_numpy(), term_weight)
    np.add.at(micro, (entries["row"].to_numpy(), entries["leaf"].to_numpy()), _entry_micro(entries))


def score(frame: pl.DataFrame, bundle: Bundle) -> Scored:
    """Score units.

    Parameters
    ----------
    frame
        Columns ``name, business_scope, main_products, filing_text, gbt_code`` (String), at least one row.
    """
    n, parameters = frame.height, bundle.parameters
    found = _phrases(frame, bundle)
    is_trade = bundle.lexicon.is_trade(found.distinct).to_numpy()
    margin, share = _margins(bundle, found.distinct, is_trade)
    concepts = _concepts(bundle, found, is_trade)
    entries = found.once.join(bundle.entries, on="phrase", how="inner", maintain_order="left")
    term_weight = parameters.lexicon * bundle.lexicon.class_weights(bundle.leaves)
    code_at = bundle.code_rule.positions(frame["gbt_code"])
    code, unit = _micro(bundle.code_rule.table)[code_at], _unit_part(bundle, found, n)

    micro = _micro(np.full((n, len(bundle.leaves)), parameters.bias)) + code + unit[:, None]
    tables, own = (found.once, concepts, entries), pl.col("field") != FILING
    is_own = (found.once["field"] != FILING).to_numpy()
    if is_own.all():
        _add_texts(micro, tables, margin, term_weight)
        unfiled = micro
    else:
        _add_texts(micro, [t.filter(own) for t in tables], margin, term_weight)
        unfiled = micro.copy()
        _add_texts(micro, [t.filter(~own) for t in tables], margin, term_weight)

    best = micro.argmax(axis=1)
    row, ids = found.once["row"].to_numpy().astype(np.int64), found.once["id"].to_numpy().astype(np.int64)
    weight = found.once["weight"].to_numpy()
    concept_row, term = concepts["row"].to_numpy().astype(np.int64), concepts["term"].to_numpy()
    entry_micro = _entry_micro(entries)
    entry_best = np.where(entries["leaf"].to_numpy() == best[entries["row"].to_numpy()], entry_micro, 0)
    term_best = _micro(concepts["weight"].to_numpy() * term_weight[term, best[concept_row]])
    concept_rows = concepts.with_columns(micro=pl.Series(term_best)).filter(pl.col("micro") != 0)
    parts = [
        _row_rows("code", "gbt_code", code[np.arange(n), best]),
        _text_rows(entries, "dictionary", entry_best),
        concept_rows.select(
            "row", pl.lit("lexicon", KIND).alias("kind"), _fields(pl.col("field")).alias("field"), "text", "start", "end",
            "micro",
        ),
        _text_rows(found.once, "model", _micro(weight * margin[ids, best[row]])),
        _row_rows("unit", "", unit),
    ]  # fmt: skip
    table = pl.concat(
        [p.with_columns(pl.col("row").cast(pl.UInt32)).select(COLUMNS) for p in parts], how="vertical_relaxed"
    )
    words = np.bincount(row[is_own], minlength=n).astype(np.float64)
    familiar = np.bincount(row[is_own], weights=share[ids[is_own]], minlength=n) / np.maximum(words, 1.0)
    return Scored(
        frame=frame,
        leaves=bundle.leaves,
        micro=micro,
        best=best,
        parts=Parts(table.sort("row", "kind", "field", "start", "text"), _micro(np.full(n, parameters.bias))),
        familiar=familiar,
        phrases=words,
        code_at=code_at,
        unfiled=unfiled,
    )
