"""``aistat serve``: the web application."""

import argparse
import os

from aistat.errors import UserError
from aistat.home import home

LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``serve`` to the command line."""
    parser = subparsers.add_parser("serve", help="提供网页应用 / serve the app")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=int(os.environ.get("AISTAT_PORT", "8050")))
    parser.add_argument("--threads", type=int, default=4)
    parser.set_defaults(func=serve)


def serve(args: argparse.Namespace) -> int:
    """Serve until stopped; refuses to be reached from outside while demo accounts exist."""
    from warehouse.journal import Journal

    if args.host not in LOOPBACK and Journal(home()).has_demo_accounts():
        raise UserError(
            f"this home holds demo accounts; refusing to listen on {args.host}: use 127.0.0.1, or disable them "
            "('aistat user disable NAME')"
        )
    from granian import Granian
    from granian.constants import Interfaces
    from granian.log import LogLevels

    os.environ["AISTAT_HOME"] = str(home())
    # The desk's alone: this process must not even know where evidence lies.
    os.environ.pop("AISTAT_EVIDENCE", None)
    Granian(
        "dashboard.wsgi:server", address=args.host, port=args.port, interface=Interfaces.WSGI, workers=1,
        blocking_threads=args.threads, backpressure=args.threads * 4, log_level=LogLevels.warning, websockets=False,
    ).serve()  # fmt: skip
    return 0
