"""The unit model: what a unit's whole text says of being in the AI industry, learned from adjudicated labels.

Fields: all phrases of the scope, the first of them once more (a Chinese scope names the main business first), and the
name without its legal form. Balanced training makes its log-odds a likelihood ratio, which is added to every leaf."""

from collections.abc import Mapping
from typing import Final

import polars as pl

from taxonomy.classifier.normalize import phrase_frame
from taxonomy.classifier.textmodel import TextField, TextModel

AI: Final = "ai"
NONE: Final = "none"
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


def train_unit_model(labels: pl.DataFrame, rule: Mapping[str, float]) -> TextModel | None:
    """The model of labelled units (``name, business_scope, ai_class``); none where one side has fewer units than the
    rule's ``min_labels``."""
    answers = [NONE if c == NONE else AI for c in labels["ai_class"]]
    if min(answers.count(AI), answers.count(NONE)) < rule["min_labels"]:
        return None
    table = phrases_of_units(labels.select("name", "business_scope"))
    return TextModel.train(table, FIELDS, answers, inverse_penalty=rule["inverse_penalty"], balanced=True)
