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

    ``factor`` of each unit's group, ``level`` of the grouping used (0 the finest), ``respondents`` behind the factor;
    ``group`` numbers the groups that were used, from 0.
    """

    weight: FloatArray
    factor: FloatArray
    level: IntArray
    respondents: IntArray
    group: IntArray


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
        Groupings from the finest to the coarsest, each of length ``n``, each nested in the next: where a group has
        fewer than ``min_respondents`` or a factor above ``max_factor``, the coarser group it lies in is adjusted as a
        whole instead.

    Raises
    ------
    ValueError
        If lengths differ, groupings are not nested, an outcome is unknown, or the coarsest group is too thin as well.
    """
    d, kinds = np.asarray(weight, dtype=np.float64), np.asarray(outcome, dtype=str)
    n = d.size
    _check(d, kinds, groups)
    out, factor = np.zeros(n), np.full(n, np.nan)
    level_used, behind, used = np.full(n, -1, dtype=np.int64), np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    thin = np.ones(n, dtype=bool)
    finer: IntArray | None = None
    for level, labels in enumerate(groups):
        _, code = np.unique(np.asarray(labels, dtype=str), return_inverse=True)
        if finer is not None:
            _check_nested(finer, code, level)
        finer = code.astype(np.int64)
        phi, psi, number = _factors(d, kinds, code)
        good = (number >= min_respondents) & (phi * psi <= max_factor)
        # a group is adjusted at this level where any unit of it is still open
        touched = (np.bincount(code, weights=thin) > 0)[code]
        c, kind = code[touched], kinds[touched]
        lift = np.where(kind == "respondent", psi[c], np.where(kind == "ineligible", 1.0, 0.0))
        out[touched] = d[touched] * np.where(lift > 0, phi[c] * lift, 0.0)
        factor[touched], level_used[touched], behind[touched] = (phi * psi)[c], level, number[c]
        used[touched] = c + level * n
        thin = touched & ~good[code]
        if not thin.any():
            number_of = np.unique(used, return_inverse=True)[1].astype(np.int64)
            return NonresponseAdjustment(out, factor, level_used, behind, number_of)
    raise ValueError(
        f"{int(thin.sum())} units are in groups with fewer than {min_respondents} respondents or a factor "
        f"above {max_factor} even at the coarsest grouping; add a coarser one, or chase the returns"
    )


def _check(d: FloatArray, kinds: NDArray[np.str_], groups: Sequence[Sequence[str]]) -> None:
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


def _check_nested(finer: IntArray, coarser: IntArray, level: int) -> None:
    first = np.zeros(int(finer.max()) + 1, dtype=np.int64)
    first[finer] = coarser
    if (first[finer] != coarser).any():
        raise ValueError(
            f"grouping {level} cuts through groups of grouping {level - 1}; each has to be nested in the next"
        )


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
