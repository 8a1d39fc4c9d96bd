"""A few errors in each file, of the kinds that real files have; each one is written down."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from etl.uscc import ALPHABET

Row = dict[str, Any]
DUPLICATE: Final = "duplicate_row"


@dataclass(frozen=True)
class Fault:
    """The file has ``written`` where the truth is ``original``; for a duplicate both are the code."""

    kind: str
    row: int
    column: str
    original: str
    written: str | int


def _broken_code(row: Row) -> str:
    code = str(row["uscc"])
    return code[:-1] + ALPHABET[(ALPHABET.index(code[-1]) + 7) % 31]


_Kind = tuple[str, str, Callable[[Row], str | int]]
_COMMON: Final[tuple[_Kind, ...]] = (
    ("broken_uscc", "uscc", _broken_code),
    (DUPLICATE, "uscc", lambda r: str(r["uscc"])),
)
KINDS: Final[dict[str, tuple[_Kind, ...]]] = {
    "register": (
        *_COMMON,
        ("unknown_gbt_code", "gbt_code", lambda r: "99" + str(r["gbt_code"])[2:]),
        ("negative_employees", "employed_persons", lambda r: -int(r["employed_persons"])),
        ("text_in_number", "employed_persons", lambda r: f"约{r['employed_persons']}人"),
    ),
    "ai_survey_annual": (
        *_COMMON,
        ("sum_mismatch", "ai_revenue_cny", lambda r: int(r["ai_revenue_cny"]) // 2 - 7),
        ("text_in_number", "main_revenue_cny", lambda r: f"约{r['main_revenue_cny']}"),
        ("negative_employees", "ai_employed_persons", lambda r: -int(r["ai_employed_persons"]) - 1),
    ),
    "finance_annual": (
        *_COMMON,
        ("text_in_number", "operating_revenue_cny", lambda r: f"{r['operating_revenue_cny']}（预计）"),
        ("negative_amount", "total_assets_cny", lambda r: -int(r["total_assets_cny"])),
    ),
    "labour_annual": (
        *_COMMON,
        ("negative_employees", "employed_persons", lambda r: -int(r["employed_persons"])),
        ("text_in_number", "rd_staff_persons", lambda r: "十余人"),
        ("more_women_than_staff", "female_persons", lambda r: int(r["employed_persons"]) + 3),
    ),
}
"""Kinds by source: name, column, what is written instead."""


def plan_faults(
    rng: np.random.Generator, source_id: str, frame: pl.DataFrame, rate: float, cap: float, turn: int
) -> list[Fault]:
    """Faults for one file: ``rate`` of its rows, one of each kind at least, ``cap`` of the rows at most.

    ``turn`` rotates the kinds, so that short files of different years differ. No two share a row.
    """
    kinds = KINDS[source_id]
    allowed = int(cap * frame.height)
    count = min(max(len(kinds), round(rate * frame.height)), allowed)
    able = np.arange(frame.height)
    if source_id == "ai_survey_annual":
        able = np.flatnonzero((frame["ai_revenue_cny"] > 100).to_numpy())
    faults = []
    for place, row in enumerate(rng.choice(able, count, replace=False).tolist()):
        kind, column, write = kinds[(turn + place) % len(kinds)]
        values = frame.row(row, named=True)
        faults.append(Fault(kind, row, column, str(values[column]), write(values)))
    return faults


def apply_faults(frame: pl.DataFrame, faults: list[Fault]) -> list[list[Any]]:
    """Columns of the file as lists, with the faults in them; duplicated rows stand at the end."""
    again = [fault.row for fault in faults if fault.kind == DUPLICATE]
    columns = []
    for name in frame.columns:
        values = frame[name].to_list()
        for fault in faults:
            if fault.column == name and fault.kind != DUPLICATE:
                values[fault.row] = fault.written
        columns.append(values + [values[row] for row in again])
    return columns


def log_rows(source_id: str, file: str, frame: pl.DataFrame, faults: list[Fault]) -> list[Row]:
    """Rows of ``truth/faults.parquet`` for one file; ``uscc`` is the true code."""
    return [
        {
            "source_id": source_id, "file": file, "uscc": frame["uscc"][f.row], "column": f.column,
            "kind": f.kind, "original": f.original, "written": str(f.written),
        }
        for f in faults
    ]  # fmt: skip
