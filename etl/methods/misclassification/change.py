"""Change between two periods whose counts rest on the same gold sample."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from etl.methods.misclassification.result import Adjusted, interval
from etl.methods.registry import method


@dataclass(frozen=True)
class Change:
    """Difference (units of the figures) and growth (0.05 is +5 %), plain and adjusted, with intervals of the adjusted.

    ``growth`` and its interval are ``nan`` where the earlier figure is 0, or can be 0 within the draws. ``shared`` says
    whether the two figures rest on the same draws of the error rates.
    """

    plain_difference: float
    difference: float
    difference_interval: tuple[float, float]
    plain_growth: float
    growth: float
    growth_interval: tuple[float, float]
    shared: bool
    reliable: bool


@method("misclassification.change")
def change(
    before: Adjusted,
    after: Adjusted,
    classes: Sequence[int] | None = None,
    districts: Sequence[int] | None = None,
) -> Change:
    """Change of a sum of cells between two periods, draw by draw.

    With one gold sample the error rates are the same draws in both periods, so that their errors cancel as far as they
    are common: the interval of the change is much narrower than two separate intervals suggest. An undetected shift
    biases a change more than a level (Scholtus & van Delden 2020); where an industry grows, let ``after`` rest on the
    misclassification estimator.

    Parameters
    ----------
    before, after
        Results of ``adjusted_counts`` (or totals) for the two periods; different gold samples need different seeds.
    classes, districts
        The cells summed, as in :meth:`Adjusted.estimate`.

    Raises
    ------
    ValueError
        If numbers of draws or levels differ, or different gold samples were drawn with one seed (their errors would
        seem to cancel).
    """
    if len(before.draws) != len(after.draws) or before.level != after.level:
        raise ValueError("change: both figures need the same number of draws and the same level")
    shared = before.source == after.source
    if not shared and before.source.rpartition("/")[2] == after.source.rpartition("/")[2]:
        raise ValueError("change: different gold samples with one seed look correlated; give one of them another seed")
    first, second = before.estimate(classes, districts), after.estimate(classes, districts)
    old, new = before.sum_draws(classes, districts), after.sum_draws(classes, districts)
    difference = second.adjusted - first.adjusted
    growth, bounds = math.nan, (math.nan, math.nan)
    if first.adjusted > 0 and old.min() > 0:
        growth = second.adjusted / first.adjusted - 1
        bounds = interval(new / old - 1, growth, before.level)
    return Change(
        plain_difference=second.plain - first.plain,
        difference=difference,
        difference_interval=interval(np.asarray(new - old), difference, before.level),
        plain_growth=second.plain / first.plain - 1 if first.plain > 0 else math.nan,
        growth=growth,
        growth_interval=bounds,
        shared=shared,
        reliable=before.reliable and after.reliable,
    )
