"""Shares with intervals from a gold sample with design weights; the one place where a figure may become "not known".

A share is the weighted one. Its interval is the Clopper-Pearson interval at the *effective* sample size
``n* = p(1-p)/v``, where ``v`` is the linearised variance of the stratified design (Korn & Graubard 1998, *Survey
Methodology* 24, 193-201); ``n*`` is never taken above the number of units. At ``p`` = 0 or 1, where ``v`` says nothing, it is
Kish's ``(Σw)²/Σw²``. No finite population correction: the classifier is judged, not only today's register.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
BOOL = npt.NDArray[np.bool_]
CONFIDENCE: Final = 0.95
REASONS: Final = {
    "no_gold": ("没有金标准样本", "there is no gold sample"),
    "empty": ("该组没有金标准单位", "no gold unit in this group"),
    "chance": ("偶然一致已是确定的，系数无意义", "chance agreement is certain; the coefficient says nothing"),
    "no_coders": ("没有两名编码人的答复", "answers of two coders were not given"),
    "no_promise": ("未作差错承诺", "no error was promised"),
    "no_evidence": ("决策没有证据列", "the decisions carry no evidence column"),
    "not_given": ("未提供", "not given"),
}


@dataclass(frozen=True)
class Measure:
    """A figure with its interval; ``value`` is None when it is not known, and then ``reason`` says why.

    ``n``: units it rests on; ``effective_n``: those units at equal weights would give the same variance.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    effective_n: float = 0.0
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; keys are the same whether the figure is known or not."""
        zh, en = REASONS[self.reason] if self.reason else (None, None)
        return {
            "value": known(self.value), "low": known(self.low), "high": known(self.high), "n": int(self.n),
            "effective_n": known(self.effective_n), "reason_zh": zh, "reason_en": en,
        }  # fmt: skip


def known(value: float | None) -> float | None:
    """The number, or None where it is none or not finite (NaN has no place in JSON)."""
    return None if value is None or not math.isfinite(value) else round(float(value), 6)


def unknown(reason: str, n: int = 0) -> Measure:
    """A figure that is not known, for one of :data:`REASONS`."""
    if reason not in REASONS:
        raise KeyError(f"reason {reason!r}; known: {', '.join(REASONS)}")
    return Measure(None, n=n, reason=reason)


def clopper_pearson(hits: float, n: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Exact two-sided interval of a proportion; ``hits`` and ``n`` may be effective (not whole) numbers.

    Raises
    ------
    ValueError
        If not ``0 <= hits <= n`` with ``n > 0``.
    """
    from scipy.stats import beta  # takes half a second to load, and few nights have gold

    if not (0.0 <= hits <= n and n > 0.0):
        raise ValueError(f"{hits} hits of {n}: expected 0 <= hits <= n and n > 0")
    tail = (1.0 - confidence) / 2.0
    low = 0.0 if hits <= 0.0 else float(beta.ppf(tail, hits, n - hits + 1.0))
    high = 1.0 if hits >= n else float(beta.ppf(1.0 - tail, hits + 1.0, n - hits))
    return low, high


@dataclass(frozen=True)
class Design:
    """Weights and strata of a gold sample, row by row: ``weight`` = 1 / inclusion probability, ``stratum`` as 0, 1, 2…"""

    weight: F64
    stratum: I64

    @classmethod
    def equal(cls, n: int) -> "Design":
        """A simple random sample."""
        return cls(np.ones(n), np.zeros(n, dtype=np.int64))

    def kish(self, domain: BOOL) -> float:
        """Kish's effective number of the units in a domain."""
        w = self.weight[domain]
        return float(w.sum() ** 2 / (w**2).sum()) if len(w) else 0.0

    def variance(self, z: F64) -> float:
        """Variance of ``Σ z`` under stratified sampling with replacement; a stratum of one unit counts with its square."""
        size = np.bincount(self.stratum).astype(np.float64)
        mean = np.bincount(self.stratum, z) / np.maximum(size, 1.0)
        spread = np.bincount(self.stratum, (z - mean[self.stratum]) ** 2)
        single = np.bincount(self.stratum, z**2)
        factor = np.where(size > 1.0, size / np.maximum(size - 1.0, 1.0), 0.0)
        return float((factor * spread + np.where(size == 1.0, single, 0.0)).sum())

    def effective_n(self, hit: F64, domain: BOOL) -> float:
        """Effective sample size for the share of ``hit`` (0 to 1 each) in a domain."""
        count = float(domain.sum())
        if count == 0.0:
            return 0.0
        total = float(self.weight[domain].sum())
        p = float((self.weight * hit)[domain].sum() / total)
        # A share may miss 0 or 1 by rounding of the weighted sum alone.
        if p * (1.0 - p) <= 1e-12:
            return self.kish(domain)
        variance = self.variance(np.where(domain, self.weight * (hit - p) / total, 0.0))
        return min(count, p * (1.0 - p) / variance) if variance > 0.0 else count

    def share(self, hit: npt.ArrayLike, domain: BOOL | None = None, confidence: float = CONFIDENCE) -> Measure:
        """Weighted share of ``hit`` among the units of ``domain`` (all of them if left out), with its interval."""
        values = np.asarray(hit, dtype=np.float64)
        inside = np.ones(len(values), dtype=bool) if domain is None else domain
        n = int(inside.sum())
        if n == 0:
            return unknown("empty")
        p = min(1.0, float((self.weight * values)[inside].sum() / self.weight[inside].sum()))
        size = self.effective_n(values, inside)
        low, high = clopper_pearson(min(p * size, size), size, confidence)
        return Measure(p, min(low, p), max(high, p), n, size)

    def mean(self, value: F64, domain: BOOL | None = None, confidence: float = CONFIDENCE) -> Measure:
        """Weighted mean of any quantity, with the large-sample interval of the design."""
        inside = np.ones(len(value), dtype=bool) if domain is None else domain
        n = int(inside.sum())
        if n == 0:
            return unknown("empty")
        total = float(self.weight[inside].sum())
        mean = float((self.weight * value)[inside].sum() / total)
        error = math.sqrt(self.variance(np.where(inside, self.weight * (value - mean) / total, 0.0)))
        z = float(ndtri(0.5 + confidence / 2.0))
        return Measure(mean, mean - z * error, mean + z * error, n, self.kish(inside))


def f1_from_jaccard(jaccard: Measure) -> Measure:
    """F1 with its interval from the Jaccard index, of which it is a monotone function: ``F1 = 2J / (1 + J)``.

    The Jaccard index (right among those shown or true) is a share, F1 is not; its limits carry over.
    """

    def turn(value: float | None) -> float | None:
        return None if value is None else 2.0 * value / (1.0 + value)

    return Measure(
        turn(jaccard.value), turn(jaccard.low), turn(jaccard.high), jaccard.n, jaccard.effective_n, jaccard.reason
    )
