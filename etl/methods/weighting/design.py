"""Design weights, with births and deaths between selection and reference period."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from etl.methods.registry import method

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class DesignWeights:
    """By stratum, shape ``(H,)``: ``unadjusted`` is ``N_h / n_h``, ``weight`` corrected for births and deaths."""

    unadjusted: FloatArray
    weight: FloatArray


@method("weighting.design_weights")
def design_weights(
    units: FloatArray,
    asked: FloatArray,
    *,
    dead: FloatArray | None = None,
    out_of_scope: FloatArray | None = None,
    births_replace_deaths: NDArray[np.bool_] | None = None,
    out_of_scope_replaced: bool = True,
    births: FloatArray | None = None,
) -> DesignWeights:
    r"""Design weight of each stratum.

    .. math:: a_h = \frac{N_h + B_h}{n_h} \left(1 + H_h \frac{d_h + o_h}{n_h - d_h - o_h}\right)

    A unit found dead stays in the sample with the value 0 where the register is as late as the sample (:math:`H_h =
    0`): it stands for the dead of the population. Where births are not on the register yet and are taken to replace
    deaths (:math:`H_h = 1`), the live units are weighted up for them instead.

    Parameters
    ----------
    units, asked
        Shape ``(H,)``: units of the frame :math:`N_h` and of the sample :math:`n_h`, dead ones included.
    dead, out_of_scope
        Shape ``(H,)``: sampled units found dead :math:`d_h`, or alive but outside the population :math:`o_h`.
    births_replace_deaths
        Shape ``(H,)``: :math:`H_h`; default false.
    out_of_scope_replaced
        False: :math:`o_h` stands in the denominator only (units out of scope have no successor).
    births
        Shape ``(H,)``: units :math:`B_h` that are on the register since the selection and are estimated by the sample.

    Raises
    ------
    ValueError
        If shapes differ, numbers are negative, a stratum with units has nobody in the sample or nobody alive in it.
    """
    zero = np.zeros(np.shape(units))
    n, k = np.asarray(units, dtype=np.float64), np.asarray(asked, dtype=np.float64)
    d, o, b = (zero if a is None else np.asarray(a, dtype=np.float64) for a in (dead, out_of_scope, births))
    h = zero if births_replace_deaths is None else np.asarray(births_replace_deaths, dtype=np.float64)
    if any(a.shape != n.shape for a in (k, d, o, b, h)):
        raise ValueError("one number for each stratum is expected in every argument")
    if not all((a >= 0).all() for a in (n, k, d, o, b)):
        raise ValueError("numbers of units have to be known and not negative")
    live = k - d - o
    bad = ((k <= 0) & (n + b > 0)) | ((h > 0) & (d + o > 0) & (live <= 0))
    if bad.any():
        place = int(np.flatnonzero(bad)[0])
        raise ValueError(f"stratum {place}: {k[place]:g} sampled units, {live[place]:g} of them alive and in scope; "
                         "join it to a neighbour")  # fmt: skip
    plain = np.divide(n + b, k, out=np.zeros_like(n), where=k > 0)
    gone = d + o if out_of_scope_replaced else d
    lift = np.divide(gone, live, out=np.zeros_like(n), where=live > 0)
    return DesignWeights(plain, plain * (1 + h * lift))
