"""Adding up what parts (phrases, concepts) say for classes: sparse matrices, sums in millionths, largest values."""

from typing import NamedTuple

import numba
import numpy as np

from taxonomy.classifier.kernel_text import F64, I32, I64


class Sparse(NamedTuple):
    """A matrix by rows: row ``i`` holds ``value[at[i]:at[i + 1]]`` in the columns ``column`` of the same places."""

    at: I64
    column: I64
    value: F64


def sparse_of(matrix: F64) -> Sparse:
    """The sparse form of a matrix."""
    row, column = np.nonzero(matrix)
    at = np.searchsorted(row, np.arange(len(matrix) + 1)).astype(np.int64)
    return Sparse(at, column.astype(np.int64), matrix[row, column])


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def add_parts(micro: I64, row: I32, part: I32, weight: F64, values: Sparse) -> None:  # pragma: no cover - compiled
    """Add ``weight × values[part]`` in millionths to ``micro[row]`` for every part (phrase, concept) of a row."""
    at, column, value = values
    for i in range(row.shape[0]):
        for k in range(at[part[i]], at[part[i] + 1]):
            micro[row[i], column[k]] += np.int64(np.rint(weight[i] * value[k] * 1e6))


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def parts_of(chosen: I64, row: I32, part: I32, weight: F64, values: Sparse) -> I64:  # pragma: no cover - compiled
    """What each part adds in millionths to the column ``chosen`` of its row."""
    at, column, value = values
    result = np.zeros(row.shape[0], dtype=np.int64)
    for i in range(row.shape[0]):
        for k in range(at[part[i]], at[part[i] + 1]):
            if column[k] == chosen[row[i]]:
                result[i] = np.int64(np.rint(weight[i] * value[k] * 1e6))
    return result


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def largest(values: F64, count: int) -> I64:  # pragma: no cover - compiled
    """Positions of the ``count`` largest values of each row, largest first, ties by position."""
    result = np.empty((values.shape[0], count), dtype=np.int64)
    for i in range(values.shape[0]):
        held = 0
        for c in range(values.shape[1]):
            at = held
            while at > 0 and values[i, c] > values[i, result[i, at - 1]]:
                at -= 1
            if at < count:
                last = min(held, count - 1)
                for j in range(last, at, -1):
                    result[i, j] = result[i, j - 1]
                result[i, at] = c
                held = min(held + 1, count)
    return result


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def sums_of(values: F64, group: I64, groups: int) -> F64:  # pragma: no cover - compiled
    """Sums of each row's values by group of columns, shape ``(n, groups)``, added from left to right."""
    result = np.zeros((values.shape[0], groups))
    for i in range(values.shape[0]):
        for c in range(values.shape[1]):
            result[i, group[c]] += values[i, c]
    return result
