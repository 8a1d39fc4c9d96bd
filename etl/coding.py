"""Code the register with the classifier, unit by unit, only where something changed."""

import hashlib
import json
from pathlib import Path

import polars as pl
import pyarrow as pa

from taxonomy.classifier.batch import code_batch
from taxonomy.classifier.bundle import Bundle
from taxonomy.classifier.decide import nominated
from taxonomy.classifier.store import current_bundle
from taxonomy.scheme import load_scheme

INPUT = ["unit_id", "name", "business_scope", "main_products", "gbt_code"]
KEPT = ["unit_id", "ai_class", "segment", "p_ai", "probability", "route", "candidates", "evidence", "bundle"]
BATCH_ROWS = 50_000


def load_bundle(directory: Path) -> Bundle:
    """The bundle in use: the promoted one, else that of the installed taxonomy (built when it is not there yet)."""
    directory.mkdir(parents=True, exist_ok=True)
    return current_bundle(directory)


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def coding_input(register: pl.DataFrame) -> pl.DataFrame:
    """The columns the classifier reads, with a hash of them per unit."""
    frame = register.select(pl.col("uscc").alias("unit_id"), *INPUT[1:])
    text = pl.concat_str([pl.col(c).fill_null("\x00") for c in INPUT[1:]], separator="\x1f")
    return frame.with_columns(input_hash=text.map_elements(_digest, return_dtype=pl.String))


def _code(frame: pl.DataFrame, bundle: Bundle) -> pl.DataFrame:
    parts = []
    for batch in frame.select(INPUT).iter_slices(BATCH_ROWS):
        table = batch.to_arrow(compat_level=pl.CompatLevel.oldest())
        for record in table.combine_chunks().to_batches():
            parts.append(pl.from_arrow(pa.Table.from_batches([code_batch(record, bundle)])))
    return pl.concat(parts)


def _leaves(candidates: str | None, ai_class: str | None, leaves: frozenset[str]) -> list[str]:
    """Core leaves of a decision, the chosen class first, then its candidates in their order."""
    ranked = [c["code"] for c in json.loads(candidates or "[]")]
    ordered = ([ai_class] if ai_class else []) + ranked
    return list(dict.fromkeys(c for c in ordered if c in leaves))


def with_leaves(codes: pl.DataFrame) -> pl.DataFrame:
    """Add ``nominated`` and ``candidate_leaves`` (core leaf codes, best first)."""
    core = frozenset(c.code for c in load_scheme("ai_industry_2026").at_level(3) if c.segment == "core")
    codes = codes.with_columns(nominated=nominated(codes))
    leaves = [_leaves(c, a, core) for c, a in zip(codes["candidates"], codes["ai_class"], strict=True)]
    return codes.with_columns(candidate_leaves=pl.Series(leaves, dtype=pl.List(pl.String)))


def code_units(
    register: pl.DataFrame, bundle: Bundle, previous: pl.DataFrame | None = None
) -> tuple[pl.DataFrame, int]:
    """Codes of every register unit, and how many had to be coded anew.

    ``previous`` is the last result of this function; a unit whose texts, declared code and bundle are unchanged
    keeps its decision (the result equals a full pass, which is tested).
    """
    units = coding_input(register)
    kept = pl.DataFrame()
    todo = units
    if previous is not None and previous.height:
        same = previous.filter(pl.col("bundle") == bundle.hash).select("unit_id", "input_hash")
        todo = units.join(same, on=["unit_id", "input_hash"], how="anti")
        kept = previous.join(
            units.join(same, on=["unit_id", "input_hash"], how="semi").select("unit_id"), on="unit_id", how="semi"
        )
    if todo.height == 0:
        return kept.sort("unit_id"), 0
    fresh = _code(todo, bundle).select(KEPT)
    fresh = with_leaves(fresh).join(todo.select("unit_id", "input_hash"), on="unit_id", how="left", validate="1:1")
    coded = pl.concat([kept.select(fresh.columns), fresh]) if kept.height else fresh
    return coded.sort("unit_id"), todo.height
