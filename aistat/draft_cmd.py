"""``aistat draft`` and ``aistat guard``: a report made of released facts, and the check of a finished file."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from aistat.errors import UserError
from aistat.home import home

if TYPE_CHECKING:
    from warehouse.report.guard import Report

SHOWN = 50


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``draft`` and ``guard`` to the command line."""
    parser = subparsers.add_parser("draft", help="起草评估报告 / draft an assessment from released facts")
    parser.add_argument("report", choices=["art67"], help="第六十七条综合影响评估 / Art. 67 assessment")
    parser.add_argument("--year", type=int, required=True, help="参考年 / reference year")
    parser.add_argument("--format", choices=["docx"], default="docx")
    parser.add_argument("--lang", choices=["zh", "en"], default="zh")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.set_defaults(func=draft)
    guard_parser = subparsers.add_parser("guard", help="核对文稿中的每个数字 / check every number of a finished draft")
    guard_parser.add_argument("file", type=Path)
    guard_parser.set_defaults(func=guard)


def draft(args: argparse.Namespace) -> int:
    """Write the draft of the current release, then let the guard read the finished file."""
    from warehouse.read import NoRelease, open_current
    from warehouse.report.draft import NoSuchYear, write_art67
    from warehouse.report.guard import check

    if not args.output.parent.is_dir():
        raise UserError(f"{args.output.parent}: no such folder; create it or choose another -o")
    if args.output.is_dir():
        raise UserError(f"{args.output}: this is a folder; name a file with -o")
    temporary = args.output.with_name(f".{args.output.name}.{os.getpid()}.tmp")
    try:
        release = open_current(home())
        write_art67(release, args.year, temporary, args.lang)
        report = check(temporary, release)
        temporary.replace(args.output)
    except (NoRelease, NoSuchYear) as error:
        raise UserError(
            f"{error}; choose one of them with --year" if isinstance(error, NoSuchYear) else str(error)
        ) from error
    except OSError as error:
        raise UserError(f"{args.output}: cannot be written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return _report(args.output, report)


def guard(args: argparse.Namespace) -> int:
    """Exit 0 when every number is supported by the release the draft names, 1 when one is not."""
    from warehouse.read import NoRelease, open_release
    from warehouse.report.guard import NotADraft, check, read_stamp

    if not args.file.is_file():
        raise UserError(f"{args.file}: no such file")
    try:
        stamp = read_stamp(args.file)
        report = check(args.file, open_release(home(), stamp.release))
    except NotADraft as error:
        raise UserError(str(error)) from error
    except NoRelease as error:
        raise UserError(f"{args.file.name} was drafted from release {stamp.release}: {error}") from error
    return _report(args.file, report)


def _report(path: Path, report: "Report") -> int:
    for finding in report.findings[:SHOWN]:
        print(f"{finding.where}: {finding.text!r}: {finding.reason}")
    if len(report.findings) > SHOWN:
        print(f"… {len(report.findings) - SHOWN} more")
    if report.findings:
        print(f"{path.name}: {len(report.findings)} 处没有依据 / findings without support")
        return 1
    print(
        f"{path.name}: {report.numbers} 个数字都有依据，其中 {report.facts} 个是发布的事实 / "
        f"all {report.numbers} numbers supported, {report.facts} of them released facts"
    )
    return 0
