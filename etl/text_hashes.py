"""Hashes of what a person reads of a unit, kept for the register: whether a text is still that which was judged, or another unit's."""

from typing import Final

import polars as pl

from etl.unit_results import refresh_units
from taxonomy.classifier.gold import unit_keys, with_text_hashes
from warehouse.write import WorkStore

TEXT_HASH: Final = "control_register__text_hash"


def _hashed(units: pl.DataFrame) -> pl.DataFrame:
    keys = pl.Series("unit_key", unit_keys(units["unit_id"]))
    return with_text_hashes(units).select("unit_id", "text_hash", "scope_hash").with_columns(keys)


def refresh_hashes(work: WorkStore, *, full: bool = False) -> None:
    """Bring :data:`TEXT_HASH` (``unit_id, text_hash, scope_hash, unit_key``) up to the register; ``full``: hash every text anew."""
    refresh_units(work, TEXT_HASH, "", _hashed, full=full)
