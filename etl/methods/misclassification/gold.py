"""The gold sample: how many units of each stratum to check, and what the checked units turned out to be."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from etl.methods.registry import method

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

#: Planning rates are kept this far from 0 and 1: a stratum believed to be pure still gets gold units.
RATE_FLOOR = 1e-4


@dataclass(frozen=True)
class GoldDesign:
    """Sizes of the gold sample by stratum.

    ``size`` shape ``(H,)``; ``inclusion`` shape ``(H,)``, the probability with which a unit of the stratum is drawn
    (store it with each gold unit); ``expected_cases``, AI units to be expected in the gold of the strata predicted
    not AI; ``reliable``, whether these reach the minimum: if not, intervals are published as unreliable.
    """

    size: IntArray
    inclusion: FloatArray
    expected_cases: float
    reliable: bool


@dataclass(frozen=True)
class Gold:
    """What the gold sample found.

    Parameters
    ----------
    counts
        Shape ``(H, K)``: gold units of stratum ``h`` whose true class is ``k``; the last class is "none" (not AI).
    frame
        Shape ``(H,)``: units of each stratum in the frame from which the gold sample was drawn.
    predicted
        Shape ``(H,)``: the predicted class of the units of each stratum (a stratum lies within one predicted class).
    age
        Periods since the gold was drawn; 0 is the current period.
    expected_cases
        ``GoldDesign.expected_cases``; ``None`` takes the number of cases found instead.

    Raises
    ------
    ValueError
        If shapes disagree, counts are negative or exceed the frame, or a stratum with units has no gold unit.
    """

    counts: IntArray
    frame: IntArray
    predicted: IntArray
    age: int = 0
    expected_cases: float | None = None

    def __post_init__(self) -> None:
        strata, classes = self.counts.shape
        if classes < 2 or self.frame.shape != (strata,) or self.predicted.shape != (strata,):
            raise ValueError(
                f"gold: counts {self.counts.shape}, frame {self.frame.shape}, predicted {self.predicted.shape}; "
                "expected (H, K) with K >= 2, (H,) and (H,)"
            )
        if self.predicted.min() < 0 or self.predicted.max() >= classes or self.age < 0:
            raise ValueError(f"gold: predicted classes must lie in 0..{classes - 1} and age must not be negative")
        if (self.counts < 0).any() or (self.size > self.frame).any():
            raise ValueError("gold: counts are negative or exceed the units of their stratum; check the strata labels")
        require_gold(self.size, self.frame, "the frame of the gold sample")

    @property
    def size(self) -> IntArray:
        """Gold units by stratum, shape ``(H,)``."""
        return np.asarray(self.counts.sum(axis=1), dtype=np.int64)

    @property
    def classes(self) -> int:
        """Number of classes, "none" included."""
        return int(self.counts.shape[1])

    @property
    def not_ai(self) -> BoolArray:
        """Shape ``(H,)``: strata whose predicted class is "none"."""
        return np.asarray(self.predicted == self.classes - 1)

    @property
    def found_cases(self) -> int:
        """AI units found by gold in the strata predicted not AI."""
        return int(self.counts[self.not_ai, :-1].sum())


def require_gold(size: IntArray, units: IntArray, where: str) -> None:
    """Refuse strata that hold units but no gold: their error rates are unknown, not zero.

    Raises
    ------
    ValueError
        Naming the strata.
    """
    empty = np.flatnonzero((size == 0) & (units > 0))
    if empty.size:
        raise ValueError(
            f"strata {empty.tolist()} hold units in {where} but no gold unit; expected at least one each: "
            "join them to the neighbouring band of the same predicted class or draw gold there"
        )


def tally(stratum: IntArray, truth: IntArray, strata: int, classes: int) -> IntArray:
    """Gold units by stratum and true class, shape ``(strata, classes)``; unit arrays of shape ``(n,)``, any order."""
    flat = np.bincount(stratum * classes + truth, minlength=strata * classes)
    return flat.reshape(strata, classes).astype(np.int64)


def _fill(weight: FloatArray, total: float, low: FloatArray, high: FloatArray) -> FloatArray:
    """Amounts proportional to ``weight`` within ``low`` and ``high`` that add to ``total`` (bisection on the factor)."""
    bottom, top = 0.0, float((high / weight).max())
    for _ in range(100):
        middle = (bottom + top) / 2
        if np.clip(middle * weight, low, high).sum() < total:
            bottom = middle
        else:
            top = middle
    return np.asarray(np.clip(top * weight, low, high))


def _rounded(amount: FloatArray, total: int, high: FloatArray) -> IntArray:
    """Whole numbers near ``amount`` that add to ``total``: largest remainders, ties to the earlier stratum."""
    whole = np.floor(amount + 1e-9)
    order = np.argsort(-(amount - whole), kind="stable")
    for h in [h for h in order if whole[h] < high[h]][: int(total - whole.sum())]:
        whole[h] += 1
    return whole.astype(np.int64)


@method("misclassification.allocate_gold")
def allocate_gold(
    units: IntArray,
    rate: FloatArray,
    n: int,
    not_ai: BoolArray,
    *,
    min_cases: float = 10.0,
    minimum: int = 20,
) -> GoldDesign:
    r"""Gold units by stratum: smallest variance of the calibrated count with enough cases where AI is rare.

    Minimises :math:`\sum_h N_h^2 p_h (1 - p_h) / n_h` given :math:`\sum_h n_h = n` and
    :math:`\sum_{h \in \text{not AI}} n_h p_h \ge c`, whose solution is

    .. math:: n_h \propto N_h \sqrt{p_h (1 - p_h)} \Big/ \sqrt{1 - \mu p_h [h \in \text{not AI}]}

    with :math:`\mu = 0` (Neyman) where the second condition holds anyway.

    Parameters
    ----------
    units
        Shape ``(H,)``, units of each stratum.
    rate
        Shape ``(H,)``, expected share of units that are AI (mean calibrated probability, or the last gold).
    n
        Gold units in all.
    not_ai
        Shape ``(H,)``, strata predicted not AI.
    min_cases
        AI cases to be expected in the gold of those strata together.
    minimum
        Fewest gold units of a stratum (all of it where it is smaller).

    Returns
    -------
    GoldDesign
        Where no allocation of ``n`` reaches ``min_cases``, the Neyman allocation with ``reliable`` false.

    Raises
    ------
    ValueError
        If shapes differ, a rate lies outside [0, 1], or ``n`` cannot give every stratum its minimum.
    """
    if not (units.shape == rate.shape == not_ai.shape) or ((rate < 0) | (rate > 1)).any():
        raise ValueError("allocate_gold: units, rate and not_ai need one shape (H,), rates within [0, 1]")
    high = units.astype(np.float64)
    low = np.minimum(high, minimum)
    if not low.sum() <= n <= high.sum():
        raise ValueError(
            f"allocate_gold: n = {n}; expected between {low.sum():.0f} (minimum of each stratum) and "
            f"{high.sum():.0f} (all units): change n or join strata"
        )
    planned = np.clip(rate, RATE_FLOOR, 1 - RATE_FLOOR)
    neyman = np.maximum(high, 1e-9) * np.sqrt(planned * (1 - planned))
    cases = np.where(not_ai, rate, 0.0)

    def amounts(mu: float) -> FloatArray:
        return _fill(neyman / np.sqrt(1 - mu * cases), float(n), low, high)

    chosen = amounts(0.0)
    steepest = (1 - 1e-9) / max(float(cases.max(initial=0.0)), RATE_FLOOR)
    if cases @ chosen < min_cases <= cases @ amounts(steepest):
        bottom, top = 0.0, steepest
        for _ in range(60):
            middle = (bottom + top) / 2
            bottom, top = (middle, top) if cases @ amounts(middle) < min_cases else (bottom, middle)
        chosen = amounts(top)
    size = _rounded(chosen, n, high)
    expected = float(cases @ size)
    if cases @ chosen >= min_cases > expected:
        size = _keep_cases(size, cases, low, high, min_cases)
        expected = float(cases @ size)
    return GoldDesign(size, size / np.maximum(high, 1.0), expected, expected >= min_cases)


def _keep_cases(size: IntArray, cases: FloatArray, low: FloatArray, high: FloatArray, least: float) -> IntArray:
    """Undo what rounding took from the expected cases: single units move to the stratum richest in them."""
    moved = size.copy()
    while cases @ moved < least:
        receivers = np.flatnonzero((moved < high) & (cases > 0))
        if not receivers.size:
            break
        to = receivers[np.argmax(cases[receivers])]
        givers = np.flatnonzero((moved > low) & (cases < cases[to]))
        if not givers.size:
            break
        moved[givers[np.argmax(moved[givers])]] -= 1
        moved[to] += 1
    return moved
