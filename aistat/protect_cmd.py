"""``aistat protect``: disclosure control of any table; only what passes the independent audit is written."""

import argparse
import json
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aistat.disclosure_run import (
    Ticker,
    earlier_of,
    entry_from,
    full_audit,
    load_input,
    read_ledger,
    writable,
    write,
)
from aistat.errors import CheckFailed, UserError
from aistat.home import home

if TYPE_CHECKING:
    from etl.methods.disclosure.beside import Earlier
    from etl.methods.disclosure.ledger import Entry
    from etl.methods.disclosure.loading import Loaded
    from etl.methods.disclosure.verify.report import Auditor

#: Share of the time limit for the search; the rest is the audit's.
SEARCHING = 0.7


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``protect`` to the command line."""
    parser = subparsers.add_parser("protect", help="统计保密：任意表 / disclosure control of any table")
    parser.add_argument("input", type=Path, metavar="IN.csv")
    parser.add_argument("--spec", type=Path, required=True, help="规格 / specification (YAML)")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT.csv", help="保密官文件 / officer's file"
    )
    parser.add_argument("--public", type=Path, metavar="P.csv", help="公开文件 / keys, values and 保密 only")
    parser.add_argument("--certificate", type=Path, metavar="C.json", help="证书（限保密官）/ certificate (restricted)")
    parser.add_argument("--ledger", type=Path, metavar="DIR", help="发布台账 / ledger of everything released")
    parser.add_argument(
        "--time-limit", type=float, metavar="S", help="秒 / seconds (default: the specification's, 600)"
    )
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Read, protect, audit, write."""
    from etl.methods.disclosure.certificate import installation_key
    from etl.methods.disclosure.problem import ProblemError

    if args.time_limit is not None and not args.time_limit > 0:
        raise UserError(f"--time-limit {args.time_limit}: expected seconds above 0; correct it")
    writable(args.output, args.public, args.certificate)
    ticker = Ticker()
    loaded = load_input(args.input, args.spec, ticker)
    entries = read_ledger(args.ledger)
    try:
        installation_key(home())
    except ProblemError as error:
        raise UserError(str(error)) from None
    try:
        return _protect(args, loaded, entries, ticker)
    except CheckFailed:
        if args.public is not None:
            args.public.unlink(missing_ok=True)
        raise


def _protect(args: argparse.Namespace, loaded: "Loaded", entries: list["Entry"], ticker: Ticker) -> int:
    from etl.methods.disclosure.outfile import as_csv, listing, public_csv, rows
    from etl.methods.disclosure.sensitivity import find_sensitive
    from etl.methods.disclosure.verify.pattern import read_pattern
    from etl.methods.disclosure.verify.report import Auditor

    auditor = Auditor(loaded, progress=ticker)
    hidden = _search(args, loaded, auditor, entries, ticker)
    found = find_sensitive(loaded.problem, loaded.spec.rules)
    ticker.say("独立审核 / independent audit")
    draft = args.output.with_name(f".{args.output.name}.draft")
    try:
        write(draft, as_csv(*rows(loaded, hidden, found)))
        pattern = read_pattern(draft, loaded.problem)
    finally:
        draft.unlink(missing_ok=True)
    report, result = full_audit(auditor, pattern, "", entries, args.ledger)
    if not report.passed:
        raise CheckFailed(
            f"审核未通过 / the pattern failed the independent audit: {listing(report.checks)}; nothing was written; "
            "allow more time (--time-limit) or coarser dimensions"
        )
    header, lines = rows(loaded, hidden, found, (report.low, report.high))
    out = as_csv(header, lines)
    _write(args, loaded, out, result)
    # What is shown to anybody stands in the ledger first: a public file that it does not know could not be audited again.
    if args.ledger is not None:
        _enter(args, loaded, auditor, out, ticker)
    if args.public is not None:
        write(args.public, public_csv(loaded, header, lines), restricted=False)
    counts = ", ".join(f"{k} {v:,}" for k, v in report.counts.items())
    ticker.say(f"通过 / passed: {counts}")
    return 0


def _search(
    args: argparse.Namespace, loaded: "Loaded", auditor: "Auditor", entries: list["Entry"], ticker: Ticker
) -> Any:
    """Hidden variables of a certified pattern; CheckFailed where there is none."""
    from etl.methods.disclosure.beside import Earlier, NotCertified, StayExposed, hidden_beside
    from etl.methods.disclosure.problem import ProblemError
    from etl.methods.disclosure.protection import Options

    limit = args.time_limit or loaded.spec.time_limit
    earlier = _decided(args, auditor, entries) if entries else Earlier()
    options = Options(protection=loaded.spec.protection, time_limit=SEARCHING * limit, progress=ticker)
    ticker.say("保护 / protecting")
    try:
        return hidden_beside(auditor, loaded.problem, earlier, options)
    except NotCertified as error:
        raise CheckFailed(
            f"时限内无合格方案 / no certified pattern within {limit:g} s, open: {'; '.join(error.open[:3])}; "
            "nothing was written; allow more time (--time-limit) or coarser dimensions"
        ) from None
    except StayExposed as error:
        raise CheckFailed(
            f"{error}; nothing was written; withdraw an earlier release or publish at a coarser level"
        ) from None
    except ProblemError as error:
        raise CheckFailed(f"无法保护 / cannot be protected: {error}") from None


def _decided(args: argparse.Namespace, auditor: "Auditor", entries: list["Entry"]) -> "Earlier":
    """Earlier releases with the officer's decisions; CheckFailed for conflicts nobody has decided."""
    from etl.methods.disclosure.beside import new_conflicts
    from etl.methods.disclosure.ledger import write_conflicts

    earlier = earlier_of(entries, args.ledger)
    found = new_conflicts(auditor, earlier)
    if found:
        path = write_conflicts(args.ledger, found, earlier.accepted)
        open_ones = [c for c in found if c.cell not in earlier.accepted]
        if open_ones:
            raise CheckFailed(
                f"需保密官决定 / {len(open_ones)} cells that are unsafe now were published before, the first: "
                f"{open_ones[0].cell}; nothing was written; write hide into the column decision of {path}, or give the cell a waiver"
            )
    return earlier


def _write(args: argparse.Namespace, loaded: "Loaded", out: bytes, result: dict[str, Any]) -> None:
    from etl.methods.disclosure.certificate import seal

    write(args.output, out)
    if args.certificate is not None:
        sealed = seal(loaded.spec, loaded.problem.hash, out, result, home())
        text = json.dumps(sealed.as_dict(), ensure_ascii=False, indent=1)
        write(args.certificate, text.encode())


def _enter(args: argparse.Namespace, loaded: "Loaded", auditor: "Auditor", out: bytes, ticker: Ticker) -> None:
    from etl.methods.disclosure.ledger import append
    from etl.methods.disclosure.verify.pattern import read_pattern

    pattern = read_pattern(args.output, loaded.problem)
    entry = entry_from(auditor, pattern, sha256(out).hexdigest())
    tables = "+".join(loaded.spec.tables or {"table": ()})
    release = append(args.ledger, entry, tables, loaded.problem.hash)
    ticker.say(f"已入台账 / entered in the ledger: {release}")
