"""``aistat review reminders``: whose return is overdue, those of greatest influence on the total first (催报). Unit-level."""

import argparse
import os
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from aistat.errors import UserError
from aistat.home import home

if TYPE_CHECKING:
    from etl.responses import Tracking

BANNER = "名单含单位资料，只供催报，不得外传 / confidential unit data, for reminding only"
HEADER = ("unit", "name", "area", "days_late", "action", "influence", "covered_if_received", "period_before")


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``reminders`` to the commands of ``aistat review``."""
    command = commands.add_parser("reminders", help="催报名单 / overdue returns, by influence on the total")
    command.add_argument("--source", required=True, help="survey, such as ai_survey_quarterly")
    command.add_argument("--period", required=True, help="2025 or 2026-Q2")
    command.add_argument("--user", required=True)
    command.add_argument("--as-of", type=date.fromisoformat, help="day (ISO), default today")
    command.add_argument("--due", type=date.fromisoformat, help="last day in time, default by the contract's due_days")
    command.add_argument("--limit", type=int, default=20)
    command.add_argument("-o", "--output", type=Path, help="csv of the whole list, mode 0600")
    command.set_defaults(func=show_reminders)


def _tracking(args: argparse.Namespace, area: str) -> "Tracking":
    from etl.contract import ContractError
    from etl.responses import track
    from warehouse.connect import run_lock
    from warehouse.write import WorkStore

    with run_lock(home()):
        try:
            return track(WorkStore(home()), args.source, args.period, args.as_of or date.today(), args.due, area)
        except LookupError as error:
            raise UserError(f"{home()}: nothing received yet ({error}); 'aistat run' reads the files") from error
        except (ValueError, ContractError) as error:
            raise UserError(str(error)) from error


def show_reminders(args: argparse.Namespace) -> int:
    """Response by district, and the head of the list; a user of a district sees that district. The view is audited."""
    from aistat.review_cmd import reviewer
    from warehouse.review_journal import ReviewJournal

    journal = ReviewJournal(home())
    user = reviewer(journal, args.user)
    found = _tracking(args, user.area)
    journal.append(
        user.name, "reminders_listed",
        {"source": args.source, "period": args.period, "units": found.listed.height, "file": args.output is not None},
    )  # fmt: skip
    print(f"{args.source} {args.period} 报送截止 / due {found.due}")
    for row in found.rates.iter_rows(named=True):
        weighted = "—" if row["weighted_rate"] is None else f"{row['weighted_rate']:.1%}"
        print(
            f"  {row['area'] or '(地区不明 / no district)':<8} 应报 / asked {row['asked']:>6,}  已报 / received {row['received']:>6,}"
            f"  报送率 / rate {row['unit_rate']:.1%}  按规模 / by size {weighted}  逾期 / overdue {row['overdue']:,}"
        )
    if args.output is not None:
        _write(args.output, found)
        print(f"{found.listed.height} 个单位 / units → {args.output}\n{BANNER}")
        return 0
    print(BANNER)
    for row in found.listed.head(args.limit).iter_rows(named=True):
        part = "未知 / unknown" if row["influence"] is None else f"{row['influence']:.2%}"
        action = row["action"] or "—"
        print(f"{row['unit']:<20} {row['name'] or '':<24} {row['days_late']:>4} 天 / days  {part:<8} {action}")
    return 0


def _write(path: Path, found: "Tracking") -> None:
    import csv

    from warehouse.export.words import safe_text

    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for row in found.listed.select(HEADER).iter_rows():
            writer.writerow([safe_text(v) if isinstance(v, str) else v for v in row])
