"""``aistat desk``: the review desk, a process of its own on its own port."""

import argparse
import os
from pathlib import Path

from aistat.errors import UserError
from aistat.home import home
from aistat.serve_cmd import LOOPBACK


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``desk`` to the command line."""
    parser = subparsers.add_parser(
        "desk", help="复核台（单位级证据，独立进程与端口）/ the review desk with unit-level evidence"
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=int(os.environ.get("AISTAT_DESK_PORT", "8060")))
    parser.add_argument(
        "--evidence", type=Path, help="folder of evidence files (default: AISTAT_EVIDENCE, else AISTAT_HOME/evidence)"
    )
    parser.add_argument("--threads", type=int, default=4)
    parser.set_defaults(func=desk)


def desk(args: argparse.Namespace) -> int:
    """Serve the desk until stopped; refuses to be reached from outside while demo accounts exist."""
    from warehouse.journal import Journal

    if args.host not in LOOPBACK and Journal(home()).has_demo_accounts():
        raise UserError(
            f"this home holds demo accounts; refusing to listen on {args.host}: use 127.0.0.1, or disable them "
            "('aistat user disable NAME')"
        )
    folder = (args.evidence or Path(os.environ.get("AISTAT_EVIDENCE") or home() / "evidence")).resolve()
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no evidence there; 'aistat run' writes it after a release, or give --evidence FOLDER"
        )
    from granian import Granian
    from granian.constants import Interfaces
    from granian.log import LogLevels

    os.environ["AISTAT_HOME"], os.environ["AISTAT_EVIDENCE"] = str(home()), str(folder)
    Granian(
        "dashboard.desk.wsgi:server", address=args.host, port=args.port, interface=Interfaces.WSGI, workers=1,
        blocking_threads=args.threads, backpressure=args.threads * 4, log_level=LogLevels.warning, websockets=False,
    ).serve()  # fmt: skip
    return 0
