"""Entry point: ``aistat GROUP …``; each module ``aistat/<group>_cmd.py`` registers one command group."""

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Sequence

import aistat
from aistat.errors import CheckFailed, UserError

OK, FAILED, BAD_INPUT = 0, 1, 2


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(BAD_INPUT, f"{self.prog}: {message}; see '{self.prog} --help'\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser with every command group found in the package."""
    parser = _Parser(prog="aistat", description="人工智能产业统计监测系统 / statistics of a city's AI industry")
    parser.add_argument("--version", action="version", version=f"aistat {aistat.__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in sorted(m.name for m in pkgutil.iter_modules(aistat.__path__)):
        if module.endswith("_cmd"):
            importlib.import_module(f"aistat.{module}").register(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 done, 1 the work failed a check, 2 bad arguments or unreadable input."""
    args = build_parser().parse_args(argv)
    try:
        return int(args.func(args) or OK)
    except UserError as error:
        print(f"aistat: {error}", file=sys.stderr)
        return BAD_INPUT
    except CheckFailed as error:
        print(f"aistat: {error}", file=sys.stderr)
        return FAILED
    except BrokenPipeError:
        sys.stderr.close()
        return OK
    except KeyboardInterrupt:
        print("aistat: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
