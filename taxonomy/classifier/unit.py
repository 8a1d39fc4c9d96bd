"""The unit model: what a unit's whole text says of being in the AI industry, learned from adjudicated labels.

Fields: all phrases of the scope that say something, the first of them that name the main business once more (a Chinese
scope names it first), and the name without its legal form. Balanced training makes its log-odds a likelihood ratio,
which is added to every leaf.

A related code (R…) is a side of its own: neither *none* nor core. With enough of them the model has three sides, and
the ratio is that of core against the likelier of the other two; with too few they train nothing here. A related side
is never coded (it is measured by survey): a unit it speaks for is not coded *none* but goes to a person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from taxonomy.classifier.lexicon import Lexicon
from taxonomy.classifier.normalize import phrase_frame
from taxonomy.classifier.textmodel import TextField, TextModel

F64 = npt.NDArray[np.float64]
AI: Final = "ai"
NONE: Final = "none"
RELATED: Final = "related"
FIELDS: Final = (TextField("scope", 1.0), TextField("name", 1.4), TextField("main", 0.7))
MAIN: Final = 2
"""Phrases that name the main business: the first ones of the scope that are not of trade."""
LOOKED_AT: Final = 6
"""Phrases of the scope among which they are looked for."""
FOLDS: Final = 5


def unit_phrases(table: pl.DataFrame, lexicon: Lexicon | None = None) -> pl.DataFrame:
    """The unit model's phrases from those of :func:`taxonomy.classifier.normalize.phrase_frame` (``row, field, start,
    phrase``, without generic ones): columns ``row``, ``field`` (name), ``phrase``, ``start``.

    Without a ``lexicon`` phrases of trade can be the main business too."""
    scope = table.filter(pl.col("field") == 1)
    first = scope.group_by("row", maintain_order=True).head(LOOKED_AT)
    if lexicon is not None:
        first = first.filter(~lexicon.is_trade(first["phrase"]))
    columns = ["row", "field", "phrase", "start"]
    parts = [
        scope.with_columns(field=pl.lit("scope")).select(columns),
        table.filter(pl.col("field") == 0).with_columns(field=pl.lit("name")).select(columns),
        first.group_by("row", maintain_order=True).head(MAIN).with_columns(field=pl.lit("main")).select(columns),
    ]
    return pl.concat(parts).with_columns(pl.col("row").cast(pl.Int64))


def phrases_of_units(
    frame: pl.DataFrame, generic: frozenset[str] = frozenset(), lexicon: Lexicon | None = None
) -> pl.DataFrame:
    """:func:`unit_phrases` of units given as ``name`` and ``business_scope``, rows numbered from zero."""
    numbered = frame.with_row_index("row")
    texts = [
        numbered.select("row", pl.lit(number, pl.UInt8).alias("field"), pl.col(column).alias("text"))
        for number, column in enumerate(("name", "business_scope"))
    ]
    table = phrase_frame(pl.concat(texts).drop_nulls("text").filter(pl.col("text") != ""), generic)
    return unit_phrases(table, lexicon)


def side_of(code: str) -> str:
    """The side of a label: *none*, *related* (R…) or *ai*."""
    return NONE if code == NONE else (RELATED if code.startswith("R") else AI)


def train_unit_model(
    labels: pl.DataFrame, rule: Mapping[str, float], generic: frozenset[str], lexicon: Lexicon
) -> tuple[TextModel, float] | None:
    """The model of labelled units (``name, business_scope, ai_class``, in any order), and the ratio from which a unit
    goes to review (:func:`review_threshold`, on folds the model of the fold has not seen).

    None where core or *none* has fewer units than the rule's ``min_labels``; related units are left out where they are
    fewer than that."""
    ordered = labels.sort("ai_class", "business_scope", "name", nulls_last=True)
    answers = [side_of(c) for c in ordered["ai_class"]]
    if min(answers.count(AI), answers.count(NONE)) < rule["min_labels"]:
        return None
    if 0 < answers.count(RELATED) < rule["min_labels"]:
        ordered = ordered.filter(pl.Series(answers) != RELATED)
        answers = [a for a in answers if a != RELATED]
    table = phrases_of_units(ordered.select("name", "business_scope"), generic, lexicon)
    held_out = _held_out(table, answers, rule)
    plain = np.array([a != RELATED for a in answers])
    threshold = review_threshold(held_out[plain], np.array(answers)[plain] == AI, rule)
    return _fit(table, answers, rule), threshold


def review_threshold(ratio: F64, is_ai: npt.NDArray[np.bool_], rule: Mapping[str, float]) -> float:
    """The ratio from which a unit is not coded *none* but reviewed, from held-out ratios of labelled units.

    ``review_from`` of the rule where the model tells the sides apart; lower where labelled AI units fall below it, as
    low as reaches the rule's ``review_recall`` of them, but never so low that more than ``review_none_share`` of the
    units labelled none would go to review.
    """
    wanted = float(np.quantile(ratio[is_ai], 1.0 - rule["review_recall"], method="lower"))
    none = np.sort(ratio[~is_ai])[::-1]
    bearable = int(rule["review_none_share"] * len(none))
    lowest = float(none[bearable - 1] + none[bearable]) / 2.0 if bearable else np.inf
    return round(min(rule["review_from"], max(wanted, lowest)), 6)


def _fit(table: pl.DataFrame, answers: Sequence[str], rule: Mapping[str, float]) -> TextModel:
    return TextModel.train(table, FIELDS, answers, inverse_penalty=rule["inverse_penalty"], balanced=True)


def _held_out(table: pl.DataFrame, answers: Sequence[str], rule: Mapping[str, float]) -> F64:
    """Likelihood ratio of each unit by a model that has not seen it; every fold has its share of each side."""
    of = np.array(answers)
    fold = np.empty(len(of), dtype=np.int64)
    for side in (AI, NONE, RELATED):
        at = np.flatnonzero(of == side)
        fold[at] = np.arange(len(at)) % FOLDS
    ratio = np.zeros(len(of))
    for number in range(FOLDS):
        inside = np.flatnonzero(fold != number)
        place = pl.DataFrame({"row": inside, "new": np.arange(len(inside))})
        part = table.join(place, on="row", maintain_order="left").drop("row").rename({"new": "row"})
        outside = np.flatnonzero(fold == number)
        ratio[outside] = sides(_fit(part, list(of[inside]), rule), table, len(of)).core[outside]
    return ratio


@dataclass(frozen=True)
class Sides:
    """What the unit model says of units, log-odds shape ``(n,)``: ``core`` against the likelier other side, which is
    ``against``; ``related`` against the likelier of core and *none* (minus infinity when the model knows no such side)."""

    core: npt.NDArray[np.float64]
    related: npt.NDArray[np.float64]
    against: npt.NDArray[np.str_]


def sides(model: TextModel, phrases: pl.DataFrame, rows: int) -> Sides:
    """Sides of units given as :func:`unit_phrases`."""
    scores, index = model.scores(phrases, rows), model.classes.index
    core, none = scores[:, index(AI)], scores[:, index(NONE)]
    if RELATED not in model.classes:
        return Sides(core - none, np.full(rows, -np.inf), np.full(rows, NONE))
    related = scores[:, index(RELATED)]
    against = np.where(related > none, RELATED, NONE)
    return Sides(core - np.maximum(none, related), related - np.maximum(core, none), against)
