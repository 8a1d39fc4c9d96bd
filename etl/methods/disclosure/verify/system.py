"""What an attacker has to solve: sums that hidden figures must meet, with figures that move together made one."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
#: Bound of a figure nothing limits.
FREE: Final = np.inf


@dataclass(frozen=True)
class System:
    r"""Deviations :math:`d` of hidden figures from their true values: :math:`E d = 0`, ``low <= d <= high``.

    ``equations`` (rows × blocks): blocks are figures that deviate together; ``block`` and ``sign``: figure ``i``
    deviates by ``sign[i]`` times its block, ``block[i]`` is -1 where it cannot deviate (published or determined).
    Bounds are those of blocks, in units.
    """

    equations: csr_array
    block: IntArray
    sign: IntArray
    low: FloatArray
    high: FloatArray

    @property
    def size(self) -> int:
        """Number of blocks."""
        return int(self.low.size)

    def spread(self, moves: FloatArray) -> FloatArray:
        """Deviations of figures from those of blocks."""
        padded = np.append(moves, 0.0)
        found: FloatArray = padded[self.block] * self.sign
        return found


class _Union:
    """Figures joined with a sign: ``find`` gives the head and the sign relative to it (head -1: zero)."""

    def __init__(self, size: int) -> None:
        self.head = list(range(size))
        self.sign = [1] * size

    def find(self, i: int) -> tuple[int, int]:
        path, sign = [], 1
        while self.head[i] not in (i, -1):
            path.append(i)
            i = self.head[i]
        top = -1 if self.head[i] == -1 else i
        for j in reversed(path):
            sign *= self.sign[j]
            self.head[j], self.sign[j] = i, sign
        return top, sign

    def join(self, i: int, j: int, sign: int) -> bool:
        (a, s), (b, t) = self.find(i), self.find(j)
        if a == b:
            return a >= 0 and s * t != sign and self.zero(i)
        if a == -1 or b == -1:
            return self.zero(j if a == -1 else i)
        self.head[a], self.sign[a] = b, s * t * sign
        return True

    def zero(self, i: int) -> bool:
        top, _ = self.find(i)
        if top == -1:
            return False
        self.head[top] = -1
        return True


def build(relations: csr_array, hidden: BoolArray, low: FloatArray, high: FloatArray) -> System:
    """The system of the hidden figures.

    Parameters
    ----------
    relations
        Sums that hold of the true figures and of their deviations, shape ``(relations, figures)``.
    hidden, low, high
        Which figures are unknown, and how far each may deviate, shape ``(figures,)``.
    """
    size = relations.shape[1]
    union = _Union(size)
    for i in np.flatnonzero(~hidden).tolist():
        union.zero(i)
    while True:
        head, sign = np.array([union.find(i) for i in range(size)], dtype=np.int64).reshape(size, 2).T
        merged = _merged(relations, head, sign)
        if not _collapse(merged, union):
            break
    used, block = np.unique(head[head >= 0], return_inverse=True)
    number = np.full(size, -1, dtype=np.int64)
    number[head >= 0] = block
    sign = np.where(number >= 0, sign, 0)
    lower, upper = _bounds(number, sign, low, high, used.size)
    equations = csr_array(merged[:, used]) if used.size else csr_array((0, 0), dtype=np.int64)
    return System(_distinct(equations), number, sign, lower, upper)


def narrowed(system: System, known: BoolArray, low: FloatArray, high: FloatArray) -> System:
    """The system of somebody who knows more: figures that do not deviate, and how far each may, shape ``(figures,)``."""
    if system.size == 0:
        return system
    fixed = np.append(np.zeros(system.size, dtype=np.bool_), True)
    fixed[system.block[known]] = True
    lower, upper = _bounds(system.block, system.sign, low, high, system.size)
    inner = build(system.equations, ~fixed[:-1], lower, upper)
    sign = system.sign * np.append(inner.sign, 0)[system.block]
    return System(inner.equations, np.append(inner.block, -1)[system.block], sign, inner.low, inner.high)


def _bounds(
    block: IntArray, sign: IntArray, low: FloatArray, high: FloatArray, size: int
) -> tuple[FloatArray, FloatArray]:
    """The narrowest bounds of the figures of every block."""
    lower, upper = np.full(size, -FREE), np.full(size, FREE)
    ahead, back = (block >= 0) & (sign > 0), (block >= 0) & (sign < 0)
    np.maximum.at(lower, block[ahead], low[ahead])
    np.minimum.at(upper, block[ahead], high[ahead])
    np.maximum.at(lower, block[back], -high[back])
    np.minimum.at(upper, block[back], -low[back])
    return lower, upper


def _merged(relations: csr_array, head: IntArray, sign: IntArray) -> csr_array:
    """Relations between heads; what cancelled is dropped, and so are empty rows."""
    inside = np.flatnonzero(head >= 0)
    turn = csr_array(coo_array((sign[inside], (inside, head[inside])), shape=(head.size, head.size)))
    merged = csr_array(relations @ turn)
    merged.eliminate_zeros()
    return merged[np.flatnonzero(np.diff(merged.indptr))]


def _collapse(matrix: csr_array, union: _Union) -> bool:
    """Join what rows of one or two entries tie; whether anything changed."""
    lengths, changed = np.diff(matrix.indptr), False
    for row in np.flatnonzero(lengths == 1).tolist():
        changed |= union.zero(int(matrix.indices[matrix.indptr[row]]))
    for row in np.flatnonzero(lengths == 2).tolist():
        at = matrix.indptr[row]
        (i, j), (a, b) = matrix.indices[at : at + 2].tolist(), matrix.data[at : at + 2].tolist()
        if abs(a) == abs(b):
            changed |= union.join(i, j, -1 if a * b > 0 else 1)
    return changed


def _distinct(matrix: csr_array) -> csr_array:
    """Rows without repetitions (up to sign)."""
    matrix.sort_indices()
    keep: dict[tuple[bytes, bytes], int] = {}
    for row in range(matrix.shape[0]):
        at = slice(matrix.indptr[row], matrix.indptr[row + 1])
        data = matrix.data[at]
        if data.size:
            keep.setdefault((matrix.indices[at].tobytes(), (data * np.sign(data[0])).tobytes()), row)
    return matrix[sorted(keep.values())]
