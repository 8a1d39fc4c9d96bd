"""``aistat export``: one dataset of the current release as a file."""

import argparse
import os
from pathlib import Path

from aistat.errors import UserError
from aistat.home import home

FORMATS = ("csv", "parquet", "json-stat", "xlsx")


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``export`` to the command line."""
    parser = subparsers.add_parser("export", help="导出一个数据集 / write one dataset to a file")
    parser.add_argument("dataset", help="dataset id, e.g. core_leaf_year")
    parser.add_argument("--format", choices=FORMATS, required=True)
    parser.add_argument("--period", help="a period (2025, 2025-11) or a year of months; default all")
    parser.add_argument("--lang", choices=["zh", "en"], default="zh")
    parser.add_argument("-o", "--output", type=Path, required=True, help="a file, or a folder for the usual name")
    parser.set_defaults(func=export_dataset)


def export_dataset(args: argparse.Namespace) -> int:
    """Write the file whole or not at all, and say what it holds."""
    from warehouse.export import ExportError, export
    from warehouse.export.words import kind_of, kind_text
    from warehouse.read import NoRelease, open_current

    try:
        release = open_current(home())
        made = export(release, args.dataset, args.format, args.period, args.lang)
    except (NoRelease, ExportError) as error:
        raise UserError(str(error)) from error
    path = args.output / made.filename if args.output.is_dir() else args.output
    write_whole(path, made.content)
    kind = kind_of(release, release.dataset(args.dataset))
    mark = " / ".join(kind_text(kind, lang) for lang in ("zh", "en"))
    print(f"{path}: {len(made.content):,} bytes, {release.info.release_id}, {mark}")
    return 0


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file in one step; a missing or forbidden folder is the user's to mend."""
    if not path.parent.is_dir():
        raise UserError(f"{path.parent}: no such folder; create it or choose another -o")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UserError(f"{path}: cannot be written: {error.strerror}; choose another -o") from error
