"""Blocks of a table around a cell: some codes of every dimension, crossed; moves of cells live in such blocks."""

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etl.methods.disclosure.problem import Problem

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
#: Least price counted when codes are weighed, so that free cells count much and not without limit.
FLOOR: Final = 0.3
#: Codes are picked in rounds, each from what is near those picked before; share of the width by round.
SHARES: Final = (0.3, 0.6, 0.8, 1.0)


class Blocks:
    """Picks codes by what their cells cost.

    A sum along one dimension can only stay as it is if two of its cells move; each of these lies in sums of all other
    dimensions. The smallest sets that move together are therefore crosses of codes (two a dimension for a plain cube).
    """

    def __init__(self, problem: Problem) -> None:
        variable = problem.cells["variable"].to_numpy()
        filled = np.flatnonzero(variable >= 0)
        self.variable = variable[filled].astype(np.int64)
        self.size = problem.size
        self.dims = problem.dims
        self.codes = []
        for dim in problem.dims:
            texts = problem.cells[dim.name]
            numbers = texts.replace_strict(list(dim.codes), range(len(dim.codes)), return_dtype=pl.Int64)
            self.codes.append(numbers.to_numpy()[filled].astype(np.int64))
        order = np.argsort(self.variable, kind="stable")
        self._order, self._start = order, np.searchsorted(self.variable[order], np.arange(self.size + 1))
        self.near = [_near(dim.parents) for dim in problem.dims]

    def pick(self, target: int, price: FloatArray, widths: int) -> IntArray:
        """Variables in a block of at most ``widths`` codes a dimension around the target.

        ``price`` of every variable (infinite: must not move), shape ``(variables,)``.
        """
        cells = self._order[self._start[target] : self._start[target + 1]]
        chosen = []
        for codes, dim in zip(self.codes, self.dims, strict=True):
            mask = np.zeros(len(dim.codes), dtype=np.bool_)
            mask[codes[cells]] = True
            chosen.append(mask)
        cheap = (1 / (FLOOR + price))[self.variable]
        for share in SHARES:
            inside = [mask[codes] for mask, codes in zip(chosen, self.codes, strict=True)]
            wider = []
            for d, mask in enumerate(chosen):
                others = np.ones(self.variable.size, dtype=np.bool_)
                for e, within in enumerate(inside):
                    if e != d:
                        others &= within
                wider.append(self._widen(d, mask, others, cheap, max(2, int(widths * share))))
            chosen = wider
        keep = np.ones(self.variable.size, dtype=np.bool_)
        for mask, codes in zip(chosen, self.codes, strict=True):
            keep &= mask[codes]
        found = np.zeros(self.size, dtype=np.bool_)
        found[self.variable[keep]] = True
        found[target] = True
        return np.flatnonzero(found & np.isfinite(price))

    def _widen(self, d: int, mask: BoolArray, others: BoolArray, cheap: FloatArray, width: int) -> BoolArray:
        """The codes chosen and, up to ``width``, the best of those beside, above and below them."""
        gain = np.bincount(self.codes[d][others], weights=cheap[others], minlength=mask.size)
        gain[mask | ~self.near[d][mask].any(axis=0)] = 0
        room = width - int(mask.sum())
        if room <= 0:
            return mask
        best = np.argsort(-gain, kind="stable")[:room]
        result = mask.copy()
        result[best[gain[best] > 0]] = True
        return result


def _near(parents: IntArray) -> BoolArray:
    """Whether two codes are siblings or one is the other's parent, shape ``(codes, codes)``."""
    numbers = np.arange(parents.size)
    near: BoolArray = parents[:, None] == parents[None, :]
    near |= parents[:, None] == numbers[None, :]
    return near | near.T
