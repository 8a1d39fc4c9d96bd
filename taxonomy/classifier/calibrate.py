"""Calibration (校准): the temperature of the scores, fitted on held-out gold; without gold there is none, and it says so.

One temperature a level keeps the order of the classes and the additive evidence: it changes how sure a score is, not
what it says (Guo et al. 2017, On Calibration of Modern Neural Networks)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
MIN_GOLD: Final = 50
NOT_CORE: Final = -1
CORE_ONLY: Final = -2


@dataclass(frozen=True)
class Calibration:
    """``core``: temperature of the log-odds of core against none; ``leaf``: of the leaves within core; ``gold``: units
    it rests on (0: not calibrated, both are one)."""

    core: float = 1.0
    leaf: float = 1.0
    gold: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"core": self.core, "leaf": self.leaf, "gold": self.gold}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Calibration":
        """From :meth:`as_dict`."""
        return cls(float(data["core"]), float(data["leaf"]), int(data["gold"]))


def log_sum(scores: F64) -> F64:
    """Log of the sum of exponentials of each row, shape ``(n,)``."""
    top, powers = _powers(scores)
    return np.asarray(top + np.log(powers.sum(axis=1)))


def _powers(scores: F64) -> tuple[F64, F64]:
    """The largest score of each row, and the exponentials of how far the others lie below it."""
    top = scores.max(axis=1)
    powers = scores - top[:, None]
    return top, np.exp(powers, out=powers)


def probabilities(scores: F64, calibration: Calibration) -> F64:
    """P(leaf) ``(n, leaves)`` with *none* at score zero; rows sum to P(core).

    P(core) is the logistic function of the log-odds of core over its temperature; the leaves share it by a softmax
    over theirs. With both temperatures at one this is the softmax over the leaves and none.
    """
    top, powers = _powers(scores)
    core = 1.0 / (1.0 + np.exp(-(top + np.log(powers.sum(axis=1))) / calibration.core))
    if calibration.leaf != 1.0:
        powers = _powers(scores / calibration.leaf)[1]
    total = powers.sum(axis=1, keepdims=True)
    powers *= core[:, None]
    powers /= total
    return powers


def fit(scores: F64, leaf: npt.NDArray[np.int64], weight: F64 | None = None) -> Calibration:
    """Temperatures that make gold most likely.

    Parameters
    ----------
    scores
        Shape ``(n, leaves)``, of units that trained nothing.
    leaf
        Position of the true leaf, ``NOT_CORE`` (-1), or ``CORE_ONLY`` (-2: core, its leaf not known), shape ``(n,)``.
    weight
        Design weights, shape ``(n,)``; one if left out.

    Returns
    -------
    Calibration
        Not calibrated where fewer than 50 units, or none of one side, are there; the leaves keep their temperature where
        no core unit has a known leaf.
    """
    from scipy.optimize import minimize_scalar

    is_core, known = leaf != NOT_CORE, leaf >= 0
    sample = np.ones(len(leaf)) if weight is None else weight
    if len(leaf) < MIN_GOLD or not is_core.any() or is_core.all():
        return Calibration()
    odds, core_rows = log_sum(scores), np.flatnonzero(known)

    def core_loss(t: float) -> float:
        margin = np.where(is_core, 1.0, -1.0) * odds / t
        return float((sample * np.logaddexp(0.0, -margin)).sum())

    def leaf_loss(t: float) -> float:
        within = scores[core_rows] / t
        return float((sample[core_rows] * (log_sum(within) - within[np.arange(len(core_rows)), leaf[core_rows]])).sum())

    def best(loss: Callable[[float], float]) -> float:
        return round(float(minimize_scalar(loss, bounds=(0.1, 10.0), method="bounded").x), 6)

    return Calibration(best(core_loss), best(leaf_loss) if known.any() else 1.0, len(leaf))
