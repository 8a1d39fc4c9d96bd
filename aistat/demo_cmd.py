"""``aistat demo``: the synthetic city's source files, the public lists, and the truth behind them."""

import argparse
import json
import shutil
from collections.abc import Callable
from pathlib import Path

from aistat.errors import UserError


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``demo`` to the command line."""
    parser = subparsers.add_parser("demo", help="生成模拟城市（模拟数据）/ write the synthetic city's files")
    parser.add_argument(
        "dir", type=Path, metavar="DIR", help="new home: DIR/inbox/<source>/…, DIR/truth, DIR/demo.json"
    )
    parser.add_argument(
        "--size",
        choices=["small", "city", "mega"],
        default="small",
        help="small 3 千、city 30 万、mega 400 万名录单位；各来源 2019 年至 2026 年三季度，差错记在 truth/faults.parquet / "
        "3 k, 300 k, 4 M register units; every source, 2019-2026Q3, its faults logged in truth/faults.parquet. mega 名录逐块写盘，"
        "其余来源同 city（数分钟，约 1.2 GB） / mega streams its register and change files to disk (minutes, about 1.2 GB)",
    )
    parser.add_argument("--seed", type=int, default=20221101, help="the same seed gives the same city")
    parser.add_argument(
        "--units",
        type=int,
        help="register units of a mega city, from 20,000 (default 4 M) / mega 的名录单位数，缺省 400 万",
    )
    parser.set_defaults(func=demo)


def build_demo(
    root: Path, size: str, seed: int, progress: Callable[[str], None] | None = None, units: int | None = None
) -> None:
    """Fill ``root/inbox`` and ``root/truth`` and mark the home as a demo (``demo.json``).

    Everything is built aside first. The marker is in place before the first synthetic file reaches the inbox,
    and a new inbox appears in one step: an interruption leaves no synthetic file in an unmarked home.
    UserError where the inbox holds files of somebody else.
    """
    from etl.demo.generate import generate
    from etl.demo.mega import generate_mega
    from etl.sources import copy_public_data

    _refuse_foreign_files(root)
    staging = root / ".demo-building"
    shutil.rmtree(staging, ignore_errors=True)
    if size == "mega":
        generate_mega(staging / "inbox", staging / "truth", seed, progress, units=units)
    else:
        generate(staging / "inbox", staging / "truth", size, seed, progress)  # type: ignore[arg-type]
    copy_public_data(staging / "inbox")
    _move(staging / "truth", root / "truth")
    (staging / "demo.json").write_text(json.dumps({"size": size, "seed": seed}) + "\n", encoding="utf-8")
    (staging / "demo.json").replace(root / "demo.json")
    _move(staging / "inbox", root / "inbox")
    shutil.rmtree(staging)


def _move(source: Path, target: Path) -> None:
    """Move a tree: in one step where there is none yet, else file by file, leaving other files alone."""
    if not target.exists():
        source.replace(target)
        return
    for file in sorted(p for p in source.rglob("*") if p.is_file()):
        place = target / file.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        file.replace(place)


def _refuse_foreign_files(root: Path) -> None:
    """Files without the demo marker are somebody's real data: nothing synthetic may join them."""
    inbox = root / "inbox"
    if (root / "demo.json").exists() or not inbox.is_dir():
        return
    if any(path.is_file() for path in inbox.rglob("*")):
        raise UserError(f"{inbox} already holds files that are not the demo's; give an empty or new folder")


def demo(args: argparse.Namespace) -> int:
    """Write the city and say where it is."""
    if args.seed < 0:
        raise UserError(f"--seed {args.seed}: expected 0 or a positive whole number")
    if args.dir.exists() and not args.dir.is_dir():
        raise UserError(f"{args.dir} is a file; give a folder")
    if args.units is not None and args.size != "mega":
        raise UserError(f"--units is for --size mega; {args.size} has a size of its own")
    root = args.dir.resolve()
    try:
        build_demo(root, args.size, args.seed, lambda line: print(f"  {line}", flush=True), args.units)
    except ValueError as error:
        raise UserError(str(error)) from error
    print(f"模拟城市已写入 / demo city written to {root} (size {args.size}, seed {args.seed})")
    print(f"下一步 / next: AISTAT_HOME={root} aistat run")
    return 0
