"""Write the demo's files with their faults, and keep what the truth needs to know of them."""

from pathlib import Path
from typing import Any

import polars as pl

from etl.contract import MONEY_FACTORS, load_contract
from etl.demo.city import DemoFile
from etl.demo.faults import LOG_SCHEMA, FaultPlanner, apply_faults, correction, due_date, log_rows
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
        self.log: list[dict[str, Any]] = []
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
        self.log += log_rows(contract, name, file.frame, faults, second)

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
        return {"faults": pl.DataFrame(self.log, schema=LOG_SCHEMA), "source_totals": totals}
