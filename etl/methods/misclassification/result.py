"""Adjusted figures by class and district with their draws: any sum of cells has the sum of the draws."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from etl.methods.misclassification.shift import ShiftTest

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Estimator = Literal["calibration", "misclassification"]
Reason = Literal["gold_current", "no_shift", "shift", "gold_expired", "requested"]
Note = Literal["few_cases", "weak_classifier", "class_unseen", "gold_expired", "not_prior_shift"]


@dataclass(frozen=True)
class Estimate:
    """One published figure: ``plain`` (units as predicted), ``adjusted``, its interval, ``cv`` and ``reliable``.

    ``cv`` is the standard deviation of the draws over ``adjusted``, ``nan`` where that is 0.
    """

    plain: float
    adjusted: float
    lower: float
    upper: float
    cv: float
    reliable: bool


@dataclass(frozen=True)
class Adjusted:
    """Plain and adjusted figures by class and district.

    ``plain`` and ``adjusted`` shape ``(K, D)``; ``draws`` shape ``(B, K, D)``; class ``K - 1`` is "none". ``estimator``
    and ``reason`` say what was chosen and why; ``reliable`` is false where ``notes`` hold ``few_cases``,
    ``weak_classifier`` or ``not_prior_shift``. ``odds`` shape ``(K,)`` and ``odds_draws`` shape ``(B, K)``: class
    share now over class share then (ones for the calibration estimator; empty after :meth:`roll_up`). ``source`` identifies gold, seed and number
    of draws: figures with one source share their gold errors draw by draw.
    """

    plain: FloatArray
    adjusted: FloatArray
    draws: FloatArray
    level: float
    estimator: Estimator
    reason: Reason
    notes: tuple[Note, ...]
    shift: ShiftTest
    odds: FloatArray
    odds_draws: FloatArray
    source: str

    @property
    def reliable(self) -> bool:
        """Whether the interval may be published without the mark "unreliable"."""
        return not {"few_cases", "weak_classifier", "not_prior_shift"} & set(self.notes)

    def sum_draws(self, classes: Sequence[int] | None = None, districts: Sequence[int] | None = None) -> FloatArray:
        """Draws, shape ``(B,)``, of the sum over the classes (default: all but "none") and districts (default: all)."""
        return np.asarray(_pick(self.draws, classes, districts).sum(axis=(1, 2)))

    def estimate(self, classes: Sequence[int] | None = None, districts: Sequence[int] | None = None) -> Estimate:
        """Plain and adjusted sum over the classes (default: all but "none") and districts, with its interval."""
        plain = float(_pick(self.plain[None], classes, districts).sum())
        adjusted = float(_pick(self.adjusted[None], classes, districts).sum())
        draws = self.sum_draws(classes, districts)
        lower, upper = interval(draws, adjusted, self.level)
        cv = float(draws.std() / adjusted) if adjusted > 0 else math.nan
        return Estimate(plain, adjusted, lower, upper, cv, self.reliable)

    def roll_up(self, classes: Sequence[int] | None = None, districts: Sequence[int] | None = None) -> "Adjusted":
        """The next level of the hierarchy: ``classes[k]`` is the group of class ``k``, ``districts[d]`` of district ``d``.

        Groups are numbered from 0; "none" has to be alone in the last group of classes. Draws are added, so that every
        figure of the result is the sum of its parts in each draw.

        Raises
        ------
        ValueError
            If a group map has the wrong length or "none" shares its group or is not the last.
        """
        count, areas = self.plain.shape
        upper = _indicator(range(count) if classes is None else classes, count)
        areas_up = _indicator(range(areas) if districts is None else districts, areas)
        if upper[-1, -1] != 1 or upper[-1].sum() != 1:
            raise ValueError('roll_up: "none" (the last class) has to be alone in the last group')
        return replace(
            self,
            plain=upper @ self.plain @ areas_up.T,
            adjusted=upper @ self.adjusted @ areas_up.T,
            draws=upper @ self.draws @ areas_up.T,
            odds=np.empty(0),
            odds_draws=np.empty((len(self.draws), 0)),
        )


def interval(draws: FloatArray, adjusted: float, level: float) -> tuple[float, float]:
    """Equal-tailed interval of the draws, shape ``(B,)``, stretched to hold the point estimate.

    The point estimate lies outside the draws' interval only at the edge of what is possible (no case found).
    """
    tail = (1 - level) / 2
    lower, upper = np.quantile(draws, [tail, 1 - tail])
    return min(float(lower), adjusted), max(float(upper), adjusted)


def _pick(cells: FloatArray, classes: Sequence[int] | None, districts: Sequence[int] | None) -> FloatArray:
    rows = list(range(cells.shape[1] - 1)) if classes is None else list(classes)
    columns = list(range(cells.shape[2])) if districts is None else list(districts)
    return cells[:, rows][:, :, columns]


def _indicator(groups: Sequence[int], length: int) -> FloatArray:
    """Shape ``(groups, length)``: 1 where the part belongs to the group."""
    numbers = np.asarray(list(groups), dtype=np.int64)
    if numbers.shape != (length,) or numbers.min() < 0:
        raise ValueError(
            f"roll_up: expected one group number (0, 1, …) for each of {length} parts, got {numbers.shape}"
        )
    found: FloatArray = (np.arange(numbers.max() + 1)[:, None] == numbers[None, :]).astype(np.float64)
    return found
