"""Lists of register units for people: ``aistat review suspects`` and ``duplicates``. Unit-level: for those who may see it."""

import argparse
import csv
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aistat.errors import UserError
from aistat.home import home

if TYPE_CHECKING:
    import polars as pl

BANNER = "清单含单位资料，只供核对，不得外传 / confidential unit data, a question to a person, never a correction"
SUSPECTS = (
    "unit_id", "name", "declared", "suggested", "p_suggested", "p_wrong", "others", "gain", "business_scope", "area",
)  # fmt: skip
DUPLICATES = ("unit_id", "name", "same_as", "left_out", "returns", "reason", "opening_date", "area")
REASONS = {
    "second_code": "同一单位的另一代码，不入名录框 / a second code of the unit, left out of the frame",
    "several_codes_with_returns": "两个代码都有报表，请核定 / both codes sent returns: say which is the unit",
}
Row = dict[str, Any]


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the lists to the commands of ``aistat review``."""
    for name, text, func in (
        ("suspects", "申报行业代码疑误清单 / declared codes that the text contradicts", show_suspects),
        ("duplicates", "重复单位清单 / units that the register holds under several codes", show_duplicates),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--user", required=True)
        command.add_argument("--limit", type=int, default=20)
        command.add_argument("-o", "--output", type=Path, help="csv, mode 0600, with names and texts")
        command.set_defaults(func=func)


def show_suspects(args: argparse.Namespace) -> int:
    """Declared codes that the text contradicts, the most worth looking at first."""
    from etl.suspects import for_people

    return _show(args, "suspects_listed", for_people, SUSPECTS, _suspect)


def show_duplicates(args: argparse.Namespace) -> int:
    """Units under several codes, those first of which both codes sent returns."""
    from etl.duplicates import for_people

    return _show(args, "duplicates_listed", for_people, DUPLICATES, _duplicate)


def _suspect(row: Row) -> str:
    others = f"  其他 / others {'、'.join(row['others'])}" if row["others"] else ""
    return (
        f"{row['unit_id']:<20} 申报 / declared {row['declared']:<5} 文字 / text {row['suggested']} "
        f"({row['p_suggested']:.2f})  P(误 / wrong) {row['p_wrong']:.2f}{others}"
    )


def _duplicate(row: Row) -> str:
    return f"{row['unit_id']:<20} = {row['same_as']:<20} {REASONS[row['reason']]}"


def _show(
    args: argparse.Namespace, action: str, listed: "Callable[..., pl.DataFrame]", header: Sequence[str],
    line: Callable[[Row], str],
) -> int:  # fmt: skip
    """The head of a list; a user of a district sees that district. The view is audited."""
    from aistat.review_cmd import reviewer
    from warehouse.connect import run_lock
    from warehouse.review_journal import ReviewJournal
    from warehouse.write import WorkStore

    journal = ReviewJournal(home())
    user = reviewer(journal, args.user)
    with run_lock(home()):
        try:
            rows = listed(WorkStore(home()), None if user.area == "city" else user.area, args.limit)
        except LookupError as error:
            raise UserError(f"{home()}: no list yet ({error}); 'aistat run' makes it") from error
    journal.append(user.name, action, {"units": rows.height, "file": args.output is not None})
    if args.output is not None:
        _write(args.output, rows, header)
        print(f"{rows.height} 个单位 / units → {args.output}\n{BANNER}")
        return 0
    print(BANNER)
    for row in rows.iter_rows(named=True):
        print(line(row))
    return 0


def _cell(value: Any) -> Any:
    from warehouse.export.words import safe_text

    if isinstance(value, list):
        value = ";".join(value)
    return safe_text(value) if isinstance(value, str) else value


def _write(path: Path, rows: "pl.DataFrame", header: Sequence[str]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows([_cell(row[k]) for k in header] for row in rows.iter_rows(named=True))
