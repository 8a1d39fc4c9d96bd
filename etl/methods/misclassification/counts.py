"""Counts corrected for misclassification: the two estimators, the choice between them, the draws."""

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from etl.methods.misclassification import rates as rt
from etl.methods.misclassification.fit import prior_shift_fit
from etl.methods.misclassification.gold import Gold, require_gold
from etl.methods.misclassification.result import Adjusted, Estimator, Note, Reason
from etl.methods.misclassification.shift import ShiftTest, shift_test
from etl.methods.registry import method

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Smallest singular value of the confusion matrix (two classes: about sensitivity + specificity - 1) below which its
#: inverse multiplies errors tenfold and more.
WEAK = 0.1


@dataclass(frozen=True)
class _Rates:
    """Class shares within strata to be applied now: draws ``(B, H, K)`` and point ``(1, H, K)``; odds as in Adjusted."""

    theta: FloatArray
    point: FloatArray
    odds_draws: FloatArray
    odds: FloatArray
    notes: tuple[Note, ...]


@method("misclassification.counts")
def adjusted_counts(
    gold: Gold,
    now: IntArray,
    *,
    known: IntArray | None = None,
    estimator: Literal["auto", "calibration", "misclassification"] = "auto",
    alpha: float = 0.01,
    tolerance: float = 0.0,
    valid_periods: int = 1,
    ageing: float = 0.5,
    min_cases: float = 10.0,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Adjusted:
    """Units by true class and district, from units by stratum and what gold found in the strata.

    The calibration estimator carries the class shares within strata (P(class | stratum)) over to the current frame;
    the misclassification estimator carries the shares of strata within classes (P(stratum | class)) over and solves
    for the class shares. Chosen: misclassification where the shift test rejects or gold has expired, else calibration.

    Parameters
    ----------
    gold
        The gold sample. Same error rates in all districts of a stratum are assumed.
    now
        Shape ``(H,)`` or ``(H, D)``: units of each stratum (and district) in the current frame.
    known
        Shape ``(H, K)`` or ``(H, K, D)``: units of the current frame whose truth is known (gold of this frame); only
        the others are estimated (finite population correction). Used by the calibration estimator.
    estimator
        ``auto`` chooses; a name is taken as it is (``reason`` is then ``requested``).
    alpha, tolerance
        Of :func:`~etl.methods.misclassification.shift.shift_test`; ``alpha`` also of the test of prior shift.
    valid_periods, ageing
        Gold older than ``valid_periods`` has expired; its counts are discounted by ``ageing`` for each period beyond,
        which widens the intervals.
    min_cases
        Fewest AI cases (expected, else found) in the gold of the strata predicted not AI for a reliable interval.
    level, draws, seed
        Of the intervals; equal arguments give equal draws.

    Raises
    ------
    ValueError
        If shapes disagree, more units are known than there are, or a stratum with units has no gold.
    """
    cells = now[:, None] if now.ndim == 1 else now
    held = _known(gold, cells, known)
    units = np.asarray(cells.sum(axis=1), dtype=np.int64)
    if (cells < 0).any():
        raise ValueError("adjusted_counts: negative units in the current frame")
    require_gold(gold.size, units, "the current frame")
    shift = shift_test(gold.frame, units, ai=~gold.not_ai, alpha=alpha, tolerance=tolerance)
    chosen, reason = _choose(gold, units, shift, estimator, valid_periods)
    counts = rt.effective_counts(gold, valid_periods, ageing)
    rates_rng, units_rng = (np.random.default_rng([seed, stream]) for stream in (0, 1))
    theta = rt.rate_draws(counts, gold.predicted, draws, rates_rng)
    point = (gold.counts / np.maximum(gold.size, 1)[:, None])[None]
    rates = _Rates(theta, point, np.ones((draws, gold.classes)), np.ones(gold.classes), ())
    if chosen == "misclassification":
        held = np.zeros_like(held)
        rates = _moved(gold, units, theta, point, alpha, units_rng)
    rest = cells - held.sum(axis=1)
    return Adjusted(
        plain=_plain(gold, cells),
        adjusted=held.sum(axis=0) + np.einsum("hk,hd->kd", rates.point[0], rest),
        draws=held.sum(axis=0) + _unit_draws(rates.theta, rest, units_rng),
        level=level,
        estimator=chosen,
        reason=reason,
        notes=_notes(gold, reason, min_cases) + rates.notes,
        shift=shift,
        odds=rates.odds,
        odds_draws=rates.odds_draws,
        source=_source(gold, counts, draws, seed),
    )


def _moved(
    gold: Gold, units: IntArray, theta: FloatArray, point: FloatArray, alpha: float, rng: np.random.Generator
) -> _Rates:
    """Class shares within strata under the class shares now, laws of strata within classes being as in gold's time."""
    share = units / units.sum()
    sampled = rng.multinomial(units.sum(), share, size=len(theta)) / units.sum()
    law, old = rt.laws_of_strata(theta, gold.frame, rng)
    shares = rt.class_shares(law, sampled, gold.predicted)
    point_law, point_old = rt.laws_of_strata(point, gold.frame)
    point_share = rt.class_shares(point_law, share[None], gold.predicted)
    odds = np.divide(point_share, point_old, out=np.ones_like(point_share), where=point_old > 0)[0]
    notes = _doubts(point_law, law, point_share[0], units, gold, alpha)
    return _Rates(rt.rates_now(law, shares), rt.rates_now(point_law, point_share), shares / old, odds, notes)


def _known(gold: Gold, cells: IntArray, known: IntArray | None) -> IntArray:
    """Known units as ``(H, K, D)``, checked against the frame."""
    strata, districts = cells.shape
    if strata != len(gold.frame):
        raise ValueError(
            f"adjusted_counts: frame of {strata} strata, gold of {len(gold.frame)}: expected the same strata"
        )
    if known is None:
        return np.zeros((strata, gold.classes, districts), dtype=np.int64)
    held = known[:, :, None] if known.ndim == 2 else known
    if held.shape != (strata, gold.classes, districts):
        raise ValueError(f"adjusted_counts: known {held.shape}, expected {(strata, gold.classes, districts)}")
    if (held < 0).any() or (held.sum(axis=1) > cells).any():
        raise ValueError("adjusted_counts: more known units than units in a cell; known has to come from this frame")
    return held


def _choose(
    gold: Gold,
    units: IntArray,
    shift: ShiftTest,
    wanted: Literal["auto", "calibration", "misclassification"],
    valid: int,
) -> tuple[Estimator, Reason]:
    if wanted != "auto":
        return wanted, "requested"
    if gold.age > valid:
        return "misclassification", "gold_expired"
    if shift.rejected:
        return "misclassification", "shift"
    return "calibration", "gold_current" if gold.age == 0 and np.array_equal(units, gold.frame) else "no_shift"


def _notes(gold: Gold, reason: Reason, min_cases: float) -> tuple[Note, ...]:
    found: list[Note] = []
    cases = gold.found_cases if gold.expected_cases is None else gold.expected_cases
    if gold.not_ai.any() and cases < min_cases:
        found.append("few_cases")
    if (gold.counts.sum(axis=0) == 0).any():
        found.append("class_unseen")
    if reason == "gold_expired":
        found.append("gold_expired")
    return tuple(found)


def _doubts(
    point_law: FloatArray, law: FloatArray, shares: FloatArray, units: IntArray, gold: Gold, alpha: float
) -> tuple[Note, ...]:
    """What speaks against the misclassification estimator: a weak classifier, or a shift of another kind."""
    found: list[Note] = []
    seen = gold.counts.sum(axis=0) > 0
    matrix = rt.confusion(point_law, gold.predicted)[0][:, seen]
    if np.linalg.svd(matrix, compute_uv=False).min() < WEAK:
        found.append("weak_classifier")
    if prior_shift_fit(law, shares, units) < alpha:
        found.append("not_prior_shift")
    return tuple(found)


def _plain(gold: Gold, cells: IntArray) -> FloatArray:
    member = (np.arange(gold.classes)[:, None] == gold.predicted[None, :]).astype(np.float64)
    return np.asarray(member @ cells)


def _unit_draws(theta: FloatArray, cells: IntArray, rng: np.random.Generator) -> FloatArray:
    """Classes of the units of each cell, drawn with the drawn rates of their stratum: ``(B, K, D)``."""
    draws, strata, classes = theta.shape
    total = np.zeros((draws, classes, cells.shape[1]))
    for h in range(strata):
        if classes == 2:
            first = rng.binomial(cells[h][None, :], np.clip(theta[:, h, :1], 0.0, 1.0))
            total += np.stack([first, cells[h][None, :] - first], axis=1)
        else:
            total += rng.multinomial(cells[h][None, :], theta[:, h, None, :]).transpose(0, 2, 1)
    return total


def _source(gold: Gold, counts: FloatArray, draws: int, seed: int) -> str:
    """Identifies the rate draws: gold counts, frame, discount, number of draws and seed."""
    digest = hashlib.sha256()
    for part in (gold.counts, gold.frame, gold.predicted, counts):
        digest.update(np.ascontiguousarray(part, dtype=np.float64).tobytes() + repr(part.shape).encode())
    return f"{digest.hexdigest()[:16]}/{draws}/{seed}"
