"""``aistat yearbook``: the statistical yearbook of one year as a workbook."""

import argparse
from pathlib import Path

from aistat.errors import UserError
from aistat.home import home


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``yearbook`` to the command line."""
    parser = subparsers.add_parser("yearbook", help="编制统计年鉴 / write the statistical yearbook of a year")
    parser.add_argument("--year", type=int, required=True)
    parser.add_argument("--lang", choices=["zh", "en"], default="zh")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.xlsx")
    parser.set_defaults(func=yearbook)


def yearbook(args: argparse.Namespace) -> int:
    """Write the workbook whole or not at all."""
    from aistat.export_cmd import write_whole
    from warehouse.export.words import release_text
    from warehouse.export.yearbook import YearbookError, build_yearbook
    from warehouse.read import NoRelease, open_current

    if args.output.suffix.lower() != ".xlsx":
        raise UserError(f"{args.output.name}: the yearbook is an Excel workbook; expected a name ending in .xlsx")
    try:
        release = open_current(home())
        content = build_yearbook(release, args.year, args.lang)
    except (NoRelease, YearbookError) as error:
        raise UserError(str(error)) from error
    write_whole(args.output, content)
    mark = " / ".join(release_text(release.info, lang) for lang in ("zh", "en"))
    mark += ", 含模拟数据 / holds simulated data" if release.info.is_synthetic else ""
    print(f"{args.output}: {len(content):,} bytes, {release.info.release_id}, {mark}")
    return 0
