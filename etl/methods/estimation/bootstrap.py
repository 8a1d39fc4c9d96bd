"""Bootstrap of stratified samples: Rao-Wu rescaling and Preston's without-replacement form, as replicate weights."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from etl.methods.estimation.design import StratifiedSample, known
from etl.methods.registry import method

FloatArray = NDArray[np.float64]
Scheme = Literal["rao_wu", "preston"]


@dataclass(frozen=True)
class BootstrapResult:
    """``value`` with the full weights, ``variance`` of the replicates around it, ``replicates`` shape ``(B,)``."""

    value: float
    variance: float
    replicates: FloatArray

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Percentile limits of the replicates."""
        low, high = np.quantile(self.replicates, [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)


@method("estimation.bootstrap_weights")
def bootstrap_weights(
    weight: FloatArray, sample: StratifiedSample, replicates: int, *, scheme: Scheme = "rao_wu", seed: int = 0
) -> FloatArray:
    r"""Replicate weights, shape ``(n, B)``; for a linear total their variance has the textbook value as expectation.

    ``rao_wu`` (Rao & Wu 1988; Rao, Wu & Yue 1992): :math:`m_h = n_h - 1` draws with replacement, :math:`r_i` times
    unit i,

    .. math:: w_i^* = w_i \left[1 - \lambda_h + \lambda_h \tfrac{n_h}{m_h} r_i\right], \qquad
              \lambda_h = \sqrt{m_h (1 - f_h) / (n_h - 1)}

    ``preston`` (Preston 2009, one stage): :math:`m_h = \lfloor n_h / 2 \rfloor` units without replacement and
    :math:`\lambda_h = \sqrt{m_h (1 - f_h) / (n_h - m_h)}`. Take-all strata keep their weights.

    Raises
    ------
    ValueError
        If a stratum has one sampled unit of several, or fewer than two replicates are asked for.
    """
    if replicates < 2:
        raise ValueError(f"{replicates} bootstrap replicates; at least 2 are needed, 500 or more are usual")
    base, rng = known("weight", weight, sample.code.shape), np.random.default_rng(seed)
    out = np.repeat(base[:, None], replicates, axis=1)
    for h, name in enumerate(sample.labels):
        rows, rest = np.flatnonzero(sample.code == h), 1 - sample.fraction[h]
        if rest <= 0:
            continue
        if rows.size == 1:
            raise ValueError(f"stratum {name} has one sampled unit of several: no bootstrap; join it to a neighbour")
        drawn, share = _draws(rows.size, replicates, scheme, rest, rng)
        out[rows] *= 1 - share + share * drawn
    return out


def _draws(n: int, replicates: int, scheme: Scheme, rest: float, rng: np.random.Generator) -> tuple[FloatArray, float]:
    """``n / m`` times the number of draws of each unit, shape ``(n, B)``, and lambda."""
    if scheme == "rao_wu":
        m = n - 1
        times = rng.multinomial(m, np.full(n, 1 / n), size=replicates).T
        return np.asarray(times * (n / m), dtype=np.float64), float(np.sqrt(m * rest / (n - 1)))
    m = n // 2
    order = rng.random((n, replicates)).argsort(axis=0).argsort(axis=0)
    return np.asarray((order < m) * (n / m), dtype=np.float64), float(np.sqrt(m * rest / (n - m)))


@method("estimation.bootstrap")
def bootstrap(statistic: Callable[[FloatArray], float], weight: FloatArray, replicates: FloatArray) -> BootstrapResult:
    """Any statistic of the weights: with the full ones, and with each column of the replicate weights.

    ``statistic`` takes weights of shape ``(n,)`` and repeats what is done with the full weights (calibration too).
    """
    value = float(statistic(weight))
    found = np.array([statistic(column) for column in np.ascontiguousarray(replicates.T)], dtype=np.float64)
    return BootstrapResult(value, float(((found - value) ** 2).mean()), found)
