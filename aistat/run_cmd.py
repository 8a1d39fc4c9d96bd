"""``aistat run``: the nightly job in this process, with a progress display."""

import argparse
import os
from datetime import date
from pathlib import Path

from aistat.errors import UserError
from aistat.home import home


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``run`` to the command line."""
    parser = subparsers.add_parser("run", help="运行作业并发布 / run a job and publish a release")
    parser.add_argument("--job", choices=["nightly"], default="nightly")
    parser.add_argument("--inbox", type=Path, help="folder of received files (default: AISTAT_HOME/inbox)")
    parser.add_argument("--as-of", help="vintage date YYYY-MM-DD (default: today in Asia/Shanghai)")
    parser.add_argument("--full", action="store_true", help="compute everything again, changed or not")
    parser.add_argument(
        "--accept-drift",
        metavar="REASON",
        help="放行漂移并写明理由（真实变化） / let a confirmed real change pass the drift gate",
    )
    parser.add_argument(
        "--official",
        action="store_true",
        help="请求正式发布；有任何一行依据不足即拒绝 / ask for an official release; refused while any row has a weak basis",
    )
    parser.add_argument("--user", help="与 --official 同用：签发人 / who asks for it, with --official (role approver)")
    parser.set_defaults(func=run)


def _check_date(text: str | None) -> str | None:
    if text is not None:
        try:
            date.fromisoformat(text)
        except ValueError as error:
            raise UserError(f"--as-of {text!r} is not a date; give it as YYYY-MM-DD, for example 2026-03-31") from error
    return text


def _approver(root: Path, name: str | None) -> str:
    """The user who asks for an official release, if this installation and that user may."""
    from etl.official import OfficialRefused, require_request

    try:
        return require_request(root, name)
    except OfficialRefused as error:
        raise UserError(str(error)) from error


def run(args: argparse.Namespace) -> int:
    """Run the job; exit 1 when an asset or a blocking check failed (the last release stays served)."""
    from etl.instance import run_nightly
    from etl.progress import ENABLED, say

    os.environ.setdefault(ENABLED, "1")
    root = home()
    if args.accept_drift is not None and not args.accept_drift.strip():
        raise UserError("--accept-drift needs a reason, for example --accept-drift '普查后名录整体更新'")
    inbox = args.inbox.resolve() if args.inbox else None
    folder = inbox or root / "inbox"
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no inbox there; put the received files into one folder a source below it, "
            "or run 'aistat init' for an empty installation, 'aistat demo' for the built-in city"
        )
    official = _approver(root, args.user) if args.official else None
    say(f"每晚作业 / nightly job, AISTAT_HOME={root}")
    passed = run_nightly(
        root,
        as_of=_check_date(args.as_of),
        full=args.full,
        inbox=inbox,
        accept_drift=args.accept_drift,
        official=official,
    )
    say("完成 / done" if passed else "未完成，仍提供上一版发布 / not finished; the last release stays served")
    return 0 if passed else 1
