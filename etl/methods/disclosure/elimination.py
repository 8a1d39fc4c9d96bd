"""Stage A: publish whatever gives no hidden cell away exactly, by elimination modulo a prime."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from etl.methods.disclosure import kernel
from etl.methods.disclosure.problem import Problem, ProblemError
from etl.methods.disclosure.sensitivity import Sensitivity

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
PRIMES: Final = (2**31 - 1, 2**31 - 19)
GROUP_ROUNDS: Final = 25


@dataclass(frozen=True)
class Reduced:
    """Outcome of an elimination: flags of publication and what is left of every hidden column."""

    published: BoolArray
    left: csr_array
    rounds: int = 0
    leaks: int = 0


def priority(problem: Problem, earlier: Sequence[int] = (), withheld: Sequence[int] = ()) -> IntArray:
    """All variables, first to be published first: by level, large before small.

    ``earlier``: variables published before, which go first of all; ``withheld``: hidden before, which go last.
    """
    rank = np.ones(problem.size, dtype=np.int64)
    rank[list(earlier)], rank[list(withheld)] = 0, 2
    order: IntArray = np.lexsort((np.arange(problem.size), -np.abs(problem.values), problem.depth, rank))
    return order


def reduce(
    columns: csr_array,
    order: IntArray,
    hidden: BoolArray,
    watched: BoolArray,
    group: IntArray,
    prime: int,
    seed: int = 0,
) -> Reduced:
    """Run the kernel on the rows of ``columns`` (variables × atoms, whole numbers)."""
    weights = np.random.default_rng(seed).integers(1, prime, (columns.shape[1], 2), dtype=np.int64)
    data = columns.data.astype(np.int64) % prime
    prints = np.zeros((columns.shape[0], 2), dtype=np.int64)
    row = np.repeat(np.arange(columns.shape[0]), np.diff(columns.indptr))
    for i in range(2):
        products = data * weights[columns.indices, i] % prime
        np.add.at(prints[:, i], row, products)
    prints %= prime
    published, start, size, index, value = kernel.eliminate(
        columns.indptr.astype(np.int64), columns.indices.astype(np.int32), data, columns.shape[1],
        order.astype(np.int64), hidden, watched, group, prints, prime,
    )  # fmt: skip
    rows = np.flatnonzero(hidden)
    places = np.concatenate([np.arange(start[r], start[r] + size[r]) for r in rows] or [np.zeros(0, np.int64)])
    lengths = np.zeros(columns.shape[0], dtype=np.int64)
    lengths[rows] = size[rows]
    pointer = np.concatenate([[0], np.cumsum(lengths)])
    left = csr_array((value[places], index[places], pointer), shape=columns.shape)
    return Reduced(published, left)


def suppress(
    problem: Problem,
    found: Sensitivity,
    order: IntArray | None = None,
    singletons: bool = True,
    blocked: BoolArray | None = None,
) -> Reduced:
    r"""Publish in order unless an unsafe variable becomes a linear combination of published ones.

    Langsrud (2024), "Secondary cell suppression by Gaussian elimination", PSD 2024, doi
    10.1007/978-3-031-69651-0_6, on integers modulo :math:`2^{31}-1`. A hidden column that vanishes is seen by two random
    functionals; a clash by chance (about :math:`2^{-60}`) errs to the safe side. A second prime confirms the result.

    With ``singletons`` no group alone in an unsafe cell finds another unsafe cell: reduced columns of two may not
    become proportional. That includes two such cells in one sum (their sum is then published only if
    neither gives the other away). A group alone in several cells is tested with all of them together; what it could
    compute becomes a virtual primary and the elimination runs again.

    Parameters
    ----------
    order
        Variables from the first to be published to the last; default :func:`priority`.
    blocked
        Variables hidden whatever, without a right to protection of their own, shape ``(variables,)``.

    Raises
    ------
    ProblemError
        Where a forced published cell gives an unsafe one away.
    """
    order = priority(problem) if order is None else order
    open_ = ~found.unsafe if blocked is None else ~found.unsafe & ~blocked
    order = np.concatenate([order[found.forced[order]], order[~found.forced[order] & open_[order]]])
    use_groups = singletons and problem.kind == "magnitude" and bool((found.owner[found.unsafe] >= 0).any())
    owner = np.where(found.unsafe, found.owner, -1)
    virtual: csr_array = csr_array((0, problem.incidence.shape[1]), dtype=np.int64)
    for rounds in range(GROUP_ROUNDS):
        result = _run(problem, found.unsafe, owner, virtual, order, use_groups)
        leaks = group_leaks(problem, result, found.unsafe, owner) if use_groups else virtual[:0]
        if leaks.shape[0] == 0 or rounds == GROUP_ROUNDS - 1:
            break
        virtual = csr_array(vstack([virtual, leaks]))
    published = result.published[: problem.size]
    if bad := np.flatnonzero(found.forced & ~published)[:3].tolist():
        raise ProblemError(
            f"强制公布的单元格泄露 / forced published cells give unsafe ones away: {'; '.join(map(problem.name, bad))}"
        )
    return Reduced(published, result.left[: problem.size], rounds + 1, leaks.shape[0])


def _run(
    problem: Problem, unsafe: BoolArray, owner: IntArray, virtual: csr_array, order: IntArray, groups: bool
) -> Reduced:
    columns = csr_array(vstack([problem.incidence, virtual]))
    extra = virtual.shape[0]
    hidden = np.concatenate([unsafe, np.ones(extra, dtype=np.bool_)])
    watched = np.concatenate([unsafe & groups, np.zeros(extra, dtype=np.bool_)])
    group = np.concatenate([owner, np.full(extra, -1, dtype=np.int64)])
    first = reduce(columns, order, hidden, watched, group, PRIMES[0])
    kept = order[first.published[order]]
    second = reduce(columns, kept, hidden, watched, group, PRIMES[1], seed=1)
    if second.published[kept].all():
        return first
    return reduce(columns, order[second.published[order]], hidden, watched, group, PRIMES[0])


def group_leaks(problem: Problem, result: Reduced, unsafe: BoolArray, owner: IntArray) -> csr_array:
    """What a group alone in several cells can compute of other unsafe cells: one row a leak, modulo the first prime.

    A row is the unsafe cell less the combination of the group's own cells that published cells complete.
    """
    left = result.left[: problem.size]
    own = np.flatnonzero(owner >= 0)
    several = np.flatnonzero(np.bincount(owner[own], minlength=1) > 1)
    own = own[np.isin(owner[own], several)]
    if own.size == 0:
        return csr_array((0, problem.incidence.shape[1]), dtype=np.int64)
    number = np.searchsorted(several, owner[own])
    reach = csr_array((np.ones(own.size, np.int64), (number, own)), shape=(several.size, problem.size))
    pattern = csr_array((np.ones(left.nnz, np.int64), left.indices, left.indptr), shape=left.shape)
    touched = csr_array(reach @ pattern)
    touched.data[:] = 1
    inside = csr_array(pattern @ touched.T).tocoo()
    full = np.flatnonzero((inside.data == np.diff(left.indptr)[inside.row]) & unsafe[inside.row])
    leaks = []
    for cell, at in zip(inside.row[full].tolist(), inside.col[full].tolist(), strict=True):
        mine = own[number == at]
        if owner[cell] != several[at] and (row := _combination(problem, left, cell, mine)) is not None:
            leaks.append(row)
    empty = csr_array((0, problem.incidence.shape[1]), dtype=np.int64)
    return csr_array(vstack([empty, *leaks])) if leaks else empty


def _combination(problem: Problem, left: csr_array, cell: int, mine: IntArray) -> csr_array | None:
    """``cell`` less the multiples of ``mine`` that cancel its reduced column, or None if none do."""
    prime = PRIMES[0]
    echelon: list[tuple[int, dict[int, int], dict[int, int]]] = []
    for target in [*mine.tolist(), cell]:
        at = slice(left.indptr[target], left.indptr[target + 1])
        vector = dict(zip(left.indices[at].tolist(), left.data[at].tolist(), strict=True))
        combination = {target: 1}
        for pivot, base, made in echelon:
            if factor := vector.get(pivot, 0):
                _subtract(vector, base, factor, prime)
                _subtract(combination, made, factor, prime)
        if target == cell:
            break
        if vector:
            pivot = min(vector)
            scale = pow(vector[pivot], -1, prime)
            echelon.append((
                pivot,
                {k: v * scale % prime for k, v in vector.items()},
                {k: v * scale % prime for k, v in combination.items()},
            ))  # fmt: skip
    if vector:
        return None
    rows = problem.incidence[list(combination)]
    factors = np.array(list(combination.values()), dtype=np.int64)
    dense = (rows.toarray() * factors[:, None] % prime).sum(axis=0) % prime
    return csr_array(dense[None, :])


def _subtract(vector: dict[int, int], base: dict[int, int], factor: int, prime: int) -> None:
    for key, entry in base.items():
        if rest := (vector.get(key, 0) - factor * entry) % prime:
            vector[key] = rest
        else:
            vector.pop(key, None)
