"""``aistat review suspects``: declared codes that the unit's own text contradicts. Unit-level: for those who may see it."""

import argparse
import csv
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aistat.errors import UserError
from aistat.home import home

if TYPE_CHECKING:
    import polars as pl

BANNER = "清单含单位资料，只供核对，不得外传 / confidential unit data, a question to a person, never a correction"
HEADER = [
    "unit_id",
    "name",
    "declared",
    "suggested",
    "p_suggested",
    "p_wrong",
    "others",
    "gain",
    "business_scope",
    "area",
]


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``suspects`` to the commands of ``aistat review``."""
    command = commands.add_parser("suspects", help="申报行业代码疑误清单 / declared codes that the text contradicts")
    command.add_argument("--user", required=True)
    command.add_argument("--limit", type=int, default=20)
    command.add_argument("-o", "--output", type=Path, help="csv, mode 0600, with names and scopes")
    command.set_defaults(func=show_suspects)


def _listed(area: str | None, limit: int) -> "pl.DataFrame":
    from etl.suspects import for_people
    from warehouse.connect import run_lock
    from warehouse.write import WorkStore

    with run_lock(home()):
        try:
            return for_people(WorkStore(home()), area, limit)
        except LookupError as error:
            raise UserError(f"{home()}: no list yet ({error}); 'aistat run' makes it") from error


def show_suspects(args: argparse.Namespace) -> int:
    """The head of the list, the most worth looking at first; a user of a district sees that district. The view is audited."""
    from aistat.review_cmd import reviewer
    from warehouse.review_journal import ReviewJournal

    journal = ReviewJournal(home())
    user = reviewer(journal, args.user)
    rows = _listed(None if user.area == "city" else user.area, args.limit)
    journal.append(user.name, "suspects_listed", {"units": rows.height, "file": args.output is not None})
    if args.output is not None:
        _write(args.output, rows)
        print(f"{rows.height} 个单位 / units → {args.output}\n{BANNER}")
        return 0
    print(BANNER)
    for row in rows.iter_rows(named=True):
        others = f"  其他 / others {'、'.join(row['others'])}" if row["others"] else ""
        print(
            f"{row['unit_id']:<20} 申报 / declared {row['declared']:<5} 文字 / text {row['suggested']} "
            f"({row['p_suggested']:.2f})  P(误 / wrong) {row['p_wrong']:.2f}{others}"
        )
    return 0


def _write(path: Path, rows: "pl.DataFrame") -> None:
    from warehouse.export.words import safe_text

    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, HEADER)
        writer.writeheader()
        for row in rows.iter_rows(named=True):
            cells: dict[str, Any] = {**row, "others": ";".join(row["others"])}
            writer.writerow({k: safe_text(v) if isinstance(v := cells[k], str) else v for k in HEADER})
