"""``bound_disclosure.py [minutes]``: how few cells any pattern of the deeper table of 2,550 cells could hide.

The linear relaxation of the cut problem (Fischetti and Salazar 2000), cells as price: every cut holds of every safe pattern, so the
value of the relaxation with the cuts found so far is a bound, however many are still to come. Outsiders only: singletons would raise it.
"""

import sys
import time
from pathlib import Path

import highspy
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from etl.methods.disclosure.book import needed  # noqa: E402
from etl.methods.disclosure.optimal import ENOUGH, _master, _Separation  # noqa: E402
from etl.methods.disclosure.sensitivity import RuleSet, find_sensitive  # noqa: E402
from tests.benchmarks.enterprise_table import SHAPES, table  # noqa: E402


def main(minutes: float) -> int:
    """Print the bound after every round of cuts."""
    problem = table(SHAPES["D"])
    found = find_sensitive(problem, RuleSet(singletons=False))
    at = problem.cells["variable"].to_numpy()
    cells = np.bincount(at[at >= 0], minlength=problem.size).astype(np.float64)
    primary = float(cells[found.unsafe].sum())
    separation = _Separation(problem)
    need = needed(found, separation.room[: problem.size])
    sides = list(zip(*(a.tolist() for a in np.nonzero(need)), strict=True))
    master, hiding = _master(problem, found, cells), found.unsafe.astype(np.float64)
    deadline, cuts = time.monotonic() + 60 * minutes, 0
    while time.monotonic() < deadline:
        fresh = [c for s, v in sides if (c := separation.cut(s, v, float(need[s, v]), hiding)) is not None]
        for gain in fresh:
            places = np.flatnonzero(gain).astype(np.int32)
            master.addRow(1 - ENOUGH, highspy.kHighsInf, places.size, places, gain[places])
        if not fresh:
            break
        cuts += len(fresh)
        master.run()
        hiding = np.clip(np.asarray(master.getSolution().col_value), 0, 1)
        bound = primary + float(master.getInfo().objective_function_value)
        print(
            f"{cuts} cuts: at least {bound:.1f} hidden of {primary:.0f} primary, {bound / primary:.3f} a primary one",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 5.0))
