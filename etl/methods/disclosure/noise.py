"""Perturbation tables for counts: noise of maximum entropy, bounded, without bias, of a given variance."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from etl.methods.disclosure.problem import ProblemError

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
#: Probabilities are whole numbers of this many slots, so that no bias is left by rounding.
BITS: Final = 32
SLOTS: Final = 1 << BITS
#: Newton's method stops here; the variance is met to about this and the width of a slot.
CLOSE: Final = 1e-11
#: What rounding may add to a sum that does not grow: without it the last steps would be cut to nothing.
ROUNDING: Final = 1e-13
MOST: Final = 20


@dataclass(frozen=True)
class PerturbationTable:
    """Noise by true count. Counts of ``classes`` - 1 and more share the last row, which is symmetric.

    Attributes
    ----------
    largest : most a count may move, D.
    variance : variance asked for, V.
    blocked : largest count that never stands, js (0: all counts may stand).
    slots : shape ``(classes, 2 D + 1)``: slots of 2^32 by true count and noise -D to D; rows add to 2^32.
    """

    largest: int
    variance: float
    blocked: int
    slots: NDArray[np.int64]

    @property
    def classes(self) -> int:
        """Number of rows: true counts 0 to D + js (+ 1 with js > 0), the last one for all above too."""
        return int(self.slots.shape[0])

    @property
    def noise(self) -> IntArray:
        """Noise of every column, shape ``(2 D + 1,)``."""
        return np.arange(-self.largest, self.largest + 1)

    @property
    def probabilities(self) -> FloatArray:
        """Shape of ``slots``."""
        return self.slots / SLOTS

    @cached_property
    def variances(self) -> FloatArray:
        """Variance of the noise by true count, shape ``(classes,)``: 0 for zero, V within 1e-6 for others."""
        return self.probabilities @ np.square(self.noise).astype(np.float64)

    @cached_property
    def _edges(self) -> IntArray:
        return np.cumsum(self.slots, axis=1)

    def draw(self, counts: IntArray, keys: NDArray[np.uint64]) -> IntArray:
        """Noise of every cell by its count and its key (all 64 bits as a fraction of 1), same shape."""
        row = np.minimum(counts, self.classes - 1)
        slot = (keys >> np.uint64(64 - BITS)).astype(np.int64)
        noise: IntArray = self.noise[(self._edges[row] <= slot[:, None]).sum(axis=1)]
        return noise


def perturbation_table(largest: int = 3, variance: float = 2.25, blocked: int = 2) -> PerturbationTable:
    """The table of maximum entropy.

    For every true count i > 0: noise v within ±D, i + v neither below 0 nor in 1 … js, E v = 0 exactly, Var v = V.
    Zero stays zero.

    Parameters
    ----------
    largest
        D, above ``blocked``, at most 20.
    variance
        V, strictly between the bounds that D and js leave (the message of a refusal tells them).
    blocked
        js, 0 or more.

    Raises
    ------
    ProblemError
        For parameters no noise can meet, with those that it can.

    Notes
    -----
    J. Marley, V. Leaver (2011); S. Giessing (2016), PSD, LNCS 9867, 237-251.
    """
    if not 0 <= blocked < largest <= MOST:
        raise ProblemError(
            f"扰动参数有误 / largest deviation {largest}, largest blocked count {blocked}; "
            f"expected 0 <= blocked < deviation <= {MOST}"
        )
    # The first count that noise of -D takes neither below 0 nor to a blocked one has the noise of all above it.
    symmetric = largest + blocked + (blocked > 0)
    supports = [_support(i, largest, blocked) for i in range(1, symmetric + 1)]
    low = max(_bounds(s)[0] for s in supports)
    high = min(_bounds(s)[1] for s in supports)
    if not low < variance < high:
        raise ProblemError(
            f"方差不可达 / variance {variance:g} with deviation {largest}, blocked {blocked}; "
            f"expected more than {low:g} and less than {high:g}"
            + ("" if low < high else ": no variance fits; allow a larger deviation or block fewer counts")
        )
    slots = np.zeros((len(supports) + 1, 2 * largest + 1), dtype=np.int64)
    slots[0, largest] = SLOTS
    for i, support in enumerate(supports, 1):
        slots[i, support + largest] = _whole(support, _entropy(support, variance))
    return PerturbationTable(largest, variance, blocked, slots)


def _support(count: int, largest: int, blocked: int) -> IntArray:
    noise = np.arange(-min(largest, count), largest + 1)
    allowed: IntArray = noise[(noise == -count) | (noise + count > blocked)]
    return allowed


def _bounds(support: IntArray) -> tuple[float, float]:
    """Least and largest variance of noise on the support without bias, both only reached on one or two values."""
    below, above = support[support <= 0], support[support >= 0]
    return float(-below[-1] * above[0]), float(-below[0] * above[-1])


def _entropy(support: IntArray, variance: float) -> FloatArray:
    """Probabilities exp(a v + b v²) of mean 0 and the variance: the minimum of a convex function of (a, b)."""
    facts = np.stack([support, np.square(support) - variance]).astype(np.float64)
    at: FloatArray = np.zeros(2)
    share: FloatArray = np.full(support.size, 1 / support.size)

    def level(point: FloatArray) -> float:
        power = point @ facts
        return float(power.max() + np.log(np.exp(power - power.max()).sum()))

    def bound(now: float, fall: float) -> float:
        return now + 1e-4 * fall + ROUNDING * max(1.0, abs(now))

    for _ in range(200):
        power = at @ facts
        share = np.exp(power - power.max())
        share /= share.sum()
        slope = facts @ share
        if np.abs(slope).max() < CLOSE:
            break
        curve = (facts * share) @ facts.T - np.outer(slope, slope)
        step, length, now = np.linalg.solve(curve, -slope), 1.0, level(at)
        while level(at + length * step) > bound(now, length * float(slope @ step)):
            length /= 2
        at = at + length * step
    else:
        raise ProblemError(f"方差过于接近界限 / no convergence for variance {variance:g}; choose one further inside")
    return share


def _whole(support: IntArray, share: FloatArray) -> IntArray:
    """Whole slots with the sum 2^32 and a mean of exactly 0; the rest of rounding goes to two neighbouring values."""
    slots = np.rint(share * SLOTS).astype(np.int64)
    pairs = np.flatnonzero(np.diff(support) == 1)
    at = int(pairs[np.argmax(np.minimum(slots[pairs], slots[pairs + 1]))])
    rest, bias = SLOTS - int(slots.sum()), -int(support @ slots)
    upper = bias - int(support[at]) * rest
    slots[at] += rest - upper
    slots[at + 1] += upper
    if slots.min() < 0:
        raise ProblemError("方差过于接近界限 / the variance is too close to its bounds; choose one further inside")
    return slots
