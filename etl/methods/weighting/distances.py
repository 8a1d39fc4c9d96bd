"""Distance functions of calibration: the factor F(u), its derivative and its integral (Deville & Särndal 1992)."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Distance = Literal["linear", "raking", "logit"]
LARGEST = 500.0
"""Exponents beyond it would overflow; a step that far is shortened by the line search."""


@dataclass(frozen=True)
class Factor:
    """``value`` g = F(u), ``slope`` F'(u), ``integral`` of F up to u; each shape ``(n,)``."""

    value: FloatArray
    slope: FloatArray
    integral: FloatArray


def factor(distance: Distance, u: FloatArray, bounds: tuple[float, float] | None) -> Factor:
    """F at u: ``1 + u``, ``exp u`` or the logistic between the bounds; linear and raking are cut at bounds if given."""
    if distance == "logit":
        assert bounds is not None
        return _logit(u, *bounds)
    if distance == "raking":
        inner = np.exp(np.minimum(u, LARGEST))
        found, edges = Factor(inner, inner, inner), (lambda b: np.log(b) if b > 0 else -np.inf, lambda v: np.exp(v))
    else:
        found, edges = Factor(1 + u, np.ones_like(u), u + u**2 / 2), (lambda b: b - 1, lambda v: v + v**2 / 2)
    if bounds is None:
        return found
    low, high = (float(edges[0](b)) for b in bounds)
    value = np.clip(found.value, *bounds)
    slope = np.where((u > low) & (u < high), found.slope, 0.0)
    base = [float(edges[1](v)) if np.isfinite(v) else 0.0 for v in (low, high)]
    integral = np.where(u < low, base[0] + bounds[0] * (u - low if np.isfinite(low) else 0.0), found.integral)
    integral = np.where(u > high, base[1] + bounds[1] * (u - high if np.isfinite(high) else 0.0), integral)
    return Factor(value, slope, integral)


def _logit(u: FloatArray, low: float, high: float) -> Factor:
    speed = (high - low) / ((1 - low) * (high - 1))
    # p is the share of the way from the lower to the upper bound; written by the logistic so that it cannot overflow
    shift = np.log((1 - low) / (high - 1))
    z = speed * u + shift
    p = 1 / (1 + np.exp(-np.clip(z, -LARGEST, LARGEST)))
    integral = low * u + (high - low) / speed * np.logaddexp(0, z)
    return Factor(low + (high - low) * p, (high - low) * speed * p * (1 - p), integral)
