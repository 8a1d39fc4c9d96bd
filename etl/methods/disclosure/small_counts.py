"""Small count rounding: inner counts below a base become 0 or the base, and every published count is their sum."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.linalg import lsmr

from etl.methods.disclosure.problem import ProblemError
from etl.methods.registry import method

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
#: Most inner cells placed at a time, as in the published program: their common cells fill a square matrix.
BATCH: Final = 1000
#: A random direction orthogonal to all published cells moves an inner cell less than this: its count follows from them.
STILL: Final = 1e-6
#: Rounds of exchange beyond the number of cells placed, as in the published program.
EXCHANGES: Final = 100


@dataclass(frozen=True)
class Rounded:
    """Inner counts before and after, shape ``(inner,)``, and published counts, shape ``(published,)``."""

    base: int
    inner: IntArray
    inner_rounded: IntArray
    published: IntArray
    published_rounded: IntArray

    @property
    def deviations(self) -> IntArray:
        """Published rounded counts less the true ones."""
        return self.published_rounded - self.published

    @property
    def largest(self) -> int:
        """Largest absolute deviation of a published count."""
        return int(np.abs(self.deviations).max(initial=0))

    @property
    def mean(self) -> float:
        """Mean absolute deviation of the published counts, 0 without any."""
        return float(np.abs(self.deviations).mean()) if self.deviations.size else 0.0

    @property
    def root_mean_square(self) -> float:
        """Root of the mean squared deviation of the published counts, 0 without any."""
        return float(np.sqrt(np.square(self.deviations).mean())) if self.deviations.size else 0.0


@method("disclosure.small_count_rounding")
def small_count_rounding(
    members: csr_array, counts: IntArray, base: int = 3, seed: int = 1, *, determined: bool = True
) -> Rounded:
    """Round the inner counts below ``base`` that published counts below it need, with small deviations of the rest.

    Parameters
    ----------
    members
        Published cells × inner cells, 0/1.
    counts
        Counts of the inner cells, shape ``(inner,)``, 0 or more.
    base
        Rounding base; no published count of 1 to ``base`` - 1 is left.
    seed
        Order of equally good cells.
    determined
        Round small inner cells too whose count follows from the published ones, though they are not published.

    Returns
    -------
    Rounded
        ``members @ inner_rounded == published_rounded``: all totals are additive.

    Raises
    ------
    ProblemError
        For a base below 2, counts below 0, a matrix that is not 0/1 or of another shape.

    Notes
    -----
    Ø. Langsrud, J. Heldal (2018), An algorithm for small count rounding of tabular data, PSD 2018.
    """
    counts = np.asarray(counts, dtype=np.int64)
    _checked(members, counts, base)
    random = np.random.default_rng(seed)
    exact = csr_array(members.astype(np.int64)) @ counts
    state = _State(csr_array(members.astype(np.int64)), counts, exact, counts.copy(), base)
    queue = np.zeros(counts.size, dtype=np.bool_)
    while True:
        queue |= state.needed()
        if not queue.any():
            queue = state.determined(random) if determined else queue
            if not queue.any():
                break
        chosen = np.flatnonzero(queue)
        if chosen.size > BATCH:
            chosen = np.sort(random.choice(chosen, BATCH, replace=False))
        state.place(chosen, random)
        queue[chosen] = False
    return Rounded(base, counts, state.now, exact, state.members @ state.now)


def _checked(members: csr_array, counts: IntArray, base: int) -> None:
    if base < 2:
        raise ProblemError(f"舍入基数过小 / rounding base {base}; expected 2 or more")
    if counts.ndim != 1 or members.shape[1] != counts.size:
        raise ProblemError(
            f"单元数不符 / {members.shape[1]} inner cells in the memberships, counts {counts.shape}; expected as many"
        )
    if (counts < 0).any():
        raise ProblemError(
            f"计数为负 / inner cell {int(np.argmin(counts))} counts {int(counts.min())}; expected 0 or more"
        )
    if not np.isin(members.data, (0, 1)).all():
        raise ProblemError("隶属矩阵有误 / a membership is neither 0 nor 1; expected each inner cell once in a cell")


@dataclass
class _State:
    members: csr_array
    counts: IntArray
    exact: IntArray
    now: IntArray
    base: int

    def small(self) -> BoolArray:
        small: BoolArray = (self.now > 0) & (self.now < self.base)
        return small

    def needed(self) -> BoolArray:
        """Small inner cells of published cells that are small now."""
        published = self.members @ self.now
        low = (published > 0) & (published < self.base)
        inside: BoolArray = (self.members.T @ low.astype(np.int64)) > 0
        return self.small() & inside

    def determined(self, random: np.random.Generator) -> BoolArray:
        """Small inner cells whose count follows linearly from the published ones, zeros taken as zeros of all parts."""
        small = self.small()
        if not small.any():
            return small
        zero = (self.members.T @ ((self.members @ self.now) == 0).astype(np.int64)) > 0
        free = np.flatnonzero(~zero)
        matrix = csr_array(self.members[:, free].astype(np.float64))
        direction = random.standard_normal(free.size)
        limit = 10 * max(matrix.shape)
        along = lsmr(matrix, matrix @ direction, atol=1e-13, btol=1e-13, conlim=0, maxiter=limit)[0]
        still = np.zeros(self.now.size, dtype=np.bool_)
        still[free] = np.abs(direction - along) < STILL
        return small & still

    def place(self, chosen: IntArray, random: np.random.Generator) -> None:
        """Give the base to as many of the chosen cells as keep the total, so that published cells deviate little."""
        gap = int(self.counts.sum() - self.now.sum())
        target = int(self.now[chosen].sum()) + gap
        up = min(max(round(target / self.base), 0), chosen.size)
        columns = csr_array(self.members[:, chosen])
        inside = columns.sum(axis=1)
        # A cell that sums none or all of the chosen deviates the same whichever of them get the base.
        told = (inside > 0) & (inside < chosen.size)
        matrix = csr_array(columns[told])
        lacking = matrix @ self.now[chosen] + (self.exact - self.members @ self.now)[told]
        raised = _greedy(csr_array(matrix.T), lacking, self.base, up, random)
        self.now[chosen] = np.where(raised, self.base, 0)


def _greedy(rows: csr_array, lacking: IntArray, base: int, up: int, random: np.random.Generator) -> BoolArray:
    """Which inner cells get the base; ``rows``: inner × published, ``lacking``: what the published cells need.

    The cell that correlates most with what is lacking comes first, one after the other; then the worst one gives way
    to the best one while that is not the one just placed.
    """
    size = rows.shape[0]
    raised = np.zeros(size, dtype=np.bool_)
    if up in (0, size):
        raised[:] = up > 0
        return raised
    gain = (rows @ lacking).astype(np.int64)
    common = (base * (rows @ rows.T)).toarray()
    out, placed = [int(i) for i in random.permutation(size)], list[int]()

    def rise() -> None:
        cell = out.pop(int(np.argmax(gain[out])))
        placed.insert(0, cell)
        np.subtract(gain, common[cell], out=gain)

    for _ in range(up):
        rise()
    for _ in range(up + EXCHANGES):
        worst = int(np.argmin(gain[placed]))
        if worst == 0:
            break
        cell = placed.pop(worst)
        out.insert(0, cell)
        np.add(gain, common[cell], out=gain)
        rise()
    raised[placed] = True
    return raised
