"""``aistat frame``: the frames of finally verified years, and reopening one."""

import argparse

from aistat.errors import UserError
from aistat.home import home


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``frame`` to the command line."""
    parser = subparsers.add_parser("frame", help="年度名录：定格与重新打开 / frames of closed years: list, reopen")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="已定格的年份 / the frozen years").set_defaults(func=list_all)
    again = commands.add_parser("reopen", help="重新打开一年，下次作业按现时名录 / take today's register for a year")
    again.add_argument("year", type=int)
    again.add_argument("--user", required=True, help="批准人（approver） / who decides it")
    again.add_argument("--reason", required=True, help="理由，记入日志 / why; goes into the audit log")
    again.set_defaults(func=reopen_one)


def list_all(_: argparse.Namespace) -> int:
    """Frozen years with the night they were frozen and their units."""
    from etl.frozen_frame import frozen_years

    found = frozen_years(home())
    for year in found:
        print(f"{year.year}  定格于 / frozen {year.frozen}  {year.units:>10,} 家 / units")
    if not found:
        print("尚无定格的年份 / no year frozen yet; a year is when it is finally verified (aistat run)")
    return 0


def reopen_one(args: argparse.Namespace) -> int:
    """Reopen a year for a user who may release."""
    from etl.frozen_frame import reopen
    from etl.official import PERMISSION
    from warehouse.access import may
    from warehouse.connect import run_lock
    from warehouse.journal import Journal

    journal = Journal(home())
    user = journal.user(args.user)
    if user is None or not may(user, PERMISSION):
        raise UserError(
            f"--user {args.user}: 不是批准人 / not a user with permission {PERMISSION!r}; 'aistat user list' shows who is"
        )
    if not args.reason.strip():
        raise UserError("--reason needs a reason, for example --reason '第五次经济普查修订'")
    with run_lock(home()):
        try:
            found = reopen(home(), args.year)
        except LookupError as error:
            raise UserError(str(error)) from error
    detail: dict[str, object] = {"year": found.year, "frozen": found.frozen, "reason": args.reason.strip()}
    journal.append(user.name, "frame_reopened", detail)
    print(
        f"{found.year} 已重新打开，下次作业按现时名录并再次定格 / reopened: the next night takes and freezes today's register"
    )
    return 0
