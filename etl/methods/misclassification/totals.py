"""Totals (turnover, employment) corrected for misclassification: ratio to a size known for every unit."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from etl.methods.misclassification import rates as rt
from etl.methods.misclassification.gold import Gold
from etl.methods.misclassification.result import Adjusted
from etl.methods.registry import method

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class GoldSizes:
    """Sizes of the gold units: ``sums`` shape ``(H, K)`` by stratum and true class, ``squares`` shape ``(H,)``."""

    sums: FloatArray
    squares: FloatArray


def tally_sizes(stratum: IntArray, truth: IntArray, size: FloatArray, strata: int, classes: int) -> GoldSizes:
    """Sums of sizes of gold units; arrays of shape ``(n,)``, any order, sizes not negative.

    Raises
    ------
    ValueError
        If a size is negative or missing: a unit of unknown size has no ratio (impute before).
    """
    if not (size >= 0).all():
        raise ValueError("tally_sizes: sizes have to be known and not negative; impute missing sizes before")
    flat = np.bincount(stratum * classes + truth, weights=size, minlength=strata * classes)
    squares = np.bincount(stratum, weights=size**2, minlength=strata)
    return GoldSizes(flat.reshape(strata, classes).astype(np.float64), squares.astype(np.float64))


@method("misclassification.totals")
def adjusted_totals(
    counts: Adjusted,
    gold: Gold,
    sizes: GoldSizes,
    now: FloatArray,
    now_squares: FloatArray,
    *,
    known: FloatArray | None = None,
    known_squares: FloatArray | None = None,
    seed: int = 0,
) -> Adjusted:
    r"""Total size by true class and district, in the unit of the sizes.

    .. math:: \hat T_{kd} = \sum_h X_{hd}\, \hat r_{hk}, \qquad
              \hat r_{hk} = \sum_{i \in G_h, y_i = k} x_i \Big/ \sum_{i \in G_h} x_i

    Draws of the ratios are those of counts, with the effective number of gold units :math:`(\sum x)^2 / \sum x^2`; the units
    of a cell are drawn as many times as their own effective number. Under the misclassification estimator the ratios
    are moved by the class shares now over then (``counts.odds``), sizes within stratum and class being as before.

    Parameters
    ----------
    counts
        Result of :func:`~etl.methods.misclassification.counts.adjusted_counts` by leaf: estimator, level, number of draws.
    gold, sizes
        The gold sample and the sizes of its units.
    now, now_squares
        Shape ``(H,)`` or ``(H, D)``: sums of size and of squared size over the units of the current frame.
    known, known_squares
        Shape ``(H, K, D)`` and ``(H, D)``: the same sums over units of this frame whose truth is known (gold of this
        frame), ``known`` by true class; used by the calibration estimator, as for counts.
    seed
        Of the draws. Totals share no draws with counts: a ratio of the two has no interval from here.

    Raises
    ------
    ValueError
        If shapes disagree, the counts were rolled up, or a stratum with size has gold of total size 0.
    """
    x, x2 = (a[:, None] if a.ndim == 1 else a for a in (now, now_squares))
    strata, classes = gold.counts.shape
    if (
        x.shape != x2.shape
        or sizes.sums.shape != (strata, classes)
        or len(x) != strata
        or counts.odds.shape != (classes,)
    ):
        raise ValueError(
            f"adjusted_totals: sums {x.shape}, squares {x2.shape}, gold sizes {sizes.sums.shape}, odds {counts.odds.shape}; "
            f"expected {strata} strata, {classes} classes and counts by leaf (before roll_up)"
        )
    total = sizes.sums.sum(axis=1)
    if ((total <= 0) & (x.sum(axis=1) > 0)).any():
        raise ValueError(
            "adjusted_totals: a stratum has units of positive size but none in gold; join it to its neighbour"
        )
    ratio = np.divide(sizes.sums, total[:, None], out=np.zeros_like(sizes.sums), where=total[:, None] > 0)
    effective = np.divide(total**2, sizes.squares, out=np.zeros_like(total), where=sizes.squares > 0)
    draws = len(counts.draws)
    ratio_rng, unit_rng = (np.random.default_rng([seed, stream]) for stream in (2, 3))
    theta = rt.rate_draws(effective[:, None] * ratio, gold.predicted, draws, ratio_rng)
    theta = rt.rates_now(theta, counts.odds_draws)
    point = rt.rates_now(ratio[None], counts.odds[None])[0]
    held = np.zeros((strata, classes, x.shape[1]))
    rest, rest2 = x, x2
    if known is not None and known_squares is not None and counts.estimator == "calibration":
        held, rest, rest2 = known, x - known.sum(axis=1), x2 - known_squares
        if rest.min() < -1e-6 * max(x.max(), 1.0):
            raise ValueError(
                "adjusted_totals: known sizes exceed the sizes of their cell; known has to come from this frame"
            )
        rest, rest2 = np.maximum(rest, 0.0), np.maximum(rest2, 0.0)
    member = (np.arange(classes)[:, None] == gold.predicted[None, :]).astype(np.float64)
    return replace(
        counts,
        plain=member @ x,
        adjusted=held.sum(axis=0) + np.einsum("hk,hd->kd", point, rest),
        draws=held.sum(axis=0) + _size_draws(theta, rest, rest2, unit_rng),
        source=f"{counts.source}/size/{seed}",
    )


def _size_draws(theta: FloatArray, x: FloatArray, x2: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Size by class of each cell, drawn with the drawn ratios of its stratum: ``(B, K, D)``."""
    draws, strata, classes = theta.shape
    effective = np.divide(x**2, x2, out=np.zeros_like(x), where=x2 > 0)
    number = np.maximum(np.rint(effective), 1).astype(np.int64)
    total = np.zeros((draws, classes, x.shape[1]))
    for h in range(strata):
        drawn = rng.multinomial(number[h][None, :], theta[:, h, None, :]).transpose(0, 2, 1)
        total += drawn * (x[h] / number[h])
    return total
