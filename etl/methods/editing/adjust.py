"""Imputed values moved as little as possible so that the record satisfies its edits (插补值的最小调整)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from etl.methods.editing.linear import LinearEdit
from etl.methods.registry import method

FloatArray = NDArray[np.float64]
INSIDE = 1e-9


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
    place = {v: j for j, v in enumerate(variables)}
    matrix = np.zeros((len(edits), len(variables)))
    for i, edit in enumerate(edits):
        for name, coefficient in edit.coefficients.items():
            matrix[i, place[name]] = coefficient
    lower, upper = np.array([e.lower for e in edits]), np.array([e.upper for e in edits])
    sums, room = matrix @ record, INSIDE * (np.abs(matrix) @ np.abs(record))
    if ((sums >= lower - room) & (sums <= upper + room)).all():
        return record
    if not free.any():
        return None
    scale = max(1.0, float(np.abs(record).max()))
    moving = matrix[:, free]
    rows = [(moving, (upper - sums) / scale, np.isfinite(upper)), (-moving, (sums - lower) / scale, np.isfinite(lower))]
    both = np.vstack([np.hstack([m, -m])[keep] for m, _, keep in rows])
    bounds = np.concatenate([b[keep] for _, b, keep in rows])
    cost = np.tile(scale / np.maximum(np.abs(record[free]), 1.0), 2)
    found = linprog(cost, A_ub=both, b_ub=bounds, bounds=(0, None), method="highs")
    if found.status != 0:
        return None
    moved = record.copy()
    count = int(free.sum())
    moved[free] += (found.x[:count] - found.x[count:]) * scale
    return moved
