"""A pattern as it stands in its file: keys, statuses and what is stated, read back and laid over the problem."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etl.methods.disclosure.problem import Problem, ProblemError
from etl.methods.disclosure.textfile import check_columns, read_rows

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Key = tuple[str, ...]
STATUSES: Final = ("published", "primary", "secondary", "unoffered", "empty")
WITHHELD: Final = ("primary", "secondary", "unoffered")
COLUMNS: Final = ("value", "n", "status", "lower", "upper")


@dataclass(frozen=True)
class Pattern:
    """Rows of OUT in order.

    ``keys``: codes by dimension; ``status``; ``value`` and ``n``: None where empty; ``lower``, ``upper``: stated bounds
    in units, infinite where not bounded, not a number where nothing is stated.
    """

    keys: list[Key]
    status: list[str]
    value: list[Decimal | None]
    n: list[int | None]
    lower: FloatArray
    upper: FloatArray

    @property
    def withheld(self) -> BoolArray:
        """Rows whose figure is not shown, shape ``(rows,)``."""
        return np.array([s in WITHHELD for s in self.status], dtype=np.bool_)


def read_pattern(path: Path, problem: Problem) -> Pattern:
    """Read OUT.csv.

    Raises
    ------
    ProblemError
        Where a column is missing or an entry is no number.
    """
    names = [d.name for d in problem.dims]
    frame = read_rows(path)
    check_columns(frame, path, [*names, *COLUMNS])
    totals = [d.codes[0] for d in problem.dims]
    keys = [
        tuple(t if c is None else c for c, t in zip(row, totals, strict=True)) for row in frame.select(names).rows()
    ]
    bounds = [_bounds(frame, side, problem.scale, path) for side in ("lower", "upper")]
    return Pattern(
        keys, [s or "" for s in frame["status"].to_list()], [_decimal(v, "value", i, path) for i, v in enumerate(frame["value"])],
        [None if v is None else int(_decimal(v, "n", i, path) or 0) for i, v in enumerate(frame["n"])], bounds[0], bounds[1],
    )  # fmt: skip


def _decimal(text: str | None, column: str, row: int, path: Path) -> Decimal | None:
    if text is None:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if value.is_nan():
        raise ProblemError(
            f"不是数值 / {path} line {row + 2}, column {column}: {text!r}; expected a number; write the file again"
        )
    return value


def _bounds(frame: pl.DataFrame, side: str, scale: int, path: Path) -> FloatArray:
    found = [_decimal(v, side, i, path) for i, v in enumerate(frame[side])]
    return np.array([np.nan if v is None else float(v.scaleb(scale)) for v in found])


@dataclass(frozen=True)
class Laid:
    """A pattern over the variables of the problem.

    ``variable`` of every row (-1: structural zero or unknown key); ``published``: variables some row shows;
    ``low``, ``high``: how far the stated bounds lie below and above the value of every variable (0: nothing stated).
    """

    problem: Problem
    pattern: Pattern
    variable: IntArray
    published: BoolArray
    low: FloatArray
    high: FloatArray

    @property
    def hidden(self) -> BoolArray:
        """Nodes of the problem that no row shows, shape ``(nodes,)``."""
        return np.concatenate([~self.published, np.ones(self.problem.bare.size, dtype=np.bool_)])

    def names(self, variables: IntArray, most: int = 20) -> list[str]:
        """Keys of variables, for the restricted part of a report."""
        wanted = variables[:most].tolist()
        first: dict[int, Key] = {}
        for key, variable in zip(self.pattern.keys, self.variable.tolist(), strict=True):
            first.setdefault(variable, key)
        dims = [d.name for d in self.problem.dims]
        return [", ".join(f"{d}={c}" for d, c in zip(dims, first.get(v, ()), strict=False)) for v in wanted]


def key_variables(problem: Problem) -> dict[Key, int]:
    """Variable of every cell by its key (-1: structural zero)."""
    names = [d.name for d in problem.dims]
    return {row[:-1]: row[-1] for row in problem.cells.select(*names, "variable").rows()}


def lay(pattern: Pattern, problem: Problem) -> Laid:
    """Bring rows to variables; a figure shown anywhere is known everywhere."""
    known = key_variables(problem)
    variable = np.array([known.get(key, -1) for key in pattern.keys], dtype=np.int64)
    shown = ~pattern.withheld & (variable >= 0)
    published = np.zeros(problem.size, dtype=np.bool_)
    published[variable[shown]] = True
    low, high = np.zeros(problem.size), np.zeros(problem.size)
    stated = np.flatnonzero(pattern.withheld & (variable >= 0))
    value = problem.values[variable[stated]].astype(np.float64)
    np.maximum.at(low, variable[stated], np.nan_to_num(value - pattern.lower[stated], nan=0.0, posinf=np.inf))
    np.maximum.at(high, variable[stated], np.nan_to_num(pattern.upper[stated] - value, nan=0.0, posinf=np.inf))
    return Laid(problem, pattern, variable, published, low, high)
