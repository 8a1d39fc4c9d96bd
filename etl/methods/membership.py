"""Membership of the AI industry by rule R30, and its sensitivity to the threshold."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from etl.methods.registry import method
from etl.methods.stratum import ratio_by_strata

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
R30: Final = 0.30
THRESHOLDS: Final = (0.10, 0.30, 0.50)
CONFIRMED, IMPUTED, UNKNOWN = "confirmed", "imputed", "unknown"


@dataclass(frozen=True)
class Membership:
    """``value`` shape ``(n,)``: 0 or 1 where a signed return decides, a probability where a stratum's rate stands in,
    ``nan`` where nothing is known; ``status`` shape ``(n,)``: confirmed | imputed | unknown.
    """

    value: FloatArray
    status: NDArray[np.str_]


@dataclass(frozen=True)
class ThresholdCount:
    """Members at one threshold: ``confirmed`` by returns + ``imputed`` for the rest; ``unknown`` units are in neither.

    ``lower`` and ``upper`` limit the sum (equal-tailed, about the imputed part alone).
    """

    threshold: float
    confirmed: int
    imputed: float
    lower: float
    upper: float
    unknown: int

    @property
    def total(self) -> float:
        """The published count: confirmed + imputed."""
        return self.confirmed + self.imputed


def _checked(threshold: float) -> float:
    if not 0.0 < threshold <= 1.0:
        raise ValueError(f"threshold {threshold}: expected a share above 0 and at most 1, such as 0.30")
    return threshold


@method("membership.rule")
def membership(signed_share: FloatArray, rate: FloatArray, *, threshold: float = R30) -> Membership:
    """Apply the rule: a member's AI revenue is at least ``threshold`` of its main-business revenue.

    Parameters
    ----------
    signed_share
        Shape ``(n,)``; AI share of a signed return, ``nan`` where none was signed. Only this confirms, either way.
    rate
        Shape ``(n,)``; rate of members among the respondents a unit resembles (text models may shape it), ``nan``
        where none can be given. Used where no return is there; it never confirms.
    threshold
        .30 is the rule in force; .10 and .50 show how much hangs on it.

    Raises
    ------
    ValueError
        For a threshold outside (0, 1], a share or rate outside [0, 1], or unequal lengths.
    """
    _checked(threshold)
    for name, values in (("signed_share", signed_share), ("rate", rate)):
        if values.shape != signed_share.shape or bool(((values < 0) | (values > 1)).any()):
            raise ValueError(f"{name}: expected {signed_share.shape[0]} values within 0 and 1 (nan where not known)")
    signed = ~np.isnan(signed_share)
    value = np.where(signed, (signed_share >= threshold).astype(np.float64), rate)
    status = np.where(signed, CONFIRMED, np.where(np.isnan(value), UNKNOWN, IMPUTED))
    return Membership(value, status)


def membership_rate(
    signed_share: FloatArray, strata: Sequence[Sequence[str]], *, threshold: float = R30, min_respondents: int = 10
) -> FloatArray:
    """Rate of members among respondents of the finest stratum that holds enough, shape ``(n,)``; never rises with the threshold."""
    above = np.where(np.isnan(signed_share), np.nan, (signed_share >= _checked(threshold)).astype(np.float64))
    return ratio_by_strata(above, np.ones_like(above), strata, min_respondents=min_respondents).ratio


def _imputed_draws(
    above: FloatArray, counted: BoolArray, strata: Sequence[Sequence[str]], min_respondents: int, draws: int, seed: int
) -> FloatArray:
    """Members among units without a return, shape ``(draws,)``: Beta(½, ½) posterior of each rate, then the units themselves."""
    found = ratio_by_strata(above, np.ones_like(above), strata, min_respondents=min_respondents)
    random = np.random.default_rng(seed)
    total = np.zeros(draws)
    missing = counted & np.isnan(above) & (found.level >= 0)
    for level, labels in enumerate(strata):
        here = np.flatnonzero(missing & (found.level == level))
        names = np.asarray(labels)[here]
        for label in np.unique(names):
            units = here[names == label]
            n = int(found.respondents[units[0]])
            k = round(float(found.ratio[units[0]]) * n)
            total += random.binomial(units.size, random.beta(k + 0.5, n - k + 0.5, draws))
    return total


@method("membership.sensitivity")
def sensitivity(
    signed_share: FloatArray,
    strata: Sequence[Sequence[str]],
    *,
    counted: BoolArray | None = None,
    thresholds: Sequence[float] = THRESHOLDS,
    min_respondents: int = 10,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 20221101,
) -> tuple[ThresholdCount, ...]:
    r"""Members at each threshold, with an interval about the imputed part.

    Units without a return count by the rate of their stratum (:func:`membership_rate`). Its uncertainty is drawn:
    :math:`\theta_h \sim \mathrm{Beta}(k_h + \tfrac12, n_h - k_h + \tfrac12)`, then
    :math:`\mathrm{Bin}(m_h, \theta_h)` members among the :math:`m_h` units; valid with no member, or none but members,
    among the respondents. The interval holds the estimate and stays within confirmed and confirmed + imputed units.

    Parameters
    ----------
    signed_share
        Shape ``(n,)`` as in :func:`membership`.
    strata
        Labels from the finest to the coarsest stratification, each of length ``n``.
    counted
        Shape ``(n,)``; the units to count (one year, say). All respondents inform the rates. Left out: all units.

    Returns
    -------
    tuple
        One count per threshold, in ascending order of threshold; never rising.
    """
    signed = ~np.isnan(signed_share)
    here = np.ones_like(signed) if counted is None else counted
    result = []
    for threshold in sorted(thresholds):
        rate = membership_rate(signed_share, strata, threshold=threshold, min_respondents=min_respondents)
        found = membership(signed_share, rate, threshold=threshold)
        confirmed = int(found.value[here & signed].sum())
        imputed = float(np.nansum(found.value[here & ~signed]))
        above = np.where(signed, found.value, np.nan)
        drawn = confirmed + _imputed_draws(above, here, strata, min_respondents, draws, seed)
        low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
        point = confirmed + imputed
        unknown = int((here & (found.status == UNKNOWN)).sum())
        limits = min(float(low), point), max(float(high), point)
        result.append(ThresholdCount(threshold, confirmed, imputed, *limits, unknown))
    return tuple(result)
