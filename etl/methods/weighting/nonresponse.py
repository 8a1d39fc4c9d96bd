"""Adjustment of weights for unit non-response within response homogeneity groups."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from etl.methods.registry import method

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Outcome = Literal["respondent", "nonrespondent", "ineligible", "unknown"]
OUTCOMES: tuple[Outcome, ...] = ("respondent", "nonrespondent", "ineligible", "unknown")


@dataclass(frozen=True)
class NonresponseAdjustment:
    """``weight`` shape ``(n,)``: 0 for non-respondents, adjusted for respondents and ineligible units.

    ``factor`` of each unit's group, ``level`` of the grouping used (0 the finest), ``respondents`` behind the factor.
    """

    weight: FloatArray
    factor: FloatArray
    level: IntArray
    respondents: IntArray


@method("weighting.nonresponse")
def nonresponse_adjustment(
    weight: FloatArray,
    outcome: Sequence[Outcome],
    groups: Sequence[Sequence[str]],
    *,
    min_respondents: int = 10,
    max_factor: float = 3.0,
) -> NonresponseAdjustment:
    r"""Weights of respondents lifted for those who did not answer, in response homogeneity groups (RHG).

    Two steps in each group :math:`c`: units of unknown eligibility are shared out over all known ones, then eligible
    non-respondents over respondents:

    .. math:: \phi_c = \frac{\sum_{s} d}{\sum_{\text{known}} d} \qquad
              \psi_c = \frac{\sum_{\text{resp}} d + \sum_{\text{nonresp}} d}{\sum_{\text{resp}} d}

    Ineligible units (dead, out of scope) keep :math:`d \phi_c`, respondents get :math:`d \phi_c \psi_c`; the sum of
    weights stays what it was in every group.

    Parameters
    ----------
    weight
        Shape ``(n,)``: design weights of all asked units.
    outcome
        One of ``respondent, nonrespondent, ineligible, unknown`` for each.
    groups
        Groupings from the finest to the coarsest, each of length ``n``: a group goes to the next one while it has fewer
        than ``min_respondents`` or a factor above ``max_factor``. A coarser group is adjusted as a whole, with all
        its units that are still open.

    Raises
    ------
    ValueError
        If lengths differ, an outcome is unknown to the method, or the coarsest group is too thin as well.
    """
    d, kinds = np.asarray(weight, dtype=np.float64), np.asarray(outcome, dtype=str)
    n = d.size
    if kinds.shape != (n,) or not groups or any(len(level) != n for level in groups):
        raise ValueError(
            f"weights, outcomes and every grouping need the same length ({n}) and there has to be one grouping"
        )
    strange = sorted(set(kinds.tolist()) - set(OUTCOMES))
    if strange:
        raise ValueError(f"outcome {strange[0]!r} is not one of {', '.join(OUTCOMES)}")
    if not (d > 0).all():
        raise ValueError("design weights have to be known and positive")
    out, factor = np.zeros(n), np.full(n, np.nan)
    level_used, behind = np.full(n, -1, dtype=np.int64), np.zeros(n, dtype=np.int64)
    for level, labels in enumerate(groups):
        rows = np.flatnonzero(level_used < 0)
        if not rows.size:
            break
        _, code = np.unique(np.asarray(labels, dtype=str)[rows], return_inverse=True)
        phi, psi, number = _factors(d[rows], kinds[rows], code)
        good = (number >= min_respondents) & (phi * psi <= max_factor)
        take = rows[good[code]]
        c = code[good[code]]
        kind = kinds[take]
        out[take] = d[take] * phi[c] * np.where(kind == "respondent", psi[c], np.where(kind == "ineligible", 1.0, 0.0))
        factor[take], level_used[take], behind[take] = (phi * psi)[c], level, number[c]
    if (level_used < 0).any():
        raise ValueError(
            f"{int((level_used < 0).sum())} units are in groups with fewer than {min_respondents} respondents or a factor "
            f"above {max_factor} even at the coarsest grouping; add a coarser one, or chase the returns"
        )
    return NonresponseAdjustment(out, factor, level_used, behind)


def _factors(d: FloatArray, kinds: NDArray[np.str_], code: IntArray) -> tuple[FloatArray, FloatArray, IntArray]:
    """phi, psi and the number of respondents of each group; infinite where nobody answered."""
    groups = int(code.max()) + 1
    sums = {kind: np.bincount(code, weights=d * (kinds == kind), minlength=groups) for kind in OUTCOMES}
    settled = sums["respondent"] + sums["nonrespondent"] + sums["ineligible"]
    asked = sums["respondent"] + sums["nonrespondent"]
    infinite = np.full(groups, np.inf)
    phi = np.divide(settled + sums["unknown"], settled, out=infinite.copy(), where=settled > 0)
    psi = np.divide(asked, sums["respondent"], out=infinite, where=sums["respondent"] > 0)
    number = np.bincount(code, weights=kinds == "respondent", minlength=groups).astype(np.int64)
    return phi, psi, number
