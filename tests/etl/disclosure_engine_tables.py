"""Small tables for the tests of the cell-suppression engine, and an attacker that shares no code with the search."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from scipy.optimize import linprog

from etl.methods.disclosure.problem import Problem
from etl.methods.disclosure.problem_build import Source, from_microdata
from etl.methods.disclosure.problem_cells import from_cells


def cell(contributions: Sequence[float], weights: Sequence[float] | None = None, **keywords: Any) -> Problem:
    """A table of one cell with these contributions of groups g1, g2, …"""
    frame = pl.DataFrame(
        {
            "place": ["P"] * len(contributions),
            "x": list(contributions),
            "group": [f"g{i + 1}" for i in range(len(contributions))],
            "w": list(weights or [1.0] * len(contributions)),
        }
    )
    weight = "w" if weights else None
    return from_microdata(frame, [Source("place", ("place",))], "x", "group", weight, **keywords)


def square(values: Sequence[Sequence[int]], status: Sequence[Sequence[str]] | None = None, **columns: Any) -> Problem:
    """A finished two-way table r1… × c1… with its totals; statuses of inner cells, totals and all else ``rest``."""
    rest = columns.get("rest", "")
    height, width = len(values), len(values[0])
    rows: list[tuple[str, str, int, str]] = []
    for i in range(height):
        for j in range(width):
            rows.append((f"r{i + 1}", f"c{j + 1}", values[i][j], (status or [[rest] * width] * height)[i][j] or rest))
        rows.append((f"r{i + 1}", "Total", sum(values[i]), rest))
    for j in range(width):
        rows.append(("Total", f"c{j + 1}", sum(row[j] for row in values), rest))
    rows.append(("Total", "Total", sum(map(sum, values)), rest))
    frame = pl.DataFrame(rows, schema=["row", "column", "v", "st"], orient="row")
    return from_cells(frame, [Source("row", ("row",)), Source("column", ("column",))], "v", "st")


def variable(problem: Problem, **codes: str) -> int:
    """Number of the variable of a cell; dimensions not named are totalled."""
    wanted = {d.name: codes.get(d.name, d.codes[0]) for d in problem.dims}
    rows = problem.cells.filter(pl.all_horizontal(pl.col(k) == v for k, v in wanted.items()))
    return int(rows["variable"][0])


def interval(problem: Problem, hidden: np.ndarray, target: int) -> tuple[float, float]:
    """What published cells and z >= 0 tell of a hidden one: two linear programmes over the atoms."""
    members = problem.incidence.toarray().astype(float)
    published = members[~hidden]
    bounds = [(None, None)] * members.shape[1] if problem.negative else [(float(f), None) for f in problem.floors]
    ends = []
    for sign in (1.0, -1.0):
        result = linprog(
            sign * members[target],
            A_eq=published if len(published) else None,
            b_eq=problem.values[~hidden].astype(float) if len(published) else None,
            bounds=bounds,
            method="highs",
        )
        ends.append(sign * result.fun if result.status == 0 else -sign * np.inf)
    return ends[0], ends[1]


def in_span(rows: np.ndarray, target: np.ndarray) -> bool:
    """Whether the target is a linear combination of the rows."""
    if rows.size == 0:
        return not target.any()
    return bool(np.linalg.matrix_rank(np.vstack([rows, target])) == np.linalg.matrix_rank(rows))
