"""``aistat audit``: independent audit of any suppression pattern; exit 1 if it fails."""

import argparse
import json
from hashlib import sha256
from pathlib import Path

from aistat.disclosure_run import Ticker, full_audit, load_input, read_ledger
from aistat.errors import CheckFailed, UserError


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``audit`` to the command line."""
    parser = subparsers.add_parser("audit", help="独立审核保密方案 / independent audit of a suppression pattern")
    parser.add_argument(
        "output", type=Path, metavar="OUT.csv", help="aistat protect 的结果 / as aistat protect writes it"
    )
    parser.add_argument("--input", type=Path, required=True, metavar="IN.csv")
    parser.add_argument("--spec", type=Path, required=True, help="规格 / specification (YAML)")
    parser.add_argument("--ledger", type=Path, metavar="DIR", help="发布台账 / ledger of everything released")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Print the result (JSON, restricted: it names cells); fail if a check does."""
    from etl.methods.disclosure.outfile import listing
    from etl.methods.disclosure.problem import ProblemError
    from etl.methods.disclosure.verify.pattern import read_pattern
    from etl.methods.disclosure.verify.report import Auditor

    ticker = Ticker()
    loaded = load_input(args.input, args.spec, ticker)
    entries = read_ledger(args.ledger)
    try:
        pattern = read_pattern(args.output, loaded.problem)
    except ProblemError as error:
        raise UserError(str(error)) from None
    digest = sha256(args.output.read_bytes()).hexdigest()
    report, result = full_audit(Auditor(loaded, progress=ticker), pattern, digest, entries, args.ledger)
    print(json.dumps(result, ensure_ascii=False, indent=1))
    if not report.passed:
        raise CheckFailed(f"审核未通过 / the audit failed: {listing(report.checks)}")
    return 0
