"""Which hidden figures published ones determine, without rounding: random solutions of sums modulo a prime."""

import heapq
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import csr_array

IntArray = NDArray[np.int64]
PRIMES: Final = (2_147_483_629, 2_147_483_587)
#: Work a sparse step may cost before the rest is eliminated as a dense matrix.
HEAVY: Final = 4000


def null_vectors(equations: csr_array, count: int, prime: int, seed: int) -> IntArray:
    """Random vectors that every row maps to zero modulo ``prime``, shape ``(columns, count)``.

    A figure is zero in each of them if it is determined; if it is not, each is zero by chance with probability
    ``1 / prime``. What is free modulo a prime may be determined over the rationals where the prime divides a minor:
    use two primes.
    """
    rows = [
        dict(zip(equations.indices[a:b].tolist(), (equations.data[a:b] % prime).tolist(), strict=True))
        for a, b in zip(equations.indptr, equations.indptr[1:], strict=False)
    ]
    rows = [{j: int(v) for j, v in row.items() if v} for row in rows]
    pivots, rest = _sparse(rows, equations.shape[1], prime)
    return _solve(pivots, rest, equations.shape[1], count, prime, seed)


def _sparse(
    rows: list[dict[int, int]], size: int, prime: int
) -> tuple[list[tuple[int, dict[int, int]]], list[dict[int, int]]]:
    """Eliminate columns of few entries first, by their shortest row, until a step costs too much.

    Returns the pivot rows (their pivot's entry made one) in order, and the rows left.
    """
    holds: list[set[int]] = [set() for _ in range(size)]
    for i, row in enumerate(rows):
        for j in row:
            holds[j].add(i)
    heap = [(len(h), j) for j, h in enumerate(holds) if h]
    heapq.heapify(heap)
    pivots: list[tuple[int, dict[int, int]]] = []
    while heap:
        entries, j = heapq.heappop(heap)
        if entries != len(holds[j]) or not holds[j]:
            if holds[j]:
                heapq.heappush(heap, (len(holds[j]), j))
            continue
        pivot = min(holds[j], key=lambda i: (len(rows[i]), i))
        if (entries - 1) * len(rows[pivot]) > HEAVY:
            break
        base, rows[pivot] = rows[pivot], {}
        scale = pow(base[j], -1, prime)
        base = {k: v * scale % prime for k, v in base.items()}
        for k in base:
            holds[k].discard(pivot)
        for i in list(holds[j]):
            _subtract(rows[i], base, rows[i][j], prime, holds, i)
        for k in base:
            if k != j and holds[k]:
                heapq.heappush(heap, (len(holds[k]), k))
        pivots.append((j, base))
    return pivots, [row for row in rows if row]


def _subtract(
    row: dict[int, int], base: dict[int, int], factor: int, prime: int, holds: list[set[int]], number: int
) -> None:
    for k, v in base.items():
        left = (row.get(k, 0) - factor * v) % prime
        if left:
            row[k] = left
            holds[k].add(number)
        elif k in row:
            del row[k]
            holds[k].discard(number)


def _solve(
    pivots: list[tuple[int, dict[int, int]]], rest: list[dict[int, int]], size: int, count: int, prime: int, seed: int
) -> IntArray:
    random = np.random.default_rng(seed)
    vectors = random.integers(1, prime, (size, count), dtype=np.int64)
    columns = np.array(sorted({j for row in rest for j in row}), dtype=np.int64)
    if columns.size:
        dense = np.zeros((len(rest), columns.size), dtype=np.int64)
        for i, row in enumerate(rest):
            dense[i, np.searchsorted(columns, list(row))] = list(row.values())
        chosen = _echelon(dense, prime)
        for row, j in reversed(list(enumerate(chosen.tolist()))):
            others = np.flatnonzero(dense[row])
            others = others[others != j]
            vectors[columns[j]] = _combined(dense[row, others], vectors[columns[others]], prime)
    for j, base in reversed(pivots):
        others = np.array([k for k in base if k != j], dtype=np.int64)
        factors = np.array([base[k] for k in others.tolist()], dtype=np.int64)
        vectors[j] = _combined(factors, vectors[others], prime)
    return vectors


def _combined(factors: IntArray, vectors: IntArray, prime: int) -> IntArray:
    """Minus the combination, modulo the prime."""
    result: IntArray = (-((factors[:, None] * vectors % prime).sum(axis=0))) % prime
    return result


@njit(cache=True)  # type: ignore[untyped-decorator]
def _echelon(matrix: IntArray, prime: int) -> IntArray:
    """Row echelon form in place, pivots made one; the column of every row's pivot, in order."""
    rows, columns = matrix.shape
    chosen = np.empty(min(rows, columns), dtype=np.int64)
    rank = 0
    for j in range(columns):
        at = -1
        for i in range(rank, rows):
            if matrix[i, j]:
                at = i
                break
        if at < 0:
            continue
        for k in range(columns):
            matrix[at, k], matrix[rank, k] = matrix[rank, k], matrix[at, k]
        base, exponent, inverse = matrix[rank, j], prime - 2, np.int64(1)
        while exponent:
            if exponent & 1:
                inverse = inverse * base % prime
            base = base * base % prime
            exponent >>= 1
        for k in range(j, columns):
            matrix[rank, k] = matrix[rank, k] * inverse % prime
        for i in range(rank + 1, rows):
            factor = matrix[i, j]
            if factor:
                for k in range(j, columns):
                    if matrix[rank, k]:
                        matrix[i, k] = (matrix[i, k] + (prime - factor) * matrix[rank, k]) % prime
        chosen[rank] = j
        rank += 1
        if rank == rows:
            break
    return chosen[:rank]
