"""One unit's decision down to the single n-gram, for the desk that shows the words which spoke for it."""

import json
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from taxonomy.classifier.batch import code_batch
from taxonomy.classifier.bundle import Bundle
from taxonomy.classifier.kernel import NGRAMS, gram_positions
from taxonomy.classifier.linear import BITS
from taxonomy.classifier.normalize import FIELDS
from taxonomy.classifier.unit import AI, phrases_of_units, sides

ROUNDING: Final = 1e-6
"""Of the values in the evidence."""


@dataclass(frozen=True)
class Piece:
    """A part of the score: characters ``start``-``end`` of ``field`` in the original text, what it says, log-odds.

    ``kind``: ngram (linear model), unit-ngram (unit model), code, dictionary, lexicon, or one of the constants that make
    the sum exact: bias, floor (what a phrase must exceed), cap (what lies above the most a part may count).
    """

    kind: str
    field: str
    text: str
    start: int
    end: int
    value: float


def explain(unit: dict[str, str | None], bundle: Bundle) -> tuple[dict[str, object], list[Piece]]:
    """The decision of one unit (``name, business_scope, main_products, gbt_code``) and all pieces of its score.

    The pieces add up to the score of the class in the evidence, to 1e-6.
    """
    table = pa.Table.from_pylist([unit], schema=pa.schema([(k, pa.string()) for k in unit]))
    coded = pl.from_arrow(pa.Table.from_batches([code_batch(table.to_batches()[0], bundle)]))
    assert isinstance(coded, pl.DataFrame)
    decision = coded.row(0, named=True)
    evidence = json.loads(decision["evidence"])
    pieces = [Piece("bias", "", "", 0, 0, evidence["bias"])]
    for part in evidence["contributions"]:
        if part["kind"] == "model":
            pieces += _phrase_grams(part, evidence["class"], bundle)
        elif part["kind"] == "unit":
            pieces += _unit_grams(unit, part["value"], bundle)
        else:
            pieces.append(Piece(part["kind"], part["field"], part["text"], part["start"], part["end"], part["value"]))
    return decision, pieces


def _phrase_grams(part: dict[str, object], leaf: str, bundle: Bundle) -> list[Piece]:
    """A phrase's contribution by n-gram: margin over none, less the floor, less what exceeds the cap."""
    phrase, field, at = str(part["text"]), str(part["field"]), int(str(part["start"]))
    rule, model = bundle.parameters.model, bundle.model
    weight = bundle.parameters.field_weight[field if field in FIELDS else "scope"]
    column = model.weights[:, model.classes.index(leaf)] - model.weights[:, 0]
    grams = gram_positions([phrase], NGRAMS, 2**BITS)
    each = weight * rule["scale"] / np.sqrt(max(len(grams), 1))
    pieces = []
    for _, start, end, text, bucket in grams:
        row = model.slot[bucket]
        if row >= 0 and column[row] != 0.0:
            pieces.append(Piece("ngram", field, text, at + start, at + end, float(each * column[row])))
    floor = Piece("floor", field, phrase, at, at + len(phrase), -weight * rule["floor"])
    return _exact([*pieces, floor], floor, float(str(part["value"])))


def _exact(pieces: list[Piece], floor: Piece, value: float) -> list[Piece]:
    """The pieces with what is lacking to the part's ``value``: a cap, or in the floor where it is the rounding of evidence."""
    rest = value - sum(p.value for p in pieces)
    if abs(rest) > ROUNDING:
        return [*pieces, replace(floor, kind="cap", value=rest)]
    return [replace(p, value=p.value + rest) if p is floor else p for p in pieces]


def _unit_grams(unit: dict[str, str | None], value: float, bundle: Bundle) -> list[Piece]:
    assert bundle.unit is not None
    frame = pl.DataFrame([{"name": unit.get("name"), "business_scope": unit.get("business_scope")}])
    table = phrases_of_units(frame.cast(pl.String), bundle.generic, bundle.lexicon)
    weight, index = bundle.parameters.unit["weight"], bundle.unit.classes.index
    against = str(sides(bundle.unit, table, 1).against[0])
    bias = bundle.unit.scale * float(bundle.unit.bias[index(AI)] - bundle.unit.bias[index(against)])
    places = table["start"].to_list()
    pieces = [Piece("floor", "", "", 0, 0, weight * bias)]
    for gram in bundle.unit.grams(table, AI, against):
        at = int(places[gram.phrase])
        field = "name" if gram.field == "name" else "scope"
        pieces.append(Piece("unit-ngram", field, gram.text, at + gram.start, at + gram.end, weight * gram.value))
    return _exact(pieces, pieces[0], value)
