"""``code_batch``: the classifier's one entry. Pure: no files, no clock, no chance; each row is decided on its own.

A unit's score for a leaf is ``bias + code rule + Σ over its phrases of field weight × (dictionary + lexicon + model)``;
*none* scores zero, so ``P(leaf) = exp(score) / (1 + Σ exp)``. Every part is an integer number of millionths before it
is summed: the result does not depend on the batch, its size or the order of rows, and evidence adds up exactly.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
from scipy import sparse

from taxonomy.classifier.bundle import Bundle
from taxonomy.classifier.decide import Scored, decide
from taxonomy.classifier.evidence import MICRO, Parts, evidence_json
from taxonomy.classifier.normalize import FIELDS, phrase_frame

COLUMNS: Final = {"name": "name", "business_scope": "scope", "main_products": "product"}
KINDS: Final = ("dictionary", "lexicon", "model")
SLICE_ROWS: Final = 20_000
I64 = npt.NDArray[np.int64]
OUTPUT: Final = {
    "unit_id": pl.String,
    "name": pl.String,
    "ai_class": pl.String,
    "segment": pl.String,
    "p_ai": pl.Float64,
    "probability": pl.Float64,
    "route": pl.String,
    "candidates": pl.String,
    "evidence": pl.String,
    "bundle": pl.String,
    "warning": pl.String,
}


@dataclass(frozen=True)
class _Phrases:
    """Phrase occurrences of a slice, and the distinct phrases they refer to by ``id``."""

    frame: pl.DataFrame
    distinct: pl.Series


def _input_frame(batch: pa.RecordBatch) -> pl.DataFrame:
    frame = pl.from_arrow(pa.Table.from_batches([batch]))
    assert isinstance(frame, pl.DataFrame)
    missing = [c for c in ("name", "business_scope") if c not in frame.columns]
    if missing:
        raise ValueError(f"columns {', '.join(missing)} are missing; expected name, business_scope")
    wanted = ["unit_id", "name", "business_scope", "main_products", "gbt_code"]
    absent = [pl.lit(None, pl.String).alias(c) for c in wanted if c not in frame.columns]
    frame = frame.with_columns(absent).select(pl.col(wanted).cast(pl.String))
    return frame.with_columns(pl.col("gbt_code").str.strip_chars().str.to_uppercase())


def _phrases(frame: pl.DataFrame, generic: frozenset[str]) -> _Phrases:
    texts = [
        frame.with_row_index("row").select(
            "row", pl.lit(FIELDS.index(field), pl.UInt8).alias("field"), pl.col(column).alias("text")
        )
        for column, field in COLUMNS.items()
    ]
    table = phrase_frame(pl.concat(texts).drop_nulls("text").filter(pl.col("text") != ""), generic)
    distinct = table["phrase"].unique().sort()
    ids = pl.DataFrame({"phrase": distinct}).with_row_index("id")
    return _Phrases(table.join(ids, on="phrase", how="left", maintain_order="left"), distinct)


def _dictionary_part(bundle: Bundle, phrases: pl.Series) -> npt.NDArray[np.float64]:
    index = {leaf: i for i, leaf in enumerate(bundle.leaves)}
    result = np.zeros((len(phrases), len(index)))
    for row, phrase in enumerate(phrases.to_list()):
        if (leaf := bundle.dictionary.get(phrase)) is not None:
            result[row, index[leaf]] = bundle.parameters.dictionary
    return result


def _model_part(bundle: Bundle, phrases: pl.Series) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Clipped margins over *none*, and the share of n-grams that training had seen."""
    rule = bundle.parameters.model
    scores, seen, total = bundle.model.scores(phrases)
    margin = np.clip(rule["scale"] * (scores[:, 1:] - scores[:, :1]) - rule["floor"], 0.0, rule["cap"])
    share = seen / np.maximum(total, 1)
    margin[share < rule["min_seen_share"]] = 0.0
    margin[bundle.lexicon.is_trade(phrases).to_numpy()] = 0.0
    return margin, share


def _micro(values: npt.NDArray[np.float64]) -> I64:
    return np.round(values * MICRO).astype(np.int64)


def _code_slice(frame: pl.DataFrame, bundle: Bundle) -> pl.DataFrame:
    found = _phrases(frame, bundle.generic)
    n = frame.height
    model, seen_share = _model_part(bundle, found.distinct)
    by_kind = {
        "dictionary": _dictionary_part(bundle, found.distinct),
        "lexicon": bundle.parameters.lexicon * bundle.lexicon.phrase_weights(found.distinct, bundle.leaves),
        "model": model,
    }
    field = found.frame["field"].to_numpy()
    row, phrase = found.frame["row"].to_numpy(), found.frame["id"].to_numpy()
    code = _micro(bundle.code_rule.rows(frame["gbt_code"].to_list()))
    score = _micro(np.full((n, len(bundle.leaves)), bundle.parameters.bias)) + code
    weight = np.array([bundle.parameters.field_weight[f] for f in FIELDS])
    for number in range(len(FIELDS)):
        here = field == number
        occurrences = sparse.csr_matrix(
            (np.ones(int(here.sum()), dtype=np.int64), (row[here], phrase[here])), shape=(n, len(found.distinct))
        )
        for part in by_kind.values():
            score += occurrences @ _micro(weight[number] * part)
    best = score.argmax(axis=1)
    contributions = {k: _micro(weight[field] * part[phrase, best[row]]) for k, part in by_kind.items()}
    parts = Parts(found.frame, contributions, code[np.arange(n), best], _micro(np.full(n, bundle.parameters.bias)))
    words = np.zeros(n)
    familiar = np.zeros(n)
    np.add.at(words, row, 1.0)
    np.add.at(familiar, row, seen_share[phrase])
    scored = Scored(
        frame=frame,
        leaves=bundle.leaves,
        score=score / MICRO,
        best=best,
        kind_sums=parts.sums(n),
        familiar=familiar / np.maximum(words, 1.0),
        phrases=words,
    )
    decided = decide(scored, bundle)
    return decided.with_columns(evidence_json(parts, bundle.leaves, best), pl.lit(bundle.hash).alias("bundle"))


def code_batch(batch: pa.RecordBatch, bundle: Bundle) -> pa.RecordBatch:
    """Code the units of one record batch.

    Parameters
    ----------
    batch
        Columns ``name``, ``business_scope`` and, if there, ``unit_id``, ``main_products`` (separated by ；;、 or line
        breaks), ``gbt_code`` (section letter, 2-4 digits or empty); any string type, nulls allowed, any number of rows.
    bundle
        What decides.

    Returns
    -------
    pyarrow.RecordBatch
        One row per input row in input order, columns :data:`OUTPUT`: ``probability`` is P(the class shown), ``p_ai``
        P(core); ``route`` one of code, phrase, rule, model, parent (coded), review, uncodable (not coded).

    Raises
    ------
    ValueError
        If a required column is missing.
    """
    frame = _input_frame(batch)
    slices = [_code_slice(part, bundle) for part in frame.iter_slices(SLICE_ROWS)] if frame.height else []
    empty = pl.DataFrame(schema=OUTPUT)
    coded = pl.concat([part.select(pl.col(c).cast(t) for c, t in OUTPUT.items()) for part in slices] or [empty])
    table = coded.to_arrow(compat_level=pl.CompatLevel.oldest()).combine_chunks()
    batches = table.to_batches()
    if batches:
        return batches[0]
    return pa.RecordBatch.from_arrays([pa.array([], type=f.type) for f in table.schema], schema=table.schema)
