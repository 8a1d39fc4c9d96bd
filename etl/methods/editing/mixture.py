"""Which error, if any, a value carries (差错混合模型): known shifts weighed by several witnesses of the value."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from etl.methods.registry import method
from etl.methods.tabular import BadInput

FloatArray = NDArray[np.float64]
#: Degrees of freedom of the witnesses' deviations: enterprises grow and shrink more often than a normal law allows.
FREEDOM: Final = 4.0
#: Integral of the kernel (1 + z²/4)^(-5/2).
KERNEL_AREA: Final = 8.0 / 3.0
#: Half the width (natural log) over which an error of no known kind may lie: a factor of 10,000 either way.
REACH: Final = float(np.log(1e4))


@dataclass(frozen=True)
class Verdict:
    """Probabilities, shapes ``(n,)``, ``(n, c)``, ``(n,)``, adding up to 1; all ``nan`` where there is no witness."""

    clean: FloatArray
    candidates: FloatArray
    other: FloatArray


@dataclass(frozen=True)
class WitnessErrors:
    """Errors a witness may carry: log factors by which it is too large, and their prior probabilities, shapes ``(m,)``.

    ``repeated``: probability that it carries the very error of the value judged, if that has one (who writes a wrong unit
    once tends to do so again).
    """

    shifts: FloatArray
    priors: FloatArray
    repeated: float = 0.0


@method("editing.error_mixture")
def error_mixture(
    deviations: FloatArray, spreads: FloatArray, shifts: FloatArray, priors: FloatArray, other: float,
    wrong: Sequence[WitnessErrors | None] = (), *, enough: float = 1.0, evidence: FloatArray | None = None,
) -> Verdict:  # fmt: skip
    r"""Posterior probability of no error, of each known error and of an unknown one.

    .. math::
        P(c \mid d) \propto \pi_c \prod_k g_k(d_k - s_c), \qquad
        g_k(x) = (1 - \sum_m \pi_{km})\, g(x/\sigma_k) + \sum_m \pi_{km}\, g((x + w_{km})/\sigma_k), \qquad
        g(z) = (1 + z^2/\nu)^{-(\nu+1)/2}

    A witness may be in error itself: with probability :math:`\pi_{km}` it is too large by the log factor :math:`w_{km}`; and
    with probability :math:`\rho_k` it repeats a known error c: :math:`(1-\rho_k) g_k(d_k - s_c) + \rho_k\, g(d_k/\sigma_k)`. No error is the shift 0. An error of unknown size has its shift spread evenly over :math:`\pm\log 10^4`; its integral
    is taken at the witness it fits best (Laplace).

    Parameters
    ----------
    deviations
        Shape ``(n, k)``: log of the value over what each witness lets expect, centred; ``nan`` where a witness is silent.
    spreads
        Shape ``(k,)``: usual deviation of each witness, positive.
    shifts, priors
        Shape ``(n, c)``: log factor that each candidate error puts on the value, and its prior probability (0: not possible).
    other
        Prior probability of an error of another kind.
    wrong
        Errors of each witness; ``None`` (or nothing at all): it makes none.
    enough
        Values that are right with this probability at the very least (were every error to fit perfectly) are not weighed
        further: ``clean`` holds that lower bound, the rest of it is ``other``. 1: all are weighed.
    evidence
        Shape ``(n, 1 + c + 1)``: log likelihood of what else is known of a value (an edit it fails), given no error, each
        known error, another one. Values with any are weighed in any case.

    Raises
    ------
    BadInput
        If shapes or probabilities do not fit.

    Source: Di Zio, Guarnera and Luzi (2005), Editing systematic unity measure errors through mixture modelling, Survey
    Methodology 31, 53-63 (there normal; here Student's t with 4 degrees of freedom, given priors, and witnesses that may be wrong).
    """
    wrong = wrong or [None] * deviations.shape[1]
    _check(deviations, spreads, shifts, priors, other, wrong)
    heard = np.isfinite(deviations)
    d = np.where(heard, deviations, 0.0)
    known = priors.sum(axis=1) + other
    clean = np.log(np.clip(1.0 - known, 1e-12, None)) + _fit(d, heard, spreads, np.zeros(d.shape[0]), wrong)
    least = np.exp(clean) / (np.exp(clean) + known)
    result = Verdict(least, np.zeros(priors.shape), 1.0 - least)
    more = np.zeros((d.shape[0], priors.shape[1] + 2)) if evidence is None else evidence
    rows = np.flatnonzero(heard.any(axis=1) & ((least < enough) | more.any(axis=1)))
    share = _shares(d[rows], heard[rows], spreads, clean[rows], shifts[rows], priors[rows], other, wrong, more[rows])
    result.clean[rows], result.candidates[rows], result.other[rows] = share[:, 0], share[:, 1:-1], share[:, -1]
    for part in (result.clean, result.candidates, result.other):
        part[~heard.any(axis=1)] = np.nan
    return result


def _shares(
    d: FloatArray, heard: NDArray[np.bool_], spreads: FloatArray, clean: FloatArray, shifts: FloatArray, priors: FloatArray,
    other: float, wrong: Sequence[WitnessErrors | None], evidence: FloatArray,
) -> FloatArray:  # fmt: skip
    """Probabilities, shape ``(n, 1 + c + 1)``."""
    logs = [clean]
    with np.errstate(divide="ignore"):
        for c in range(shifts.shape[1]):
            logs.append(np.log(priors[:, c]) + _fit(d, heard, spreads, shifts[:, c], wrong, repeats=True))
        unknown = np.full(d.shape[0], -np.inf)
        for j, spread in enumerate(spreads):
            width = np.log(max(other, 0.0)) + np.log(KERNEL_AREA * spread / (2 * REACH))
            here = np.where(heard[:, j], width + _fit(d, heard, spreads, d[:, j], wrong), -np.inf)
            unknown = np.maximum(unknown, here)
    table = np.column_stack([*logs, unknown]) + evidence
    weights = np.exp(table - table.max(axis=1, keepdims=True, initial=-np.inf))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _check(
    d: FloatArray, spreads: FloatArray, shifts: FloatArray, priors: FloatArray, other: float,
    wrong: Sequence[WitnessErrors | None],
) -> None:  # fmt: skip
    if d.ndim != 2 or spreads.shape != (d.shape[1],) or shifts.shape != priors.shape or shifts.shape[0] != d.shape[0]:
        raise BadInput(
            f"error_mixture: deviations {d.shape}, spreads {spreads.shape}, shifts {shifts.shape}, priors {priors.shape}; "
            "expected (n, k), (k,), (n, c), (n, c)"
        )
    if len(wrong) != d.shape[1]:
        raise BadInput(
            f"error_mixture: errors of {len(wrong)} witnesses, but {d.shape[1]} witnesses; give one entry each"
        )
    if not (spreads > 0).all() or not (priors >= 0).all() or not 0 <= other < 1:
        raise BadInput("error_mixture: spreads must be positive and priors probabilities")


def _fit(
    d: FloatArray, heard: NDArray[np.bool_], spreads: FloatArray, shift: FloatArray, wrong: Sequence[WitnessErrors | None],
    repeats: bool = False,
) -> FloatArray:  # fmt: skip
    logs = np.zeros(d.shape[0])
    for k, errors in enumerate(wrong):
        gap = d[:, k] - shift
        found = _kernel(gap / spreads[k])
        if errors is not None:
            found = found * (1 - errors.priors.sum())
            for factor, prior in zip(errors.shifts, errors.priors, strict=True):
                found = found + prior * _kernel((gap + factor) / spreads[k])
            if repeats:
                found = (1 - errors.repeated) * found + errors.repeated * _kernel(d[:, k] / spreads[k])
        logs += np.where(heard[:, k], np.log(found), 0.0)
    return logs


def _kernel(z: FloatArray) -> FloatArray:
    base = 1 + z * z / FREEDOM
    return np.asarray(1 / (base * base * np.sqrt(base)))  # to the power of (FREEDOM + 1) / 2, several times faster


@method("editing.spread")
def robust_spread(deviations: FloatArray, *, floor: float, default: float, least: int = 10) -> float:
    r"""Usual deviation :math:`1.4826\,\mathrm{median}|d - \mathrm{median}\,d|`, at least ``floor``.

    ``default`` where fewer than ``least`` values are known. Errors of a few per cent of the values do not move it.
    """
    known = deviations[np.isfinite(deviations)]
    if known.size < least:
        return default
    return max(floor, 1.4826 * float(np.median(np.abs(known - np.median(known)))))


@method("editing.transposed")
def transposed_digits(values: FloatArray, places: int = 11) -> FloatArray:
    """What each whole number would be with two adjacent digits exchanged.

    Parameters
    ----------
    values
        Shape ``(n,)``: magnitudes in the unit of the form; ``nan`` or not whole gives ``nan``.

    Returns
    -------
    FloatArray
        Shape ``(n, places)``: digits ``j`` and ``j+1`` from the right exchanged; ``nan`` where they are equal, do not exist,
        or the result would begin with zero.
    """
    whole = np.isfinite(values) & (np.abs(values - np.rint(values)) < 1e-6) & (np.abs(values) < 10.0 ** (places + 1))
    number = np.where(whole, np.rint(np.abs(np.nan_to_num(values))), 0).astype(np.int64)
    found = np.full((values.shape[0], places), np.nan)
    for j in range(places):
        low, high = number // 10**j % 10, number // 10 ** (j + 1) % 10
        top = number < 10 ** (j + 2)
        fits = (number >= 10 ** (j + 1)) & (low != high) & ~(top & (low == 0))
        found[fits, j] = (number + (low - high) * 9 * 10**j)[fits]
    return found
