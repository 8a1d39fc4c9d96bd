"""``make bench-nightly``: a full night, a night without change and a 1 % night, of the city and of mega registers.

``bench_nightly.py city 250000 1000000 4000000`` (the default) takes about an hour on two cores; name fewer for less.
Seconds are wall and CPU of the process and its children; the ratio is that of CPU, which other work on the machine moves less.
Both nights are also told by part: the register (collected, coded, watched), returns and figures, and what is left (start, bookkeeping, end).
"""

import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from tests.benchmarks.night import one_percent  # noqa: E402
from tests.benchmarks.proof import measured, write  # noqa: E402

SEED = 20221101
AS_OF, NEXT, DAY = "2026-10-31", "2026-11-01", "2026-10-30"
SIZES = ("city", "250000", "1000000", "4000000")
PROVES = (
    "etl/remember.py",
    "etl/clearing.py",
    "etl/collect.py",
    "etl/collect_cache.py",
    "etl/assets/*.py",
    "warehouse/keyed.py",
)

STEP = re.compile(r"^  (\S+):?.* ([\d.]+) CPU s", re.MULTILINE)
REGISTER = re.compile(r"^(collect|process|control)_register|^control_review")


def parts(text: str) -> dict[str, Any]:
    """CPU seconds of a run by part, from what it says of its steps."""
    spent = {"register": 0.0, "returns_and_figures": 0.0}
    for name, seconds in STEP.findall(text):
        spent["register" if REGISTER.match(name) else "returns_and_figures"] += float(seconds)
    return {"cpu_by_part": {name: round(seconds, 1) for name, seconds in spent.items()}}


def _night(home: Path, day: str) -> dict[str, Any]:
    found = measured(home, "run", "--as-of", day, read=parts)
    spent = found["cpu_by_part"]
    return found | {"cpu_by_part": spent | {"start_and_bookkeeping": round(found["cpu_s"] - sum(spent.values()), 1)}}


def nights(home: Path, size: str) -> dict[str, Any]:
    """Build the home, run the three nights."""
    scale = ("--size", "city") if size == "city" else ("--size", "mega", "--units", size)
    units = 300_000 if size == "city" else int(size)
    found: dict[str, Any] = {"register_units": units, "generated": measured(home, "demo", str(home), *scale, "--seed", str(SEED))}  # fmt: skip
    full = found["full"] = _night(home, AS_OF)
    full["register_rows_per_cpu_s"] = round(units / full["cpu_s"])
    found["no_change"] = _night(home, NEXT)
    changed_units, returns = one_percent(home, DAY, SEED)
    found["changes"] = {"units": changed_units, "returns": returns}
    one = found["one_percent"] = _night(home, NEXT)
    found["ratio"] = round(one["cpu_s"] / full["cpu_s"], 3)
    found["ratio_by_part"] = {
        part: round(one["cpu_by_part"][part] / seconds, 3) for part, seconds in full["cpu_by_part"].items()
    }
    return found


def main(sizes: list[str]) -> int:
    """Measure, print, write ``docs/quality/evidence/bench_nightly.json`` (after every size: a run that is stopped keeps the others)."""
    found: dict[str, Any] = {"made": time.strftime("%Y-%m-%d"), "seed": SEED, "cpus": os.cpu_count()}
    with tempfile.TemporaryDirectory(prefix="aistat-bench-") as folder:
        for size in sizes:
            home = Path(folder) / size
            found[size] = nights(home, size)
            print(size, found[size], flush=True)
            shutil.rmtree(home)
            found |= growth([found[s] for s in sizes if s != "city" and s in found])
            print(write("bench_nightly", found, PROVES), flush=True)
    return 0


def growth(megas: list[dict[str, Any]]) -> dict[str, Any]:
    """How much more the largest register costs than the smallest."""
    if len(megas) < 2:
        return {}
    least, most = megas[0], megas[-1]
    units = most["register_units"] / least["register_units"]
    return {"growth": {"units": units, "cpu": round(most["full"]["cpu_s"] / least["full"]["cpu_s"], 2)}}


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:] or list(SIZES)))
