"""AI share of a unit: the best rung of the evidence ladder, its interval, and the interval of the total it leads to."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from etl.methods.registry import method
from etl.methods.stratum import StratumRatio, ratio_by_strata

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Strata = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Evidence:
    """What one rung of the ladder says: ``share``, ``lower``, ``upper`` of shape ``(n,)``, ``nan`` where it says nothing."""

    rung: int
    share: FloatArray
    lower: FloatArray
    upper: FloatArray


@dataclass(frozen=True)
class Shares:
    """The best evidence of each unit: all of shape ``(n,)``. Units on the last rung have share 0 and interval [0, 1]."""

    rung: IntArray
    share: FloatArray
    lower: FloatArray
    upper: FloatArray


@dataclass(frozen=True)
class ImputedTotal:
    """Total of units without an answer: ``estimate`` and the equal-tailed interval [``lower``, ``upper``] that holds it."""

    estimate: float
    lower: float
    upper: float


@method("share.rounding")
def rounded_share(part: FloatArray, whole: FloatArray, *, half_unit: float, rung: int = 1) -> Evidence:
    """Share reported in a form that rounds amounts: the point, and what rounding by ``half_unit`` leaves open.

    ``part`` and ``whole`` of shape ``(n,)`` in one unit, ``nan`` where not answered; a ``whole`` that is not positive
    gives no share. A part that exceeds the whole within the form's tolerance gives 1.
    """
    known = ~np.isnan(part) & (whole > 0)
    share, lower, upper = (np.full(part.shape, np.nan) for _ in range(3))
    y, x = part[known], whole[known]
    share[known] = np.clip(y / x, 0.0, 1.0)
    lower[known] = np.minimum(np.clip((y - half_unit) / (x + half_unit), 0.0, 1.0), share[known])
    smallest = np.maximum(x - half_unit, np.finfo(np.float64).tiny)
    upper[known] = np.maximum(np.clip((y + half_unit) / smallest, 0.0, 1.0), share[known])
    return Evidence(rung, share, lower, upper)


@method("share.prediction_interval")
def prediction_interval(values: FloatArray, *, level: float = 0.95) -> tuple[float, float]:
    r"""Interval that holds the share of one more unit of the same stratum, without assuming any distribution.

    With :math:`n` exchangeable shares sorted, the next one lies below the :math:`k`-th with probability at most
    :math:`k / (n + 1)`. So :math:`k = \lfloor \tfrac{1 - \text{level}}{2} (n + 1) \rfloor` from each side; where that is
    0 (fewer than 39 respondents at 95 %) the bounds of a share, 0 and 1, stand in. Never covers less than ``level``.
    """
    ordered = np.sort(values)
    k = int(np.floor((1 - level) / 2 * (ordered.size + 1) + 1e-9))
    if k == 0:
        return 0.0, 1.0
    return float(ordered[k - 1]), float(ordered[ordered.size - k])


@method("share.stratum")
def stratum_share(
    part: FloatArray, whole: FloatArray, strata: Strata, *, rung: int, min_respondents: int = 10, level: float = 0.95
) -> Evidence:
    """Share of the respondents a unit resembles: ratio of totals, and the interval a single unit's share falls in.

    Parameters
    ----------
    part, whole
        Shape ``(n,)``, ``nan`` for units without an answer.
    strata
        Labels from the finest to the coarsest stratification; see :func:`etl.methods.stratum.ratio_by_strata`.
    """
    found = ratio_by_strata(part, whole, strata, min_respondents=min_respondents)
    lower, upper = np.full(part.shape, np.nan), np.full(part.shape, np.nan)
    own = np.where(whole > 0, part / np.where(whole > 0, whole, np.nan), np.nan)
    for units, donors in _groups(found, part, whole, strata):
        low, high = prediction_interval(np.clip(own[donors], 0.0, 1.0), level=level)
        ratio = float(found.ratio[units[0]])
        lower[units], upper[units] = min(low, ratio), max(high, ratio)
    return Evidence(rung, found.ratio, lower, upper)


def _groups(
    found: StratumRatio, part: FloatArray, whole: FloatArray, strata: Strata, only: NDArray[np.bool_] | None = None
) -> list[tuple[IntArray, IntArray]]:
    """For each stratum in use: the units that use it, and the respondents (positive ``whole``) in it."""
    answered = ~np.isnan(part) & (whole > 0)
    groups = []
    for level, labels in enumerate(strata):
        using = (found.level == level) if only is None else (found.level == level) & only
        if not using.any():
            continue
        code = np.unique(np.asarray(labels, dtype=str), return_inverse=True)[1]
        donors = _by_code(code, answered)
        groups += [(users, donors[label]) for label, users in _by_code(code, using).items()]
    return groups


def _by_code(code: IntArray, chosen: NDArray[np.bool_]) -> dict[int, IntArray]:
    """Places of the chosen units by their code, codes ascending, places ascending."""
    at = np.flatnonzero(chosen)
    order = at[np.argsort(code[at], kind="stable")]
    names, starts = np.unique(code[order], return_index=True)
    return dict(zip(names.tolist(), np.split(order, starts[1:]), strict=True)) if names.size else {}


@method("share.ladder")
def best_evidence(candidates: Sequence[Evidence], *, last_rung: int = 7) -> Shares:
    """Take the best available rung of each unit; nothing on any rung puts it on ``last_rung`` with share 0.

    Raises
    ------
    ValueError
        If two candidates share a rung, a rung is not above ``last_rung``, or an interval does not hold its share.
    """
    rungs = [c.rung for c in candidates]
    if len(set(rungs)) != len(rungs) or any(not 1 <= r < last_rung for r in rungs):
        raise ValueError(f"rungs {rungs}: expected distinct whole numbers from 1 to {last_rung - 1}")
    n = candidates[0].share.shape[0]
    rung = np.full(n, last_rung, dtype=np.int64)
    share, lower, upper = np.zeros(n), np.zeros(n), np.ones(n)
    for evidence in sorted(candidates, key=lambda c: -c.rung):
        there = ~np.isnan(evidence.share)
        inside = (evidence.lower <= evidence.share) & (evidence.share <= evidence.upper)
        if not inside[there].all():
            raise ValueError(f"rung {evidence.rung}: an interval does not hold its share")
        rung[there] = evidence.rung
        share[there], lower[there], upper[there] = evidence.share[there], evidence.lower[there], evidence.upper[there]
    return Shares(rung, share, lower, upper)


def ratio_draws(
    part: FloatArray, whole: FloatArray, strata: Strata, targets: NDArray[np.bool_], random: np.random.Generator, *,
    draws: int = 1000, min_respondents: int = 10,
) -> FloatArray:  # fmt: skip
    r"""Ratios the targets might have, shape ``(draws, targets)``; ``nan`` where no stratum has enough respondents.

    Approximate Bayesian bootstrap (Rubin & Schenker 1986) whose expectation is the ratio of totals: in each draw
    :math:`n_h - 1` respondents are drawn from the :math:`n_h` with replacement (one fewer: the variance of the mean is
    then unbiased, Rao & Wu 1988), and each target takes the ratio of one of them, chosen in proportion to ``whole``.
    Few or very unequal respondents know little of their own spread: deviations from the ratio are widened by
    :math:`t_{\nu} / z` (.975 quantiles) with :math:`\nu = (\sum x)^2 / \sum x^2`, the effective number of respondents, at
    least 3. Single draws may therefore leave [0, 1]; they are meant for sums.
    """
    found = ratio_by_strata(part, whole, strata, min_respondents=min_respondents)
    position = np.cumsum(targets) - 1
    result = np.full((draws, int(targets.sum())), np.nan)
    for units, donors in _groups(found, part, whole, strata, targets):
        n = donors.size
        weight = random.multinomial(n - 1, np.full(n, 1 / n), size=draws) * whole[donors]
        edges = np.cumsum(weight / weight.sum(axis=1, keepdims=True), axis=1)
        edges[:, -1] = 1.0
        at = random.random((draws, units.size))
        picked = np.stack([np.searchsorted(e, u, side="right") for e, u in zip(edges, at, strict=True)])
        ratio = float(found.ratio[units[0]])
        effective = max(float(whole[donors].sum() ** 2 / (whole[donors] ** 2).sum()), 3.0)
        wider = float(stdtrit(effective, 0.975) / ndtri(0.975))
        widened = ratio + (part[donors] / whole[donors] - ratio) * wider
        result[:, position[units]] = widened[picked]
    return result


@method("share.total")
def imputed_total(estimate: FloatArray, drawn: FloatArray, *, level: float = 0.95) -> ImputedTotal:
    """Total of imputed units: the sum of their estimates and the quantiles of drawn sums.

    Parameters
    ----------
    estimate
        Shape ``(m,)``, the imputed values in use; ``nan`` values add nothing on either side.
    drawn
        Shape ``(draws, m)``: values the units might have (products of :func:`ratio_draws`).
    """
    point = float(np.nansum(estimate))
    if drawn.shape[1] == 0:
        return ImputedTotal(point, point, point)
    sums = np.nansum(np.where(np.isnan(estimate)[None, :], np.nan, drawn), axis=1)
    low, high = np.quantile(sums, [(1 - level) / 2, (1 + level) / 2])
    return ImputedTotal(point, min(float(low), point), max(float(high), point))
