"""``make prove``: twenty random 1 % nights, each incremental and in full: equal tables, equal release; ``nightly.json``."""

import shutil
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from tests.benchmarks.night import one_percent  # noqa: E402
from tests.benchmarks.proof import measured, write  # noqa: E402
from warehouse.release import current_id  # noqa: E402
from warehouse.write import WorkStore  # noqa: E402

NIGHTS = tuple(range(20221101, 20221121))
FIRST = date(2026, 10, 1)
PROVES = (
    "etl/remember.py",
    "etl/clearing.py",
    "etl/collect.py",
    "etl/collect_cache.py",
    "etl/resources.py",
    "etl/unit_results.py",
    "etl/years.py",
    "etl/frozen_frame.py",
    "etl/coding.py",
    "etl/assets/register.py",
    "etl/register_profile.py",
    "warehouse/keyed.py",
)


def run(home: Path, as_of: str, *options: str) -> float:
    """One night; CPU seconds."""
    return measured(home, "run", "--as-of", as_of, *options)["cpu_s"]


def differences(left: Path, right: Path) -> list[str]:
    """Tables of the work stores and files of the current releases that are not the same."""
    one, other = WorkStore(left), WorkStore(right)
    names = sorted({*one.tables(), *other.tables()})
    with one.held(), other.held():
        found = [n for n in names if not (one.exists(n) and other.exists(n) and one.read(n).equals(other.read(n)))]
    files = [{p.name: p for p in (h / "releases" / str(current_id(h)) / "files").iterdir()} for h in (left, right)]
    shared = sorted({*files[0], *files[1]})
    return found + [
        n for n in shared if not all(n in f for f in files) or files[0][n].read_bytes() != files[1][n].read_bytes()
    ]


def full_copy(home: Path, target: Path) -> Path:
    """A home with the same received files, bundles and releases, and no memory."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(home, target, symlinks=True, ignore=shutil.ignore_patterns("cache", "work.duckdb*", "dagster"))
    return target


def main() -> int:
    """Cumulative nights on a small city: what each brought, CPU seconds of either way, what differed."""
    nights = []
    with tempfile.TemporaryDirectory(prefix="aistat-prove-") as folder:
        home = Path(folder) / "home"
        measured(home, "demo", str(home), "--size", "small", "--seed", "20221101")
        run(home, FIRST.isoformat())
        for night, seed in enumerate(NIGHTS):
            day = (FIRST + timedelta(days=night)).isoformat()
            units, returns = one_percent(home, day, seed)
            other = full_copy(home, Path(folder) / "full")
            incremental, full = run(home, day), run(other, day, "--full")
            nights.append(
                {"seed": seed, "units": units, "returns": returns, "incremental_cpu_s": round(incremental, 1),
                 "full_cpu_s": round(full, 1), "different": differences(home, other)}
            )  # fmt: skip
            print(nights[-1], flush=True)
    different = sum(bool(n["different"]) for n in nights)
    evidence = {"made": time.strftime("%Y-%m-%d"), "nights": nights, "nights_that_differ": different}
    print(write("nightly", evidence, PROVES))
    return 1 if different else 0


if __name__ == "__main__":
    raise SystemExit(main())
