"""``make bench-disclosure``: certified cell suppression of synthetic enterprise tables of 2,550, 15,045 and 50,575 cells.

p% = 10, at least 3 contributors, holdings as one contributor. Prints what was hidden and what it cost, by stage; then the cost
of 50 random tables of at most 400 cells beside the exact optimum. ``bench_disclosure.py S D M L Y T R`` picks parts (Y: the
yardstick; T: twenty tables like S; R: rules of the reference tool's run). Seeds were fixed before the first run; the shape of S came
after D had missed 1.75 hidden cells a primary one (docs/methods/disclosure.md says why).
"""

import json
import sys
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy.optimize import linprog

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from etl.methods.disclosure.optimal import cheapest_pattern  # noqa: E402
from etl.methods.disclosure.pattern import Protection  # noqa: E402
from etl.methods.disclosure.problem import Problem, ProblemError  # noqa: E402
from etl.methods.disclosure.protection import Options, prices, protect  # noqa: E402
from etl.methods.disclosure.sensitivity import RuleSet  # noqa: E402
from tests.benchmarks.enterprise_table import SEED, SHAPES, Shape, table  # noqa: E402

#: Seconds allowed to each size.
LIMITS: Final = {"S": 30.0, "D": 30.0, "M": 480.0, "L": 1200.0}
YARDSTICK: Final = range(1000, 1050)
MOST_CELLS: Final = 400
TWENTY: Final = range(SEED, SEED + 20)
#: Hidden cells a primary one that are asked for at 2,550 cells.
PER_PRIMARY: Final = 1.75
#: The rules of our run of GaussSuppression 1.2.3 in R (842 primary, 1,085 hidden of 2,550 cells, on a table of its own): outsiders
#: compute no unsafe cell exactly.
REFERENCE: Final = RuleSet(min_contributors=1, p_percent=None, dominance=((1, 75.0), (2, 85.0)), singletons=False)
#: Seconds the exact optimum of one table may take.
OPTIMUM_LIMIT: Final = 240


def warm() -> None:
    """Compile (or load) the kernels before anything is timed."""
    protect(table(Shape((2, 3, 4), (2, 3), 2, 60), 1), RuleSet())


def hidden_cells(result: Protection) -> tuple[int, int]:
    """Primary cells, and all that are hidden."""
    status = result.frame["status"]
    return int((status == "primary").sum()), int(status.is_in(["primary", "secondary"]).sum())


def over_exact(result: Protection) -> float:
    """Hidden value beyond the exact stage's, as a share of it."""
    share = result.report.hidden_value_share
    return share["publish back"] / share["exact"] - 1


def twenty() -> dict[str, Any]:
    """Tables like S of twenty seeds: hidden cells a primary one, and hidden value beyond the exact stage's."""
    ratios, excess, certified = [], [], 0
    for seed in TWENTY:
        result = protect(table(SHAPES["S"], seed), RuleSet(), Options(time_limit=LIMITS["S"]))
        primary, hidden = hidden_cells(result)
        ratios.append(hidden / primary)
        excess.append(over_exact(result))
        certified += result.report.certified
    return {
        "tables": len(ratios),
        "certified": certified,
        "hidden per primary": [round(r, 3) for r in ratios],
        f"above {PER_PRIMARY}": sum(r > PER_PRIMARY for r in ratios),
        "mean": round(float(np.mean(ratios)), 3),
        "median": round(float(np.median(ratios)), 3),
        "value over the exact stage, mean": round(float(np.mean(excess)), 4),
        "value over the exact stage, largest": round(float(np.max(excess)), 4),
    }


def reference() -> dict[str, Any]:
    """How many cells of the two tables of 2,550 are primary, and hidden by the exact stage, in the rules of the reference run."""
    counts = {n: hidden_cells(protect(table(SHAPES[n]), REFERENCE, Options(protection="exact"))) for n in ("S", "D")}
    return {n: {"primary": p, "hidden": h, "hidden per primary": round(h / p, 3)} for n, (p, h) in counts.items()}


def large(name: str) -> dict[str, Any]:
    """One of the four tables."""
    begin = time.monotonic()
    problem = table(SHAPES[name])
    build = time.monotonic() - begin
    result = protect(problem, RuleSet(), Options(time_limit=LIMITS[name]))
    seconds = round(time.monotonic() - begin, 1)
    report = result.report
    primary, hidden = hidden_cells(result)
    return {
        "table": name,
        "cells": problem.cells.height,
        "certified": report.certified,
        "violations": violations(problem, result) if name in ("S", "D") else "certificates only",
        "primary": primary,
        "secondary": hidden - primary,
        "hidden per primary": round(hidden / primary, 3),
        "hidden value share": report.hidden_value_share,
        "value over the exact stage": round(over_exact(result), 4),
        "programmes": report.programmes,
        "seconds": {"build": round(build, 2), **report.seconds, "all": seconds},
        "memory in MB": report.memory,
        "counts": report.counts,
    }


def violations(problem: Problem, result: Protection) -> int:
    """Bounds nearer than required, by one programme over the atoms a bound, without any code of the search."""
    members = problem.incidence.astype(np.float64)
    published = members[~result.hidden]
    limits = np.stack([-problem.atoms.astype(np.float64), np.full(problem.atoms.size, np.inf)], axis=1)
    bad = 0
    for cell in np.flatnonzero(result.found.unsafe).tolist():
        row = members[[cell]].toarray()[0]
        for sign, need in ((-1.0, result.found.upper[cell]), (1.0, result.found.lower[cell])):
            zeros = np.zeros(published.shape[0])
            answer = linprog(sign * row, A_eq=published, b_eq=zeros, bounds=limits, method="highs")
            bad += answer.status == 0 and abs(answer.fun) < need * (1 - 1e-6)
    return int(bad)


def small(seed: int) -> Shape:
    """A random shape of 120 to 400 cells."""
    random = np.random.default_rng(seed)
    while True:
        steps = [int(v) for v in random.integers((2, 1, 1, 2, 1, 1), (4, 5, 7, 4, 5, 4))]
        industry = (steps[0], steps[0] + steps[1], steps[0] + steps[1] + steps[2])
        place = (steps[3], steps[3] + steps[4])
        cells = (1 + sum(industry)) * (1 + sum(place)) * (1 + steps[5])
        if 120 <= cells <= MOST_CELLS:
            return Shape(industry, place, steps[5], int(cells * random.uniform(1, 4)))


def yardstick() -> dict[str, Any]:
    """Cost of 50 small tables beside the optimum (outsiders only, as the optimum knows no singletons)."""
    rules = RuleSet(singletons=False)
    ratios, ours, best, unsolved, trivial = [], 0.0, 0.0, 0, 0
    for seed in YARDSTICK:
        problem = table(small(seed), seed)
        result = protect(problem, rules)
        price = prices(problem)
        cost = float(price[result.hidden & ~result.found.unsafe].sum())
        try:
            optimum = cheapest_pattern(problem, result.found, price, time_limit=OPTIMUM_LIMIT)
        except ProblemError:
            unsolved += 1
            continue
        if optimum.cost < 1e-9:
            trivial += 1
            continue
        ratios.append(cost / optimum.cost)
        ours, best = ours + cost, best + optimum.cost
    return {
        "tables": len(ratios),
        "nothing to hide": trivial,
        "optimum not found in time": unsolved,
        "cost of all over the optimum": round(ours / best - 1, 4),
        "mean excess": round(float(np.mean(ratios)) - 1, 4),
        "median excess": round(float(np.median(ratios)) - 1, 4),
        "largest excess": round(float(np.max(ratios)) - 1, 4),
        "within 10 %": int(np.sum(np.array(ratios) <= 1.1)),
    }


PARTS: Final = {"Y": yardstick, "T": twenty, "R": reference}


def main(parts: list[str]) -> None:
    """Run the parts and print each as JSON."""
    warm()
    for part in parts or ["S", "D", "M", "L", *PARTS]:
        outcome = PARTS[part]() if part in PARTS else large(part)
        print(json.dumps(outcome, indent=2, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
