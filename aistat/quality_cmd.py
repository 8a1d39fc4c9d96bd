"""``aistat quality``: the process quality of the surveys (ESS indicators) of a release."""

import argparse
import json
from typing import Any

from aistat.errors import UserError
from aistat.home import home

TABLE = "meta_process_quality"


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``quality`` to the command line."""
    parser = subparsers.add_parser("quality", help="过程质量指标 / process quality of the surveys (ESS indicators)")
    parser.add_argument("--source", help="只看一个来源、数据集或指标 / one source, dataset or indicator only")
    parser.add_argument("--period", help="只看一期 / one period only, such as 2025 or 2025-Q3")
    parser.add_argument(
        "--release", metavar="ID", help="发布号，缺省为当前版本 / a release; the current one if left out"
    )
    parser.add_argument("--json", action="store_true", help="输出 JSON / as JSON")
    parser.set_defaults(func=run)


def _rows(args: argparse.Namespace) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    import polars as pl

    from warehouse.read import NoRelease, UnknownName, open_current, open_release

    try:
        release = open_release(home(), args.release) if args.release else open_current(home())
        frame = release.table(TABLE)
    except NoRelease as error:
        raise UserError(str(error)) from error
    except UnknownName as error:
        raise UserError(f"{error}: the release was made before quality was measured; run 'aistat run'") from error
    for name, wanted in (("source", args.source), ("period", args.period)):
        known = sorted(frame[name].unique().to_list())
        if wanted is not None and wanted not in known:
            raise UserError(f"--{name} {wanted!r}: no such {name} in the table; it has {', '.join(known)}")
        frame = frame if wanted is None else frame.filter(pl.col(name) == wanted)
    info = release.info
    head = {
        "release_id": info.release_id,
        "vintage": info.vintage,
        "status": info.status,
        "is_synthetic": info.is_synthetic,
    }
    return head, list(frame.iter_rows(named=True))


def _text(row: dict[str, Any]) -> str:
    if row["value"] is None:
        return ".."
    return f"{100 * row['value']:.1f} %" if row["unit"] == "share" else f"{row['value']:,.0f} {row['unit']}"


def run(args: argparse.Namespace) -> int:
    """Print the indicators by source and period, or ``{release_id, vintage, status, is_synthetic, indicators}``."""
    head, rows = _rows(args)
    if args.json:
        print(json.dumps({**head, "indicators": rows}, ensure_ascii=False, indent=1))
        return 0
    mark = "模拟数据 / simulated" if head["is_synthetic"] else head["status"]
    print(f"{head['release_id']}  {head['vintage']}  {mark}")
    last: tuple[str, str, str] | None = None
    for row in rows:
        key = row["source"], row["period"], row["variable"]
        if key != last:
            print(f"\n{row['source']}  {row['period']}  {row['variable']}".rstrip())
            last = key
        note = f"  ({row['note_zh']} / {row['note_en']})" if row["note_zh"] else ""
        print(f"  {row['indicator']:<28}{_text(row):>14}{note}")
    return 0
