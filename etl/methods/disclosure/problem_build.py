"""Problems from microdata and from finished tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from etl.methods.disclosure.dimension import Dimension, from_levels, from_parents, numbered, shown_levels
from etl.methods.disclosure.problem import Kind, Problem, ProblemError
from etl.methods.disclosure.sparse import Grid, classes, indicator, relate
from etl.methods.disclosure.units import to_units

IntArray = NDArray[np.int64]
Tables = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Source:
    """Where a dimension stands in the input: columns ``levels`` coarse → fine, or ``column`` with ``pairs``.

    ``pairs``: (child, parent) of the hierarchy.
    """

    name: str
    levels: tuple[str, ...] = ()
    column: str = ""
    pairs: tuple[tuple[str, str | None], ...] = ()
    total: str = "Total"

    def read(self, frame: pl.DataFrame) -> tuple[Dimension, IntArray]:
        """The dimension and the number of every row's finest code."""
        try:
            if self.levels:
                return from_levels(frame, self.name, self.levels, self.total)
            if self.column not in frame.columns:
                raise ValueError(f"缺少列 {self.column!r} / no column {self.column!r}; found {frame.columns}")
            dimension = from_parents(self.name, self.pairs, self.total)
            return dimension, numbered(dimension, frame[self.column])
        except ValueError as error:
            raise ProblemError(str(error)) from error


@dataclass(frozen=True)
class _Parts:
    """What differs between the two kinds of input; arrays as in :class:`Problem`, atoms not yet merged."""

    leaves: IntArray
    atoms: IntArray
    floors: IntArray
    parts: csr_array
    groups: tuple[str, ...]
    known: NDArray[np.bool_]
    waived: NDArray[np.bool_]
    scale: int


def _grids(dims: Sequence[Dimension], tables: Tables | None) -> list[Grid]:
    names = [d.name for d in dims]
    grids = []
    for table, items in (tables or {"table": names}).items():
        try:
            shown = shown_levels(items, names)
        except ValueError as error:
            raise ProblemError(f"表 {table} / table {table!r}: {error}") from None
        shape = tuple(d.down_to(shown[d.name]) if d.name in shown else 1 for d in dims)
        grids.append(Grid(table, tuple(dims), shape))
    return grids


def _cells(grids: Sequence[Grid], variable: IntArray) -> pl.DataFrame:
    frames, offset = [], 0
    for grid in grids:
        codes = grid.codes()
        columns: dict[str, Any] = {
            d.name: pl.Series(np.array(d.codes, dtype=object)[c].tolist(), dtype=pl.String)
            for d, c in zip(grid.dims, codes, strict=True)
        }
        depth = np.sum([d.depth[c] for d, c in zip(grid.dims, codes, strict=True)], axis=0)
        local = variable[offset : offset + grid.size]
        frames.append(pl.DataFrame({"table": [grid.name] * grid.size, **columns, "depth": depth, "variable": local}))
        offset += grid.size
    return pl.concat(frames)


def _assemble(grids: Sequence[Grid], given: _Parts, kind: Kind, negative: bool, weighted: bool) -> Problem:
    """Collapse equal cells and atoms never told apart, and tie what is left together."""
    raw = csr_array(vstack([grid.members(given.leaves) for grid in grids]))
    first, variable = classes(raw, 0)
    columns = csr_array(raw[first].T)
    keep, atom = classes(columns, 1)
    merge = indicator(atom, np.arange(atom.size), (keep.size, atom.size))
    incidence = csr_array(columns[keep].T)
    incidence.sort_indices()
    relations, bare = relate(grids, variable, incidence)
    cells = _cells(grids, variable)
    depth = np.full(first.size, np.iinfo(np.int64).max)
    filled = variable >= 0
    np.minimum.at(depth, variable[filled], cells["depth"].to_numpy()[filled])
    parts = csr_array(merge @ given.parts)
    parts.eliminate_zeros()
    digest = sha256(repr([(d.name, d.codes) for d in grids[0].dims] + [(g.name, g.shape) for g in grids]).encode())
    digest.update("\n".join(given.groups).encode())
    for array in (given.leaves, given.atoms, given.floors, raw.indices, raw.indptr, parts.data, parts.indices):
        digest.update(np.ascontiguousarray(array).tobytes())
    none = np.full(first.size, -1, dtype=np.int64)
    return Problem(
        grids[0].dims, cells, incidence, merge @ given.atoms, merge @ given.floors, parts, given.groups, given.known,
        given.waived, relations, bare, depth, np.full(first.size, "", dtype="<U1"), none, none.copy(), kind, negative,
        weighted, given.scale, np.ones(first.size, np.bool_), np.zeros(first.size, np.bool_), digest.hexdigest(),
    )  # fmt: skip


def from_microdata(
    frame: pl.DataFrame,
    sources: Sequence[Source],
    value: str | None = None,
    contributor: str | None = None,
    weight: str | None = None,
    tables: Tables | None = None,
    public: Sequence[str] = (),
    waivers: Sequence[str] = (),
    observed: str | None = None,
    frequency: bool = False,
) -> Problem:
    """One row a unit; codes at the finest level known (an inner code adds to its sums and to no part of them).

    Parameters
    ----------
    frame
        The units; empty values add nothing and count for nobody.
    value
        Column summed; without it units are counted.
    contributor
        Column of the enterprise group; without it, or where it is empty, each row is its own.
    weight
        Column of sampling weights, which are taken to be secret: the rules compare the weighted sum with unweighted
        contributions. Weighted values are rounded to whole units row by row.
    tables
        Name → dimensions shown; without it one table of all. Dimensions not shown are totalled.
    public
        Contributors whose figure everybody knows: removed before the rules.
    waivers
        Contributors that agreed to be shown.
    observed
        Column of flags: a row without it adds to the value (a model's part) and is nobody's answer.
    frequency
        Values count memberships: the frequency rule alone has a meaning.

    Raises
    ------
    ProblemError
        For missing columns, unknown codes, rows without any code of a dimension, weights below zero.
    """
    for column in (value, contributor, weight, observed):
        if column is not None and column not in frame.columns:
            raise ProblemError(f"缺少列 {column!r} / no column {column!r}; found {frame.columns}")
    frame = frame if value is None else frame.drop_nulls(value)
    read = [source.read(frame) for source in sources]
    grids = _grids([d for d, _ in read], tables)
    for i, (dim, codes) in enumerate(read):
        if any(g.shown[i] for g in grids) and (codes == 0).any():
            row = int(np.flatnonzero(codes == 0)[0]) + 1
            raise ProblemError(f"第 {row} 行维度 {dim.name} 无代码 / row {row} has no code of {dim.name!r}")
    units, scale = (np.ones(frame.height, np.int64), 0) if value is None else to_units(frame[value])
    weighted = _weighted(frame, weight, units)
    codes = np.stack([c for _, c in read], axis=1) if read else np.zeros((frame.height, 0), np.int64)
    used = np.array([any(g.shown[i] for g in grids) for i in range(len(read))])
    leaves, atom = np.unique(np.where(used, codes, 0), axis=0, return_inverse=True)
    answers = np.ones(frame.height, np.bool_) if observed is None else frame[observed].to_numpy().astype(np.bool_)
    names, group = _contributors(frame.filter(pl.Series(answers)), contributor)
    shape = (leaves.shape[0], len(names))
    known, waived = np.isin(names, list(public)), np.isin(names, list(waivers))
    parts = _summed(units[answers], atom.ravel()[answers], group, shape)
    sums = np.zeros(leaves.shape[0], dtype=np.int64)
    np.add.at(sums, atom.ravel(), weighted)
    floors = np.maximum(parts @ known.astype(np.int64), 0)
    given = _Parts(leaves, sums, floors, parts, tuple(names.tolist()), known, waived, scale)
    negative = bool((units < 0).any())
    counts = frequency or value is None
    return _assemble(grids, given, "frequency" if counts else "magnitude", negative, weight is not None)


def _weighted(frame: pl.DataFrame, weight: str | None, units: IntArray) -> IntArray:
    if weight is None:
        return units
    factors = frame[weight].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    if not (factors >= 0).all():
        raise ProblemError(f"权重列 {weight} 有空值或负值 / weights in {weight!r} are empty or below zero")
    weighted: IntArray = np.rint(units * factors).astype(np.int64)
    return weighted


def _contributors(frame: pl.DataFrame, column: str | None) -> tuple[NDArray[np.str_], IntArray]:
    """Names of the contributors and the number of every row's."""
    own = pl.format("\x1f{}", pl.int_range(pl.len()))
    name = own if column is None else pl.coalesce(pl.col(column).cast(pl.String), own)
    names, number = np.unique(frame.select(n=name)["n"].to_numpy().astype(str), return_inverse=True)
    return names, number.astype(np.int64)


def _summed(units: IntArray, atom: IntArray, group: IntArray, shape: tuple[int, int]) -> csr_array:
    key, place = np.unique(atom * max(shape[1], 1) + group, return_inverse=True)
    sums = np.zeros(key.size, dtype=np.int64)
    np.add.at(sums, place, units)
    matrix = csr_array((sums, (key // max(shape[1], 1), key % max(shape[1], 1))), shape=shape)
    matrix.eliminate_zeros()
    return matrix
