"""``make prove``: the long evidence of the whole way through; writes ``docs/quality/evidence/pipeline.json``.

Seeds are fixed here, before any run. Times are of the machine named in the file; ratios to the target are what counts.
"""

import json
import os
import platform
import resource
import shutil
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from tests.benchmarks.proof import measured, write  # noqa: E402

PROVES = (
    "etl/analysis.py",
    "etl/link.py",
    "etl/dissemination.py",
    "etl/methods/disclosure/*.py",
    "etl/methods/stratum.py",
)
CITY_SEED = 20221101
SMALL_SEEDS = tuple(range(101, 113))
AS_OF = "2026-03-31"
CLASSIFY_ROWS = 1_000_000


def aistat(*arguments: str, home: Path) -> tuple[float, float]:
    """Seconds and peak MiB of one command."""
    found = measured(home, *arguments)
    return found["wall_s"], found["peak_mib"]


def city_run(home: Path) -> dict[str, Any]:
    """The city: build, first night, a night without changes, a full night again with equal hashes."""
    from aistat.demo_cmd import build_demo

    started = time.perf_counter()
    build_demo(home, "city", CITY_SEED, lambda _: None)
    built = round(time.perf_counter() - started, 1)
    first, memory = aistat("run", "--as-of", AS_OF, home=home)
    before = hashes(home)
    second, _ = aistat("run", "--as-of", AS_OF, home=home)
    full, _ = aistat("run", "--as-of", AS_OF, "--full", home=home)
    yearbook, _ = aistat("yearbook", "--year", "2025", "-o", str(home / "y.xlsx"), home=home)
    draft, _ = aistat("draft", "art67", "--year", "2025", "-o", str(home / "d.docx"), home=home)
    return {
        "seed": CITY_SEED, "register_units": 300_000, "build_s": built, "first_night_s": first, "peak_mib": memory,
        "unchanged_night_s": second, "full_night_s": full, "equal_hashes": hashes(home) == before,
        "yearbook_s": yearbook, "draft_with_guard_s": draft,
    }  # fmt: skip


def hashes(home: Path) -> dict[str, str]:
    """Parquet hashes of the current release."""
    release = (home / "releases" / "current").read_text()
    manifest = json.loads((home / "releases" / release / "manifest.json").read_text())
    return {name: facts["sha256"] for name, facts in manifest["files"].items()}


def errors_against_truth(home: Path) -> dict[str, list[float]]:
    """Relative error of each published city total, by indicator."""
    from warehouse.read import open_current

    cells = open_current(home).cube_frame("core_leaf_year").filter(pl.col("ai_class") == "_T")
    truth = pl.read_parquet(home / "truth" / "totals.parquet").with_columns(period=pl.col("ref_year").cast(pl.String))
    joined = cells.select("period", "indicator", published=pl.col("value").cast(pl.Float64)).join(
        truth.select("period", "indicator", true="value"), on=["period", "indicator"]
    )
    found: dict[str, list[float]] = {}
    for row in joined.sort("indicator", "period").iter_rows(named=True):
        found.setdefault(row["indicator"], []).append(row["published"] / row["true"] - 1)
    return found


def simulation(folder: Path) -> dict[str, Any]:
    """Small cities with known truth: bias and spread of the published totals over seeds and years."""
    from aistat.demo_cmd import build_demo
    from etl.demo.scenario import load_scenario

    def one(seed: int) -> dict[str, list[float]]:
        home = folder / f"small-{seed}"
        build_demo(home, "small", seed, lambda _: None)
        aistat("run", "--as-of", AS_OF, home=home)
        found = errors_against_truth(home)
        shutil.rmtree(home)
        return found

    errors: dict[str, list[float]] = {}
    with ThreadPoolExecutor(2) as pool:  # nothing is timed here
        for found in pool.map(one, SMALL_SEEDS):
            for indicator, values in found.items():
                errors.setdefault(indicator, []).extend(values)
    summary = {
        indicator: {
            "n": len(values), "mean_error_pct": round(100 * statistics.fmean(values), 2),
            "sd_pct": round(100 * statistics.stdev(values), 2), "worst_pct": round(100 * max(values, key=abs), 2),
        }
        for indicator, values in errors.items()
    }  # fmt: skip
    return {"seeds": list(SMALL_SEEDS), "years": len(load_scenario("small").years), "by_indicator": summary}


def pages(home: Path) -> dict[str, Any]:
    """Every page × language × role × 5: server time of the callback that draws it, and how often it failed."""
    from dashboard.app import create_app
    from dashboard.registry import PAGES
    from dashboard.shell import draw
    from warehouse.access import User, may

    server = create_app(home).server
    seconds: list[float] = []
    slowest = ("", 0.0)
    drawn = 0
    for role in ("official", "analyst", "admin"):
        user = User(role, role)
        for page in PAGES:
            for lang in ("zh", "en"):
                if not may(user, page.permission):
                    continue
                for turn in range(6):
                    with server.test_request_context(page.path):
                        started = time.perf_counter()
                        draw(user, page.path, f"?lang={lang}")
                        took = time.perf_counter() - started
                    if turn:
                        seconds.append(took)
                        slowest = max(slowest, (page.path, took), key=lambda item: item[1])
                drawn += 1
    ordered = sorted(seconds)
    p95 = ordered[int(0.95 * len(ordered))]
    return {
        "drawn": drawn, "median_ms": round(1000 * statistics.median(seconds)), "p95_ms": round(1000 * p95),
        "slowest": slowest[0], "slowest_ms": round(1000 * slowest[1]), "target_p95_ms": 150,
    }  # fmt: skip


def classify(home: Path, folder: Path) -> dict[str, Any]:
    """A million rows through ``aistat classify``: rows a second and peak memory."""
    register = next((home / "inbox" / "register").glob("*.csv"))
    from etl.contract import load_contract
    from etl.reading import read_file

    units = read_file(load_contract("register"), register).frame.select(
        unit_id="uscc", name="name", business_scope="business_scope", main_products="main_products", gbt_code="gbt_code"
    )
    times = -(-CLASSIFY_ROWS // units.height)
    path = folder / "million.parquet"
    pl.concat([units] * times).head(CLASSIFY_ROWS).write_parquet(path)
    seconds, memory = aistat("classify", str(path), "-o", str(folder / "coded.parquet"), home=home)
    rows = pl.scan_parquet(folder / "coded.parquet").select(pl.len()).collect().item()
    return {"rows": rows, "seconds": seconds, "rows_per_s": round(rows / seconds), "peak_mib": memory}


def main() -> int:
    """Run all of it and write the file."""
    folder = Path(tempfile.mkdtemp(prefix="aistat-prove-"))
    home = folder / "city"
    try:
        evidence = {
            "python": platform.python_version(),
            "cpus": os.cpu_count(),
            "city": city_run(home),
            "city_error_pct": {
                i: [round(100 * e, 2) for e in values] for i, values in errors_against_truth(home).items()
            },
            "pages": pages(home),
            "classify": classify(home, folder),
            "simulation": simulation(folder),
            "own_peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    write("pipeline", evidence, PROVES)
    print(json.dumps(evidence, indent=1, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
