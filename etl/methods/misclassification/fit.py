"""Is the shift one of class shares only? Fit of the current strata to the laws of strata within classes."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def prior_shift_fit(law: FloatArray, shares: FloatArray, units: IntArray) -> float:
    r"""p-value of "the strata now are a mixture of the laws of strata within classes then".

    With more strata than classes the mixture can fail. Generalised least squares:

    .. math:: \min_\pi (q - \bar P \pi)^\top C^{-1} (q - \bar P \pi) \sim \chi^2_{H - K}

    with :math:`C` the covariance of :math:`P_b \hat\pi` over the draws plus the multinomial one of ``q``.

    Parameters
    ----------
    law
        Shape ``(B, H, K)``, draws of P(stratum | class).
    shares
        Shape ``(K,)``, estimated class shares now.
    units
        Shape ``(H,)``, units by stratum now.

    Returns
    -------
    float
        1.0 where there are no more strata than classes (every mixture fits).
    """
    used = units > 0
    strata, classes = int(used.sum()), int((shares > 0).sum())
    if strata <= classes:
        return 1.0
    law = law[:, used][:, :, shares > 0]
    share = units[used] / units.sum()
    mixed = law @ shares[shares > 0]
    covariance = np.cov(mixed, rowvar=False) + (np.diag(share) - np.outer(share, share)) / units.sum()
    # Shares add to one: one stratum and one class share follow from the others.
    inverse = np.linalg.pinv(covariance[1:, 1:], hermitian=True)
    mean = law.mean(axis=0)[1:]
    design, target = mean[:, :-1] - mean[:, -1:], share[1:] - mean[:, -1]
    fitted = design @ (np.linalg.pinv(design.T @ inverse @ design, hermitian=True) @ (design.T @ inverse @ target))
    rest = target - fitted
    return float(chi2.sf(float(rest @ inverse @ rest), strata - classes))
