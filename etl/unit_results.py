"""Results of single units, kept beside the hash of what they were made from: a night makes those of changed units alone.

For results that rest on a unit's texts and declared code and on nothing else of the night; what they rest on besides
(a model, rules) is the ``version``: another version, or any other code of ours, makes all of them anew.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import polars as pl

from etl.assets.process import CODE_UNIT
from etl.assets.register import REGISTER_CURRENT
from etl.remember import Memory
from warehouse.write import WorkStore

KEY: Final = ("unit_id", "input_hash")
TEXTS: Final = ("uscc", "name", "business_scope", "main_products", "gbt_code")
ROWS: Final = 20_000
Make = Callable[[pl.DataFrame], pl.DataFrame]


def _made(units: pl.DataFrame, hashes: pl.DataFrame, version: str, make: Make) -> pl.DataFrame:
    """``make`` of units (:data:`TEXTS`, the first named ``unit_id``) with key and version."""
    found = hashes.join(make(units), on="unit_id", how="inner", validate="1:1", maintain_order="left")
    return found.with_columns(version=pl.lit(version))


def _everything(work: WorkStore, version: str, make: Make) -> Iterator[pl.DataFrame]:
    """Register and codes go through side by side: both hold the same units in the order of their code."""
    hashes, at = work.read(CODE_UNIT, KEY), 0
    for chunk in work.batches(REGISTER_CURRENT, TEXTS, rows=ROWS):
        for units in chunk.rename({"uscc": "unit_id"}).iter_slices(ROWS):
            own, at = hashes.slice(at, units.height), at + units.height
            if not own["unit_id"].equals(units["unit_id"]):
                raise ValueError(
                    "codes and register do not hold the same units in the same order; code the register first"
                )
            yield _made(units, own, version, make)


def _lacking(work: WorkStore, table: str) -> tuple[pl.DataFrame, pl.Series]:
    """Units to be made with their key, and units whose result goes (changed ones are both)."""
    changed = work.changed_since(CODE_UNIT, work.seen(table, CODE_UNIT))
    if changed is None:
        return work.lacking(CODE_UNIT, table, KEY), work.lacking(table, CODE_UNIT, KEY)["unit_id"]
    now, then = (work.matching(t, KEY, changed.alias("unit_id")) for t in (CODE_UNIT, table))
    keys = list(KEY)
    return now.join(then, on=keys, how="anti", maintain_order="left"), then.join(now, on=keys, how="anti")["unit_id"]


def refresh_units(work: WorkStore, table: str, version: str, make: Make, *, full: bool = False) -> int:
    """Bring ``table`` up to the register: ``unit_id, input_hash``, what ``make`` gives, ``version``; units made anew.

    Parameters
    ----------
    make
        From ``unit_id, name, business_scope, main_products, gbt_code`` to ``unit_id`` and results, one row a unit.
    full
        Make all of them, whatever is there.
    """
    version = Memory(Path()).key("unit_results", (version,))
    known = work.exists(table) and work.rows(table) > 0
    if full or not known or work.first(table, "version") != version:
        made = work.write_keyed(table, KEY[0], _everything(work, version, make))
        work.saw(table, CODE_UNIT, work.version(CODE_UNIT))
        return made
    coded = work.version(CODE_UNIT)
    lacking, gone = _lacking(work, table)

    def frames() -> Iterator[pl.DataFrame]:
        yield next(work.batches(table, any_order=True)).clear()
        for hashes in lacking.iter_slices(ROWS):
            units = work.matching(REGISTER_CURRENT, TEXTS, hashes["unit_id"].alias("uscc"))
            yield _made(units.rename({"uscc": "unit_id"}), hashes, version, make)

    if lacking.height or gone.len():
        work.change_rows(table, KEY[0], gone, frames())
    work.saw(table, CODE_UNIT, coded)
    return lacking.height
