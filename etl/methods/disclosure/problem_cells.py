"""A problem from a finished table: cells with their totals, checked for additivity."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_array

from etl.methods.disclosure.problem import GIVEN, Problem, ProblemError
from etl.methods.disclosure.problem_build import Source, Tables, _assemble, _grids, _Parts
from etl.methods.disclosure.sparse import Grid
from etl.methods.disclosure.units import to_units

IntArray = NDArray[np.int64]
LISTED: Final = 5
#: Of two statuses given to cells that are one figure the first of these holds.
PRECEDENCE: Final = "umzs"


@dataclass(frozen=True)
class _Rows:
    """The rows as cells of the joint grid: numbers of cells, values in units, statuses, required protection."""

    cell: IntArray
    value: IntArray
    status: NDArray[np.str_]
    lower: IntArray
    upper: IntArray
    filled: NDArray[np.bool_]
    scale: int


def from_cells(
    frame: pl.DataFrame,
    sources: Sequence[Source],
    value: str | None,
    status: str | None = None,
    lower: str | None = None,
    upper: str | None = None,
    count: str | None = None,
    tables: Tables | None = None,
    frequency: bool = False,
) -> Problem:
    """One row a cell, all totals among them; a missing finest cell and a zero are structural zeros.

    Parameters
    ----------
    frame
        The cells; a dimension's code is the finest one given, none at all (or the total's code) is the total.
    value
        Column of the figures; None counts each row's ``count``.
    status
        Column of ``u`` unsafe, ``s`` safe, ``z`` forced published, ``m`` must be hidden, or empty.
    lower, upper
        Columns of required protection (distance from the value, not negative; empty: by the rules).
    count
        Column of contributors: a zero with contributors is a figure, not a structural zero.
    tables
        As for microdata; the finest cross of their dimensions must be among the cells.

    Raises
    ------
    ProblemError
        For doubled cells, missing totals, a cell that is not the sum of its parts (both are named).
    """
    read = [source.read(frame) for source in sources]
    dims = [d for d, _ in read]
    grids = _grids(dims, tables)
    used = tuple(any(g.shown[i] for g in grids) for i in range(len(dims)))
    joint = Grid("", tuple(dims), tuple(len(d.codes) if u else 1 for d, u in zip(dims, used, strict=True)))
    total = np.all(
        [np.ones(frame.height, np.bool_), *(c == 0 for (_, c), u in zip(read, used, strict=True) if not u)], axis=0
    )
    frame, read = frame.filter(pl.Series(total)), [(d, c[total]) for d, c in read]
    rows = _rows(frame, joint, [c for _, c in read], value, status, lower, upper, count)
    inner = joint.codes()
    leaf = np.all([d.leaf[c] | (not u) for d, c, u in zip(dims, inner, used, strict=True)], axis=0)
    if not leaf[rows.cell].any():
        raise ProblemError(
            "缺少最细单元格 / no cell of the finest cross of all dimensions is given: linked finished tables need the "
            "cells they are both sums of; give those too, or protect from microdata"
        )
    value_of, present = np.zeros(joint.size, dtype=np.int64), np.zeros(joint.size, dtype=np.bool_)
    value_of[rows.cell], present[rows.cell] = rows.value, True
    _check_additive(joint, grids, value_of, present | leaf)
    atoms = rows.cell[leaf[rows.cell] & rows.filled]
    leaves = np.stack([c[atoms] for c in inner], axis=1)
    none = csr_array((atoms.size, 0), dtype=np.int64)
    nobody = np.zeros(0, dtype=np.bool_)
    given = _Parts(leaves, value_of[atoms], np.zeros_like(atoms), none, (), nobody, nobody, rows.scale)
    kind = "frequency" if frequency or value is None else "magnitude"
    problem = _assemble(grids, given, kind, bool((rows.value < 0).any()), False)  # type: ignore[arg-type]
    return _with_given(problem, joint, grids, rows)


def _column(frame: pl.DataFrame, name: str | None) -> pl.Series | None:
    if name is None:
        return None
    if name not in frame.columns:
        raise ProblemError(f"缺少列 {name!r} / no column {name!r}; found {frame.columns}")
    return frame[name]


def _rows(
    frame: pl.DataFrame, joint: Grid, codes: Sequence[IntArray], value: str | None, status: str | None,
    lower: str | None, upper: str | None, count: str | None,
) -> _Rows:  # fmt: skip
    cell = joint.cell(codes)
    unique, times = np.unique(cell, return_counts=True)
    if (times > 1).any():
        raise ProblemError(f"单元格重复 / cell given twice: {_name(joint, int(unique[times > 1][0]))}")
    counts = _column(frame, count)
    figures = _column(frame, value)
    if figures is None and counts is None:
        raise ProblemError("缺少数值列 / neither a value nor a count column is named")
    units, scale = to_units(figures if figures is not None else counts)  # type: ignore[arg-type]
    filled = units != 0 if counts is None else (units != 0) | (counts.fill_null(0).to_numpy() > 0)
    given = _column(frame, status)
    letters = (
        np.full(cell.size, "", dtype="<U1") if given is None else given.cast(pl.String).fill_null("").to_numpy()
    ).astype(str)
    if wrong := sorted(set(letters.tolist()) - set(GIVEN)):
        raise ProblemError(f"未知状态 / unknown statuses {wrong}; expected u, s, z, m or empty")
    needed = [_required(_column(frame, name), scale, cell.size) for name in (lower, upper)]
    return _Rows(cell, units, letters, needed[0], needed[1], filled, scale)


def _required(column: pl.Series | None, scale: int, size: int) -> IntArray:
    """Required distances in units, rounded up; -1 where none is given."""
    if column is None:
        return np.full(size, -1, dtype=np.int64)
    distance = column.cast(pl.Float64).to_numpy() * 10.0**scale
    if (distance < 0).any():
        raise ProblemError(f"列 {column.name} 有负值 / required protection in {column.name!r} is below zero")
    return np.where(np.isnan(distance), -1, np.ceil(np.nan_to_num(distance) - 1e-6)).astype(np.int64)


def _name(grid: Grid, cell: int) -> str:
    place = np.unravel_index(cell, grid.shape)
    return ", ".join(f"{d.name}={d.codes[int(c)]}" for d, c in zip(grid.dims, place, strict=True))


def _check_additive(joint: Grid, grids: Sequence[Grid], value: IntArray, present: NDArray[np.bool_]) -> None:
    """Every sum the tables show equals its parts; the finest wrong one is named first."""
    codes = joint.codes()
    wanted = np.zeros(joint.size, dtype=np.bool_)
    for grid in grids:
        wanted |= np.all([c < size for c, size in zip(codes, grid.shape, strict=True)], axis=0)
    wrong: list[tuple[int, str]] = []
    for number, child, parent in joint.families():
        sums = np.zeros(joint.size, dtype=np.int64)
        np.add.at(sums, parent, value[child])
        whole = np.ones(joint.size, dtype=np.bool_)
        whole[parent[~present[child]]] = False
        checked = np.zeros(joint.size, dtype=np.bool_)
        checked[parent] = True
        checked &= wanted & whole
        bad = np.flatnonzero(checked & ((value != sums) | (~present & (sums != 0))))
        dim = joint.dims[number].name
        depth = np.sum([d.depth[c[bad]] for d, c in zip(joint.dims, codes, strict=True)], axis=0)
        for cell, level in zip(bad.tolist(), np.atleast_1d(depth).tolist(), strict=True):
            have = f"{value[cell]}" if present[cell] else "无 / missing"
            wrong.append((-level, f"{_name(joint, cell)}: {have} ≠ {sums[cell]} (沿 / along {dim})"))
    if wrong:
        listed = "; ".join(text for _, text in sorted(wrong)[:LISTED])
        raise ProblemError(
            f"表不可加 / not additive, {len(wrong)} sums differ (units of the smallest decimal): {listed}"
        )
    missing = np.flatnonzero(wanted & ~present)
    if missing.size:
        raise ProblemError(f"缺少合计 / {missing.size} totals are missing, the first: {_name(joint, int(missing[0]))}")


def _with_given(problem: Problem, joint: Grid, grids: Sequence[Grid], rows: _Rows) -> Problem:
    """Statuses and required protection, brought from cells to variables: the strictest holds."""
    row_of = np.full(joint.size, -1, dtype=np.int64)
    row_of[rows.cell] = np.arange(rows.cell.size)
    row = np.concatenate([row_of[joint.cell(g.codes())] for g in grids])
    variable = problem.cells["variable"].to_numpy()
    here = (variable >= 0) & (row >= 0)
    row, variable = row[here], variable[here]
    given = np.full(problem.size, "", dtype="<U1")
    for letter in PRECEDENCE[::-1]:
        given[variable[rows.status[row] == letter]] = letter
    upper, lower = problem.upper.copy(), problem.lower.copy()
    np.maximum.at(upper, variable, rows.upper[row])
    np.maximum.at(lower, variable, rows.lower[row])
    return replace(problem, given=given, upper=upper, lower=lower)
