"""``aistat quarantine``: what was not taken, where it stands and what was expected. Unit-level: for those who may see it."""

import argparse
import json
from pathlib import Path

from aistat.errors import UserError
from aistat.home import home

BANNER = "隔离数据含调查单位资料，不得外传 / quarantined rows are confidential unit data"


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``quarantine`` to the command line."""
    parser = subparsers.add_parser("quarantine", help="隔离的行与拒收的文件 / rejected rows and files")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="按文件汇总 / by file").set_defaults(func=list_all)
    show = commands.add_parser("show", help="逐行 / row by row")
    show.add_argument("source")
    show.add_argument("file", nargs="?")
    show.add_argument("--limit", type=int, default=50)
    show.set_defaults(func=show_rows)


def _files() -> list[Path]:
    folder = home() / "quarantine"
    found = [*folder.glob("*/*.parquet"), *folder.glob("*/*.refused.json")]
    return sorted(p for p in found if not p.name.startswith("."))


def list_all(_: argparse.Namespace) -> int:
    """One line a file: rows held back with the commonest reason, or why it was refused."""
    import polars as pl

    files = _files()
    if not files:
        print("隔离区为空 / nothing in quarantine")
        return 0
    for path in files:
        source = path.parent.name
        if path.name.endswith(".refused.json"):
            receipt = json.loads(path.read_text(encoding="utf-8"))
            print(f"{source:<18} {receipt['file']:<34} 拒收 / refused   {receipt['message']}")
            continue
        issues = pl.read_parquet(path)
        rows = issues.select("line").n_unique()
        reason, count = issues["reason"].value_counts(sort=True).row(0)
        name = path.name.removesuffix(".parquet")
        print(f"{source:<18} {name:<34} {rows:>6,} 行 / rows   {reason} ({count:,})")
    return 0


def show_rows(args: argparse.Namespace) -> int:
    """Line, column, value and expectation of each problem."""
    import polars as pl

    files = [p for p in _files() if p.parent.name == args.source]
    if args.file:
        files = [p for p in files if p.name.removesuffix(".parquet").removesuffix(".refused.json") == args.file]
    if not files:
        known = ", ".join(sorted({p.parent.name for p in _files()})) or "none"
        raise UserError(f"nothing in quarantine for {args.source} {args.file or ''}; sources with rows: {known}")
    print(BANNER)
    for path in files:
        if path.name.endswith(".refused.json"):
            print(f"{path.name.removesuffix('.refused.json')}: {json.loads(path.read_text('utf-8'))['message']}")
            continue
        issues = pl.read_parquet(path)
        print(f"{path.name.removesuffix('.parquet')}: {issues.select('line').n_unique():,} rows")
        for row in issues.head(args.limit).iter_rows(named=True):
            sheet = f"{row['sheet']}!" if row["sheet"] else ""
            print(
                f"  {sheet}{row['line']:>7}  {row['column'] or ''}: {row['value'] if row['value'] is not None else '空'}"
                f"  → {row['expectation']}  ({row['reason']})"
            )
        if issues.height > args.limit:
            print(f"  … {issues.height - args.limit:,} more; --limit N shows them")
    return 0
