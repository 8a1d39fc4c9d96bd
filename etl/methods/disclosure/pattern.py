"""What protection hands back: the officer's frame of all cells and a report of how it was made."""

from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etl.methods.disclosure.book import DOWN, UP
from etl.methods.disclosure.problem import Problem
from etl.methods.disclosure.search import OutOfTime, Search
from etl.methods.disclosure.sensitivity import Sensitivity

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
#: Up to this many hidden cells their exact bounds are computed.
EXACT_BOUNDS: Final = 400
LISTED: Final = 20


@dataclass
class Report:
    """What was done. ``certified``: every unsafe cell has its required distances by moves that were checked.

    ``seconds`` by stage; ``programmes``: linear programmes solved; ``counts`` of variables and cells; ``memory``: peak of
    the process in MB by the end of every stage; ``redesign``: (table, depth, share hidden) of levels hidden too much;
    ``open``: names of cells without certificate.
    """

    certified: bool = False
    protection: str = "interval"
    seconds: dict[str, float] = field(default_factory=dict)
    programmes: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)
    hidden_value_share: dict[str, float] = field(default_factory=dict)
    redesign: list[tuple[str, int, float]] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Protection:
    """A pattern: ``frame`` holds every cell's codes, ``value`` (all of them: restricted), ``n``, ``status`` published |
    primary | secondary | unoffered (safe, and in no publication) | empty, and for hidden cells ``lower`` and ``upper``: an attacker cannot narrow the value down to
    less than this. ``hidden``: shape ``(variables,)``. Only a report with ``certified`` makes it a result.
    """

    frame: pl.DataFrame
    hidden: BoolArray
    found: Sensitivity
    report: Report
    hash: str


def finish(
    report: Report, problem: Problem, found: Sensitivity, search: Search, redesign: float, *, bounds: bool
) -> Protection:
    """Frame and report of a finished search."""
    far = _distances(search) if bounds else np.zeros((2, problem.size))
    variable = problem.cells["variable"].to_numpy()
    at = np.where(variable >= 0, variable, problem.size)
    hidden = np.append(search.hidden, False)
    withheld = np.where(found.unsafe, "primary", np.where(problem.offered, "secondary", "unoffered"))
    status = np.where(search.hidden, withheld, "published")
    unit = 10.0**-problem.scale
    values = np.append(problem.values, 0)
    least = -np.inf if problem.negative else problem.node_floors[: problem.size]
    ends = np.stack([values[:-1] + far[UP], np.maximum(values[:-1] - far[DOWN], least)])
    limits = np.append(ends, [[0], [0]], axis=1) * unit
    known = hidden & np.append(far.max(axis=0) > 0, False)
    frame = problem.cells.select("table", *(d.name for d in problem.dims)).with_columns(
        value=_decimals(values[at], problem.scale),
        n=pl.Series(np.append(found.n, 0)[at]),
        status=pl.Series(np.append(status, "empty")[at].astype(str).tolist(), dtype=pl.String),
        lower=pl.Series(np.where(known, limits[1], np.nan)[at]).fill_nan(None),
        upper=pl.Series(np.where(known, limits[0], np.nan)[at]).fill_nan(None),
    )
    report.programmes = search.mover.solved
    report.open = [problem.name(v) for v in sorted({v for _, v in search.book.open})[:LISTED]]
    counted = frame["status"].value_counts().rows()
    report.counts |= {"cells": frame.height, "variables": problem.size, **{str(k): int(v) for k, v in counted}}
    report.redesign = _crowded(problem, hidden[at], variable >= 0, redesign)
    digest = sha256(frame.write_csv().encode()).hexdigest()
    return Protection(frame, search.hidden, found, report, digest)


def _distances(search: Search) -> FloatArray:
    """How far every variable can move up and down: exactly for few hidden cells, else as far as certificates go."""
    cells = np.flatnonzero(search.hidden)
    far = search.book.reached()
    if cells.size <= EXACT_BOUNDS:
        try:
            far[:, cells] = np.maximum(far[:, cells], search.extents(cells))
        except OutOfTime:
            return far
    return far


def _decimals(units: NDArray[np.int64], scale: int) -> pl.Series:
    whole = pl.Series(units, dtype=pl.Int64)
    return (whole.cast(pl.Decimal(38, scale)) / 10**scale).cast(pl.Decimal(24, scale)) if scale else whole


def _crowded(problem: Problem, hidden: BoolArray, filled: BoolArray, limit: float) -> list[tuple[str, int, float]]:
    """Levels (table, steps below the totals) of whose filled cells more than the limit is hidden."""
    levels = (
        problem.cells.select("table", "depth")
        .with_columns(hidden=pl.Series(hidden), filled=pl.Series(filled))
        .filter("filled")
        .group_by("table", "depth")
        .agg(pl.col("hidden").mean())
        .sort("table", "depth")
    )
    return [(t, int(d), round(float(s), 4)) for t, d, s in levels.rows() if s > limit]
