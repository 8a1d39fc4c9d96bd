"""``code_batch``: the classifier's one entry. Pure: no files, no clock, no chance; each row is decided on its own."""

from typing import Final

import polars as pl
import pyarrow as pa

from taxonomy.classifier.bundle import Bundle
from taxonomy.classifier.decide import decide
from taxonomy.classifier.evidence import evidence_json
from taxonomy.classifier.scoring import score

INPUT: Final = ("unit_id", "name", "business_scope", "main_products", "gbt_code", "locked_class", "filing_text")
SLICE_ROWS: Final = 20_000
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
    "secondary": pl.String,
    "warning": pl.String,
}


def _input_frame(batch: pa.RecordBatch) -> pl.DataFrame:
    frame = pl.from_arrow(pa.Table.from_batches([batch]))
    assert isinstance(frame, pl.DataFrame)
    missing = [c for c in ("name", "business_scope") if c not in frame.columns]
    if missing:
        raise ValueError(f"columns {', '.join(missing)} are missing; expected name, business_scope")
    absent = [pl.lit(None, pl.String).alias(c) for c in INPUT if c not in frame.columns]
    frame = frame.with_columns(absent).select(pl.col(INPUT).cast(pl.String))
    return frame.with_columns(pl.col("gbt_code").str.strip_chars().str.to_uppercase())


def _code_slice(frame: pl.DataFrame, bundle: Bundle) -> pl.DataFrame:
    scored = score(frame, bundle)
    evidence = evidence_json(scored.parts, bundle.leaves, scored.best)
    decided = decide(scored, bundle).with_columns(evidence, pl.lit(bundle.hash).alias("bundle"))
    return decided.select(pl.col(c).cast(t) for c, t in OUTPUT.items())


def code_batch(batch: pa.RecordBatch, bundle: Bundle) -> pa.RecordBatch:
    """Code the units of one record batch.

    Parameters
    ----------
    batch
        Columns ``name``, ``business_scope`` and, if there, ``unit_id``, ``main_products`` (separated by ；;、 or line
        breaks), ``gbt_code`` (section letter, 2-4 digits or empty), ``locked_class`` (an adjudicated code or none, for
        the text as it is now), ``filing_text`` (product and purpose of the company's public algorithm filings: it may
        send a unit to review, never code it); any string type, nulls allowed, any number of rows.
    bundle
        What decides.

    Returns
    -------
    pyarrow.RecordBatch
        One row per input row in input order, columns :data:`OUTPUT`: ``probability`` is P(the class shown), ``p_ai``
        P(core); ``route`` one of lock, code, phrase, rule, model, parent (coded), review, uncodable (not coded);
        ``secondary`` further leaves that the text speaks for by itself (JSON list, empty where there is none).

    Raises
    ------
    ValueError
        If a required column is missing.
    """
    frame = _input_frame(batch)
    slices = [_code_slice(part, bundle) for part in frame.iter_slices(SLICE_ROWS)] if frame.height else []
    coded = pl.concat(slices or [pl.DataFrame(schema=OUTPUT)])
    table = coded.to_arrow(compat_level=pl.CompatLevel.oldest()).combine_chunks()
    batches = table.to_batches()
    if batches:
        return batches[0]
    return pa.RecordBatch.from_arrays([pa.array([], type=f.type) for f in table.schema], schema=table.schema)
