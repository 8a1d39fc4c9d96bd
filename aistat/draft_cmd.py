"""``aistat draft`` and ``aistat guard``: assessments made of released facts, and the check of a finished file."""

import argparse
import os
from pathlib import Path

from aistat.errors import UserError
from aistat.home import home


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``draft`` and ``guard`` to the command line."""
    parser = subparsers.add_parser("draft", help="起草评估报告 / draft an assessment from released facts")
    parser.add_argument("report", choices=["art67"])
    parser.add_argument("--year", type=int, required=True)
    parser.add_argument("--format", choices=["docx"], default="docx")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.set_defaults(func=draft)
    guard_parser = subparsers.add_parser("guard", help="核对文稿中的每个数字 / check every number of a finished draft")
    guard_parser.add_argument("file", type=Path)
    guard_parser.set_defaults(func=guard)


def draft(args: argparse.Namespace) -> int:
    """Write the draft of the current release, then let the guard read the finished file."""
    from warehouse.read import open_current
    from warehouse.report.document import render_docx
    from warehouse.report.draft import draft_art67
    from warehouse.report.guard import check

    release = open_current(home())
    try:
        data = render_docx(draft_art67(release, args.year))
    except ValueError as error:
        raise UserError(str(error)) from error
    if not args.output.parent.is_dir():
        raise UserError(f"{args.output.parent}: no such folder; create it or choose another -o")
    temporary = args.output.with_name(f".{args.output.name}.{os.getpid()}.tmp")
    temporary.write_bytes(data)
    findings = check(temporary, release)
    temporary.replace(args.output)
    return _report(args.output, findings)


def guard(args: argparse.Namespace) -> int:
    """Exit 0 when every number is supported by the release the draft cites, 1 when one is not."""
    from warehouse.read import open_release
    from warehouse.report.guard import NotADraft, check, cited_release

    if not args.file.is_file():
        raise UserError(f"{args.file}: no such file")
    try:
        release_id = cited_release(args.file)
    except NotADraft as error:
        raise UserError(str(error)) from error
    try:
        release = open_release(home(), release_id)
    except LookupError as error:
        raise UserError(f"{args.file.name} cites the release {release_id}, which is not in {home()}: {error}") from error
    return _report(args.file, check(args.file, release))


def _report(path: Path, findings: list) -> int:  # type: ignore[type-arg]
    for finding in findings:
        print(f"{finding.where}: {finding.text!r}: {finding.reason}")
    if findings:
        print(f"{path.name}: {len(findings)} 处数字没有依据 / numbers without a fact")
        return 1
    print(f"{path.name}: 每个数字都有依据 / every number is supported by a released fact")
    return 0
