"""A night on which 1 % changes: register units at random, and returns of the two latest periods, as corrected files."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from etl.contract import Contract, load_contract
from etl.demo.files import write_csv, write_xlsx
from etl.reading import file_period
from etl.reading.raw import read_raw

RETURNS = (
    "ai_survey_annual",
    "ai_survey_quarterly",
    "finance_annual",
    "finance_quarterly",
    "labour_annual",
    "rnd_annual",
)
PERIODS = 2
CHANGED = "2"


def _register_lines(path: Path, share: float, rng: np.random.Generator) -> tuple[list[str], list[list[str]]]:
    """The head and a random share of the rows of a register file of any size."""
    with path.open(encoding="gb18030", newline="") as file:
        head = next(csv.reader([next(file).lstrip("\ufeff")]))
        rows = list(csv.reader(line for line in file if rng.random() < share))
    return head, [row for row in rows if len(row) == len(head)]


def change_register(inbox: Path, day: str, share: float, rng: np.random.Generator) -> int:
    """Write the nightly file of changed units: staff in half of them, the text of the scope in the other; its rows."""
    full = sorted((inbox / "register").glob("register_*.csv"))[-1]
    head, rows = _register_lines(full, share, rng)
    contract = load_contract("register_delta")
    staff, scope = (head.index(contract.column(c).header) for c in ("employed_persons", "business_scope"))
    for row in rows:
        if rng.random() < 0.5 and row[staff].isdecimal():  # the demo's faults are left as they are
            row[staff] = str(int(row[staff]) + 1)
        elif row[scope]:
            row[scope] += "；技术咨询。"
    columns = [[CHANGED] * len(rows), *([row[i] for row in rows] for i in range(len(head)))]
    write_csv(inbox / "register_delta" / f"register_delta_{day}.csv", ["变更类型", *head], columns)
    return len(rows)


def _latest(contract: Contract, inbox: Path) -> Iterator[tuple[str, Path]]:
    """First deliveries of the two latest periods."""
    found = {}
    for path in sorted((inbox / contract.id).iterdir()):
        if contract.file.revision(path.name) == 0:
            found[file_period(contract, path) or ""] = path
    yield from sorted(found.items())[-PERIODS:]


def change_returns(inbox: Path, share: float, rng: np.random.Generator) -> int:
    """Write corrected returns of a random share of the units of the two latest periods: all amounts 2 % up; their rows."""
    count = 0
    for source in RETURNS:
        contract = load_contract(source)
        amounts = [c.header for c in contract.columns if c.type == "decimal"]
        for period, path in _latest(contract, inbox):
            raw = read_raw(contract, path).frame.drop("__line")
            rows = raw.filter(pl.Series(rng.random(raw.height) < share))
            if rows.is_empty():
                continue
            text = (
                pl.col([c for c in amounts if c in rows.columns])
                .str.replace_all(",", "")
                .cast(pl.Float64, strict=False)
            )
            rows = rows.with_columns((text * 1.02).round(0).cast(pl.Int64).cast(pl.String))
            names, columns = rows.columns, [rows[c].to_list() for c in rows.columns]
            revision = 1 + max(contract.file.revision(p.name) for p in path.parent.glob(f"{path.stem}*"))
            target = path.with_name(f"{path.stem}_更正{revision}{path.suffix}")
            if path.suffix == ".csv":
                write_csv(target, names, columns)
            else:
                write_xlsx(target, contract, int(period[:4]), names, columns)
            count += rows.height
    return count


def one_percent(home: Path, day: str, seed: int, share: float = 0.01) -> tuple[int, int]:
    """Let the night of ``day`` (ISO) bring its changes to ``home``'s inbox: changed register units, corrected returns."""
    rng = np.random.default_rng(seed)
    inbox = home / "inbox"
    return change_register(inbox, day, share, rng), change_returns(inbox, share, rng)
