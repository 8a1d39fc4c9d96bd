"""Profile of the register and its codes, night by night: each unit's part is kept, a night makes those of changed units alone."""

from math import ceil, log2
from typing import Final

import polars as pl

from etl.assets.process import CODE_UNIT
from etl.assets.register import REGISTER_CURRENT
from etl.unit_results import TEXTS, refresh_units
from taxonomy.classifier.profile import COUNTED, Profile, Tallies, marks, profile_of
from warehouse.write import WorkStore

MARK: Final = "control_register__profile_mark"
SPARE: Final = 4
"""Phrases kept of the first units for each that a profile needs: there are more in the whole register."""
WIDER: Final = 4
"""Bits by which the limit is raised where the phrases below it do not suffice: sixteen times as many."""
ALL: Final = 64


def _bits(work: WorkStore, sketch: int) -> int:
    """Bits of the hashes below which phrases are kept: as before, else so many that the first units alone have enough."""
    known = work.first(MARK, "bits") if work.exists(MARK) else None
    if isinstance(known, int):
        return known
    some = marks(next(work.batches(REGISTER_CURRENT, TEXTS[1:])))["phrases"].explode().drop_nulls().unique().sort()
    return ceil(log2(some[SPARE * sketch] + 1)) if some.len() > SPARE * sketch else ALL


def _tallied(work: WorkStore, bits: int, *, full: bool) -> Tallies:
    def make(units: pl.DataFrame) -> pl.DataFrame:
        return marks(units, 2**bits).with_columns(bits=pl.lit(bits, pl.Int64))

    refresh_units(work, MARK, f"bits {bits}", make, full=full)
    return Tallies(
        inputs=work.tally(MARK, ["filled", "division"]),
        phrases=work.tally_items(MARK, "phrases"),
        limit=2**bits,
        decisions=work.tally(CODE_UNIT, COUNTED, ["probability"]),
    )


def register_profile(work: WorkStore, sketch: int, *, full: bool = False) -> Profile:
    """:func:`taxonomy.classifier.profile.build_profile` of tonight's register and codes."""
    bits = _bits(work, sketch)
    while not (found := _tallied(work, bits, full=full)).suffices(sketch):
        bits = min(ALL, bits + WIDER)
    return profile_of(found, sketch)
