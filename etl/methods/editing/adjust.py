"""Imputed values moved as little as possible so that the record satisfies its edits (插补值的最小调整)."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from etl.methods.editing.linear import LinearEdit, linear_system
from etl.methods.registry import method

FloatArray = NDArray[np.float64]
MOST_REFINED: Final = 4


@method("editing.adjust")
def adjust_to_edits(
    record: FloatArray, free: NDArray[np.bool_], edits: Sequence[LinearEdit], variables: Sequence[str]
) -> FloatArray | None:
    r"""Least :math:`\sum_j |x_j - x_j^0|/\max(|x_j^0|, 1)` over the free variables subject to the edits.

    Parameters
    ----------
    record, free
        Shape ``(variables,)``: a complete record, and which values may move.

    Returns
    -------
    FloatArray or None
        The record with free values moved; itself where it passes; ``None`` if the free values cannot satisfy the edits.

    Source: de Waal, Pannekoek and Scholtus (2011), Handbook of Statistical Data Editing and Imputation, ch. 10.
    """
    system = linear_system(edits, variables)
    if not system.fails(record).any():
        return record
    if not free.any():
        return None
    lower, upper = system.asked(record)
    scale = max(1.0, float(np.abs(record).max()))
    cost = scale / np.maximum(np.abs(record[free]), 1.0)
    moved = _moved(system.matrix, lower, upper, record, free, cost, scale)
    for _ in range(MOST_REFINED):
        if moved is None or not system.fails(moved).any():
            break
        # the solver's tolerance, a share of the largest amount, is more than a yuan: once more on the scale of what is left
        sums = system.matrix @ moved
        left = float(np.maximum(lower - sums, sums - upper).max())
        finer = _moved(system.matrix, lower, upper, moved, free, cost, left) if left > 0 else None
        if finer is None:
            break
        moved = finer
    return moved


def _moved(
    matrix: FloatArray, lower: FloatArray, upper: FloatArray, record: FloatArray, free: NDArray[np.bool_],
    cost: FloatArray, scale: float,
) -> FloatArray | None:  # fmt: skip
    sums, moving = matrix @ record, matrix[:, free]
    rows = [(moving, (upper - sums) / scale, np.isfinite(upper)), (-moving, (sums - lower) / scale, np.isfinite(lower))]
    both = np.vstack([np.hstack([m, -m])[keep] for m, _, keep in rows])
    bounds = np.concatenate([b[keep] for _, b, keep in rows])
    found = linprog(np.tile(cost, 2), A_ub=both, b_ub=bounds, bounds=(0, None), method="highs")
    if found.status != 0:
        return None
    moved, count = record.copy(), int(free.sum())
    moved[free] += (found.x[:count] - found.x[count:]) * scale
    return moved
