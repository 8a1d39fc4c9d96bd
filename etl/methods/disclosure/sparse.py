"""Sets of atoms as sparse rows: equal ones found by fingerprints, tables by mixed-radix numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, vstack

from etl.methods.disclosure.dimension import Dimension

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Grid:
    """All cells of one table; ``shape[d]``: how many codes of dimension ``d`` it shows (1: the total alone).

    Codes stand in order of depth, so that those down to a depth come first. Cells are numbered by radix.
    """

    name: str
    dims: tuple[Dimension, ...]
    shape: tuple[int, ...]

    @property
    def shown(self) -> tuple[bool, ...]:
        """Whether the table shows more of a dimension than its total."""
        return tuple(size > 1 for size in self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    def codes(self) -> list[IntArray]:
        """Number of the code of every cell, by dimension."""
        return [c.astype(np.int64) for c in np.unravel_index(np.arange(self.size), self.shape)]

    def cell(self, codes: Sequence[IntArray]) -> IntArray:
        """Numbers of the cells with these codes; dimensions not shown are taken as totals."""
        shown = [c if s else np.zeros_like(c) for c, s in zip(codes, self.shown, strict=True)]
        return np.ravel_multi_index(tuple(shown), self.shape).astype(np.int64)

    def members(self, leaves: IntArray) -> csr_array:
        """Cells × atoms, 0/1; ``leaves``: numbers of the atoms' codes, shape ``(atoms, dims)``."""
        lines = [d.lineage[leaves[:, i]] for i, d in enumerate(self.dims)]
        steps = [range(line.shape[1]) if s else (0,) for line, s in zip(lines, self.shown, strict=True)]
        # A dimension that is totalled takes every code as its total.
        reach = [n if n > 1 else len(d.codes) for n, d in zip(self.shape, self.dims, strict=True)]
        rows, columns = [], []
        for step in product(*steps):
            codes = [line[:, k] for line, k in zip(lines, step, strict=True)]
            valid = np.flatnonzero(np.all([(c >= 0) & (c < n) for c, n in zip(codes, reach, strict=True)], axis=0))
            rows.append(self.cell([c[valid] for c in codes]))
            columns.append(valid)
        row, column = np.concatenate(rows), np.concatenate(columns)
        ones = np.ones(row.size, dtype=np.int64)
        return csr_array(coo_array((ones, (row, column)), shape=(self.size, leaves.shape[0])))

    def families(self) -> list[tuple[int, IntArray, IntArray]]:
        """By shown dimension: its number, and (part, sum) as numbers of cells."""
        codes, result = self.codes(), []
        for i, dim in enumerate(self.dims):
            if self.shown[i]:
                child = np.flatnonzero(codes[i] > 0)
                above = [c[child] for c in codes]
                above[i] = dim.parents[above[i]]
                result.append((i, child, self.cell(above)))
        return result


def fingerprints(matrix: csr_array, seed: int) -> NDArray[np.uint64]:
    """Two 64-bit sums of random weights of every row's entries, shape ``(rows, 2)``; rows of zeros give zeros."""
    weights = np.random.default_rng(seed).integers(0, 2**64, (matrix.shape[1], 2), dtype=np.uint64)
    unsigned = csr_array((matrix.data.astype(np.uint64), matrix.indices, matrix.indptr), shape=matrix.shape)
    result: NDArray[np.uint64] = unsigned @ weights
    return result


def classes(matrix: csr_array, seed: int) -> tuple[IntArray, IntArray]:
    """First row of every class of equal non-zero rows, in order, and the class of every row (-1: zeros)."""
    prints = fingerprints(matrix, seed)
    filled = np.flatnonzero(np.diff(matrix.indptr) > 0)
    _, first, inverse = np.unique(prints[filled], axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size)
    label = np.full(matrix.shape[0], -1, dtype=np.int64)
    label[filled] = rank[inverse.ravel()]
    return filled[first[order]], label


def indicator(rows: IntArray, columns: IntArray, shape: tuple[int, int]) -> csr_array:
    """0/1 matrix with ones at the (distinct) places given."""
    ones = np.ones(rows.size, dtype=np.int64)
    return csr_array(coo_array((ones, (rows, columns)), shape=shape))


def _family_rows(grids: Sequence[Grid], variable: IntArray, size: int) -> tuple[csr_array, IntArray]:
    """Parts of every sum that tables show (rows × variables) and the variable of the sum, without trivial ones."""
    blocks, sums, offset = [], [], 0
    for grid in grids:
        local = variable[offset : offset + grid.size]
        for _, child, parent in grid.families():
            filled = local[child] >= 0
            above, row = np.unique(parent[filled], return_inverse=True)
            blocks.append(indicator(row, local[child[filled]], (above.size, size)))
            sums.append(local[above])
        offset += grid.size
    if not blocks:
        return csr_array((0, size), dtype=np.int64), np.zeros(0, dtype=np.int64)
    parts, total = csr_array(vstack(blocks)), np.concatenate(sums)
    useful = np.flatnonzero((np.diff(parts.indptr) > 1) | (parts.indices[parts.indptr[:-1]] != total))
    return parts[useful], total[useful]


def relate(grids: Sequence[Grid], variable: IntArray, incidence: csr_array) -> tuple[csr_array, IntArray]:
    """Relations between nodes (relations × nodes) and the bare atoms; see :class:`problem.Problem`.

    Every sum along a dimension is a relation; what its shown parts leave out (contributions coded to an inner code)
    enters as atoms. A variable of several atoms that is nowhere a sum is tied to its atoms directly.
    """
    size, atoms = incidence.shape
    parts, total = _family_rows(grids, variable, size)
    loose = np.setdiff1d(np.flatnonzero(np.diff(incidence.indptr) > 1), total)
    parts = csr_array(vstack([parts, csr_array((loose.size, size), dtype=np.int64)]))
    total = np.concatenate([total, loose])
    rest = csr_array(incidence[total] - parts @ incidence)
    rest.eliminate_zeros()
    single = np.flatnonzero(np.diff(incidence.indptr) == 1)
    node = np.full(atoms, -1, dtype=np.int64)
    node[incidence.indices[incidence.indptr[single]]] = single
    bare = np.setdiff1d(np.arange(atoms), incidence.indices[incidence.indptr[single]])
    node[bare] = size + np.arange(bare.size)
    row, left = rest.nonzero()
    entry = parts.tocoo()
    rows = np.concatenate([entry.row, row, np.arange(total.size)])
    columns = np.concatenate([entry.col, node[left], total])
    data = np.concatenate([np.ones(entry.row.size + row.size), -np.ones(total.size)]).astype(np.int64)
    matrix = csr_array(coo_array((data, (rows, columns)), shape=(total.size, size + bare.size)))
    first, _ = classes(matrix, 2)
    return matrix[first], bare
