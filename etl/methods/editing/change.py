"""What was changed, why and how: the record every correction and imputation leaves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

Flag = Literal["corrected", "prorated", "imputed", "set_missing"]
SCHEMA: Final = {
    "record": pl.String,
    "variable": pl.String,
    "original": pl.Float64,
    "value": pl.Float64,
    "rule": pl.String,
    "flag": pl.String,
    "detail": pl.String,
}


@dataclass(frozen=True)
class Change:
    """One value changed: ``original`` (``None`` where missing) became ``value`` by ``rule``; ``flag`` is its kind.

    ``detail``: what the rule used (a factor, a donor, a link), for the editing page.
    """

    record: str
    variable: str
    original: float | None
    value: float | None
    rule: str
    flag: Flag
    detail: str = ""


def change_frame(changes: Sequence[Change]) -> pl.DataFrame:
    """The changes as a table of :data:`SCHEMA`, in their order."""
    return pl.DataFrame([vars(c) for c in changes], schema=SCHEMA)
