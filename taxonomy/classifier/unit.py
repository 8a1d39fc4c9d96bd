"""The unit model: what a unit's whole text says of being in the AI industry, learned from adjudicated labels.

Fields: all phrases of the scope, the first of them once more (a Chinese scope names the main business first), and the
name without its legal form. Balanced training makes its log-odds a likelihood ratio, which is added to every leaf.

A related code (R…) is a side of its own: neither *none* nor core. With enough of them the model has three sides, and
the ratio is that of core against the likelier of the other two; with too few they train nothing here. A related side
is never coded (it is measured by survey): a unit it speaks for is not coded *none* but goes to a person."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from taxonomy.classifier.normalize import phrase_frame
from taxonomy.classifier.textmodel import TextField, TextModel

AI: Final = "ai"
NONE: Final = "none"
RELATED: Final = "related"
FIELDS: Final = (TextField("scope", 1.0), TextField("name", 1.4), TextField("lead", 0.7))


def unit_phrases(table: pl.DataFrame) -> pl.DataFrame:
    """The unit model's phrases from those of :func:`taxonomy.classifier.normalize.phrase_frame` (``row, field, start,
    phrase``): columns ``row``, ``field`` (name), ``phrase``, ``start``."""
    scope = table.filter(pl.col("field") == 1)
    lead = scope.group_by("row", maintain_order=True).first().with_columns(field=pl.lit("lead"))
    name = table.filter(pl.col("field") == 0)
    columns = ["row", "field", "phrase", "start"]
    parts = [
        scope.with_columns(field=pl.lit("scope")).select(columns),
        name.with_columns(field=pl.lit("name")).select(columns),
        lead.select(columns),
    ]
    return pl.concat(parts).with_columns(pl.col("row").cast(pl.Int64))


def phrases_of_units(frame: pl.DataFrame) -> pl.DataFrame:
    """:func:`unit_phrases` of units given as ``name`` and ``business_scope``, rows numbered from zero."""
    numbered = frame.with_row_index("row")
    texts = [
        numbered.select("row", pl.lit(number, pl.UInt8).alias("field"), pl.col(column).alias("text"))
        for number, column in enumerate(("name", "business_scope"))
    ]
    return unit_phrases(phrase_frame(pl.concat(texts).drop_nulls("text").filter(pl.col("text") != "")))


def side_of(code: str) -> str:
    """The side of a label: *none*, *related* (R…) or *ai*."""
    return NONE if code == NONE else (RELATED if code.startswith("R") else AI)


def train_unit_model(labels: pl.DataFrame, rule: Mapping[str, float]) -> TextModel | None:
    """The model of labelled units (``name, business_scope, ai_class``); none where core or *none* has fewer units than
    the rule's ``min_labels``. Related units are left out where they are fewer than that."""
    sided = labels.select("name", "business_scope", pl.Series("side", [side_of(c) for c in labels["ai_class"]]))
    count = {side: int((sided["side"] == side).sum()) for side in (AI, NONE, RELATED)}
    if min(count[AI], count[NONE]) < rule["min_labels"]:
        return None
    if count[RELATED] < rule["min_labels"]:
        sided = sided.filter(pl.col("side") != RELATED)
    table = phrases_of_units(sided.select("name", "business_scope"))
    return TextModel.train(
        table, FIELDS, sided["side"].to_list(), inverse_penalty=rule["inverse_penalty"], balanced=True
    )


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
