"""Write the demo's files with their faults, and keep what the truth needs to know of them."""

from pathlib import Path
from typing import Any

import polars as pl

from etl.contract import MONEY_FACTORS, load_contract
from etl.demo.city import DemoFile
from etl.demo.faults import (
    LOG_SCHEMA,
    Fault,
    FaultPlanner,
    apply_faults,
    correction,
    due_date,
    log_rows,
    text_with_faults,
)
from etl.demo.files import headers, write_csv, write_xlsx
from etl.demo.scenario import LABEL, stream

TOTALS_SCHEMA = {
    "source_id": pl.String, "period": pl.String, "column": pl.String, "rows": pl.Int64, "total": pl.Float64
}  # fmt: skip


class DemoWriter:
    """Writes files to ``inbox/<source>/``; ``faults`` are put in as planned unless switched off."""

    def __init__(self, inbox: Path, seed: int, *, with_faults: bool = True) -> None:
        self.inbox, self.seed, self.with_faults = inbox, seed, with_faults
        self.planner = FaultPlanner()
        self._log: list[pl.DataFrame] = []
        self._faulty: dict[str, int] = {}
        self.rows: dict[str, int] = {}
        self._totals: dict[tuple[str, str, str], tuple[int, float]] = {}

    def write(self, file: DemoFile) -> None:
        """One file, and after it the file of the returns that came late or were corrected.

        KeyError for a column the contract does not have.
        """
        contract = load_contract(file.source_id)
        name = contract.file.name(file.year, **file.part)
        self.count(file.source_id, contract.file.period(name) or "", file.frame)
        due = (
            due_date(file.source_id, file.year, file.part["quarter"]) if "submitted_on" in file.frame.columns else None
        )
        rng = stream(self.seed, f"faults {name}")
        faults = self.planner.plan(rng, file.source_id, file.frame, due) if self.with_faults else []
        self._put(file, name, apply_faults(file.frame, faults))
        later = correction(file.frame, faults)
        second = contract.file.name(file.year, **file.part, revision=1) if later.height else ""
        if second:
            self._put(file, second, [later[column].to_list() for column in later.columns])
        self._note(file, name, faults, second)

    def _note(self, file: DemoFile, name: str, faults: list[Fault], later: str = "") -> None:
        number = self._faulty.get(name, 0)
        self._faulty[name] = number + len(faults)
        if faults:
            contract = load_contract(file.source_id)
            self._log.append(log_rows(contract, name, file.frame, faults, later, number + 1))

    def encoded(self, part: DemoFile, turn: int) -> bytes:
        """One part of a csv file, with its faults and, in turn 0, the head; for files too large to be held."""
        contract = load_contract(part.source_id)
        name = contract.file.name(part.year, **part.part)
        self.count(part.source_id, contract.file.period(name) or "", part.frame)
        faults = self.planner.plan(stream(self.seed, f"faults {name} {turn}"), part.source_id, part.frame)
        self._note(part, name, faults)
        text = text_with_faults(part.frame, faults)
        text.columns = headers(contract, part.frame)
        return text.write_csv(line_terminator="\r\n", include_header=turn == 0).encode("gb18030")

    def _put(self, file: DemoFile, name: str, columns: list[list[Any]]) -> None:
        contract = load_contract(file.source_id)
        path = self.inbox / file.source_id / name
        if contract.file.format == "csv":
            write_csv(path, headers(contract, file.frame), columns)
        else:
            write_xlsx(path, contract, file.year, headers(contract, file.frame), columns)

    def count(self, source_id: str, period: str, frame: pl.DataFrame) -> None:
        """Add rows to the true totals of a source and period."""
        self.rows[source_id] = self.rows.get(source_id, 0) + frame.height
        for column in load_contract(source_id).columns:
            if column.type not in ("int", "decimal") or column.to not in frame.columns:
                continue
            filled = frame[column.to].drop_nulls()
            rows, total = self._totals.get((source_id, period, column.to), (0, 0.0))
            amount = float(filled.sum() or 0) * MONEY_FACTORS.get(column.unit or "", 1)
            self._totals[source_id, period, column.to] = rows + filled.len(), total + amount

    def truth(self) -> dict[str, pl.DataFrame]:
        """``faults`` and ``source_totals``: what was put in, and the sums of each numeric column as they truly are.

        ``source_totals`` has ``source_id, period, column, rows`` (not blank), ``total`` in the stored unit (yuan, persons).
        """
        rows = [(*key, *value) for key, value in sorted(self._totals.items())]
        totals = pl.DataFrame(rows, schema=TOTALS_SCHEMA, orient="row").with_columns(label=pl.lit(LABEL))
        return {"faults": pl.concat([pl.DataFrame(schema=LOG_SCHEMA), *self._log]), "source_totals": totals}
