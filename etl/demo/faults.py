"""Errors of the kinds that real files have, put in as ``faults.yaml`` says; each one is written down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import polars as pl
import yaml

from etl.contract import Contract, load_contract
from etl.demo.codes import codes_of
from etl.demo.fault_kinds import WRITERS, Cells, fits
from etl.methods.periods import of

HERE: Final = Path(__file__).parent
DUPLICATE, DUPLICATE_UNIT, LATE, CORRECTED = "duplicate_row", "duplicate_unit", "late_return", "corrected_return"
DEFAULT_COLUMN: Final = {
    "broken_uscc": "uscc", "unknown_gbt_code": "gbt_code", "wrong_gbt_code": "gbt_code", DUPLICATE_UNIT: "uscc"
}  # fmt: skip
TRIES: Final = 400
"""Rows looked at for one fault before it is given up."""
SPARE: Final = 2**34
"""Organisation bodies from here on are those of second codes; the mega city's units lie below."""
LATEST_DAYS: Final = 45

Outcome = Literal["quarantine", "edit", "other"]
LOG_SCHEMA: Final = dict.fromkeys(
    ("source_id", "file", "uscc", "key", "column", "kind", "original", "written", "expected_outcome", "fault_id",
     "corrected_in"), pl.String
)  # fmt: skip
"""``truth/faults.parquet``: a row a changed cell; the cells of one faulty row share ``fault_id``."""


@dataclass(frozen=True)
class FaultSpec:
    """An entry of ``faults.yaml``: kind, columns one of which is hit (none: the row or its code), share of rows."""

    kind: str
    columns: tuple[str, ...]
    rate: float
    outcome: Outcome


@dataclass(frozen=True)
class Fault:
    """One faulty row of a file: its place, and the cells as written. ``cells`` is empty for a row that moves whole."""

    kind: str
    row: int
    cells: Cells
    outcome: Outcome
    originals: Cells = field(default_factory=dict)


@cache
def _settings() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((HERE / "faults.yaml").read_text(encoding="utf-8"))
    return loaded


@cache
def fault_specs() -> Mapping[str, tuple[FaultSpec, ...]]:
    """The entries of ``faults.yaml`` by source; ValueError names an entry that cannot be used."""
    settings, found = _settings(), {}
    for source, entries in settings["sources"].items():
        contract = load_contract(source)
        for entry in entries:
            if entry["kind"] not in settings["outcomes"] or not 0 < entry["rate"] < 0.2:
                raise ValueError(f"etl/demo/faults.yaml, {source}: {entry}: unknown kind, or a rate not in (0, 0.2)")
            for name in entry.get("columns", []):
                contract.column(name)
        found[source] = tuple(
            FaultSpec(e["kind"], tuple(e.get("columns", ())), e["rate"], e.get("outcome", settings["outcomes"][e["kind"]]))
            for e in entries
        )  # fmt: skip
    return found


def due_date(source_id: str, year: int, quarter: int) -> date:
    """Last day to send a quarterly return; ValueError for a survey without one."""
    survey = load_contract(source_id).survey
    assert survey is not None, source_id
    return survey.due(of(4, year, quarter))


class FaultPlanner:
    """Draws the faults of one file after another.

    The number of faults of an entry is systematic: after any number of rows of a source it is the rate times the rows,
    to within one, so that small files of different years differ and no kind is left out by chance.
    """

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._second_codes = 0

    def plan(
        self, rng: np.random.Generator, source_id: str, frame: pl.DataFrame, due: date | None = None
    ) -> list[Fault]:
        """Faults of one file, no two in one row; ``due`` is the last day to send it where the file says the day."""
        specs, contract = fault_specs().get(source_id, ()), load_contract(source_id)
        before = self._rows.get(source_id, 0)
        self._rows[source_id] = before + frame.height
        free = rng.permutation(frame.height).tolist()
        faults: list[Fault] = []
        for place, spec in enumerate(specs):
            phase = (place * 0.618 + 0.5) % 1.0
            count = int((before + frame.height) * spec.rate + phase) - int(before * spec.rate + phase)
            for _ in range(count):
                fault = self._one(rng, spec, contract, frame, free, due)
                if fault is not None:
                    free.remove(fault.row)
                    faults.append(fault)
        return faults

    def _one(
        self, rng: np.random.Generator, spec: FaultSpec, contract: Contract, frame: pl.DataFrame,
        free: Sequence[int], due: date | None,
    ) -> Fault | None:  # fmt: skip
        """The first free row in which this fault is possible and has the outcome meant; None if there is none."""
        for row in free[:TRIES]:
            values = frame.row(row, named=True)
            if spec.kind == DUPLICATE_UNIT:
                code = self._second_code(frame, values["uscc"])
                return Fault(spec.kind, row, {"uscc": code}, spec.outcome, {"uscc": values["uscc"]})
            if spec.kind in (DUPLICATE, LATE):
                cells, originals = _late(rng, frame, due) if spec.kind == LATE else ({}, {})
                return Fault(spec.kind, row, cells, spec.outcome, originals)
            column = _column(rng, spec)
            if column and spec.kind != CORRECTED and values[column] is None:
                continue
            cells = WRITERS[spec.kind](rng, contract, values, column)
            if cells and fits(contract, values, cells) == (spec.outcome != "quarantine"):
                return Fault(spec.kind, row, cells, spec.outcome, {name: values[name] for name in cells})
        return None

    def _second_code(self, frame: pl.DataFrame, first: str) -> str:
        """A valid code of the same kind that no unit of the file has."""
        while True:
            self._second_codes += 1
            code = str(codes_of(np.array([SPARE + self._second_codes]), pl.Series([first[:2]]))[0])
            if code not in frame["uscc"]:
                return code


def _column(rng: np.random.Generator, spec: FaultSpec) -> str:
    if spec.kind == CORRECTED:
        return ",".join(spec.columns)
    if spec.columns:
        return spec.columns[int(rng.integers(len(spec.columns)))]
    return DEFAULT_COLUMN.get(spec.kind, "")


def _late(rng: np.random.Generator, frame: pl.DataFrame, due: date | None) -> tuple[Cells, Cells]:
    if due is None or "submitted_on" not in frame.columns:
        return {}, {}
    day = due + timedelta(days=int(rng.integers(1, LATEST_DAYS)))
    return {"submitted_on": day.isoformat()}, {"submitted_on": due.isoformat()}


def apply_faults(frame: pl.DataFrame, faults: list[Fault]) -> list[list[Any]]:
    """Columns of the first file as lists, with the faults in them: late rows left out, doubled ones at the end."""
    late = {f.row for f in faults if f.kind == LATE}
    doubled = [f for f in faults if f.kind in (DUPLICATE, DUPLICATE_UNIT)]
    columns = []
    for name in frame.columns:
        values = frame[name].to_list()
        again = [f.cells.get(name, values[f.row]) for f in doubled]
        for fault in faults:
            if name in fault.cells and fault.kind not in (DUPLICATE_UNIT, LATE):
                values[fault.row] = fault.cells[name]
        columns.append([v for row, v in enumerate(values) if row not in late] + again if late else values + again)
    return columns


def text_with_faults(frame: pl.DataFrame, faults: list[Fault]) -> pl.DataFrame:
    """As :func:`apply_faults`, all as text and without late rows: for the parts of a large csv file."""
    text = frame.cast(pl.String)
    doubled = [f for f in faults if f.kind in (DUPLICATE, DUPLICATE_UNIT)]
    plain = [f for f in faults if f.kind not in (DUPLICATE, DUPLICATE_UNIT)]
    again = text[[f.row for f in doubled]]
    for column in sorted({name for f in plain for name in f.cells}):
        here = [(f.row, f.cells[column]) for f in plain if column in f.cells]
        written = [None if v is None else str(v) for _, v in here]
        text = text.with_columns(text[column].scatter([row for row, _ in here], pl.Series(written, dtype=pl.String)))
    second = [f.cells.get("uscc") for f in doubled]
    if doubled:
        again = again.with_columns(uscc=pl.coalesce(pl.Series(second, dtype=pl.String), "uscc"))
    return pl.concat([text, again])


def correction(frame: pl.DataFrame, faults: list[Fault]) -> pl.DataFrame:
    """Rows of the later file: those that came late and those first sent wrong, now as they are."""
    rows = [f for f in faults if f.kind in (LATE, CORRECTED)]
    later = frame[[f.row for f in rows]]
    days = [f.cells.get("submitted_on") if f.kind == LATE else None for f in rows]
    if "submitted_on" in frame.columns and later.height:
        later = later.with_columns(pl.coalesce(pl.Series(days, dtype=pl.String), "submitted_on").alias("submitted_on"))
    return later


def log_rows(
    contract: Contract, file: str, frame: pl.DataFrame, faults: list[Fault], later: str = "", number: int = 1
) -> pl.DataFrame:
    """Rows of ``truth/faults.parquet`` for one file; ``uscc`` and ``key`` are the true ones, ``later`` the correction.

    ``number`` is that of the first fault, where a file is written part by part.
    """
    found: list[dict[str, Any]] = []
    for at, fault in enumerate(faults, number):
        values = frame.row(fault.row, named=True)
        key = "|".join(str(values[name]) for name in contract.own_key)
        whole = "uscc" if "uscc" in values else contract.own_key[0]
        cells = fault.cells or {whole: "" if fault.kind == LATE else values[whole]}
        for column, written in cells.items():
            found.append({
                "source_id": contract.id, "file": file, "uscc": values.get("uscc"), "key": key, "column": column,
                "kind": fault.kind, "original": str(fault.originals.get(column, values[column])),
                "written": "" if written is None else str(written), "expected_outcome": fault.outcome,
                "fault_id": f"{file}#{at:04d}",
                "corrected_in": later if fault.kind in (LATE, CORRECTED) else None,
            })  # fmt: skip
    return pl.DataFrame(found, schema=LOG_SCHEMA)
