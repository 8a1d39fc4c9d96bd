"""Quality bands of estimates by coefficient of variation."""

import itertools
from collections.abc import Sequence
from typing import Literal

from etl.methods.registry import method

Band = Literal["A", "B", "C", "D", "E", "F"]
LETTERS: tuple[Band, ...] = ("A", "B", "C", "D", "E", "F")
BOUNDS = (0.05, 0.10, 0.15, 0.25, 0.50)
"""Upper bounds (exclusive) of A to E used in Statistics Canada's business surveys; from the last on F."""


@method("estimation.cv_band")
def cv_band(cv: float | None, bounds: Sequence[float] = BOUNDS) -> Band | None:
    """Letter of a coefficient of variation (a ratio, 0.05 is 5 %); None where there is none (an estimate of 0).

    A excellent 优, B very good 良, C good 较好, D acceptable 可用, E use with caution 慎用, F too unreliable to publish 不宜公布.

    Raises
    ------
    ValueError
        If there are not five ascending bounds or the coefficient is negative.
    """
    if len(bounds) != 5 or any(a >= b for a, b in itertools.pairwise(bounds)) or bounds[0] <= 0:
        raise ValueError(f"bands need five ascending positive bounds, got {list(bounds)}")
    if cv is None:
        return None
    if not cv >= 0:
        raise ValueError(f"a coefficient of variation is not negative, got {cv}")
    return LETTERS[sum(cv >= bound for bound in bounds)]
