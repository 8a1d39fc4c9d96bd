"""Another reference period for an index series."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from etl.methods.registry import method

FloatArray = NDArray[np.float64]


@method("index_number.rebase")
def rebase(index: FloatArray, base: Sequence[int], *, level: float = 100.0) -> FloatArray:
    """The series divided by its mean over the positions ``base`` (换基), times ``level``; growth is unchanged.

    Parameters
    ----------
    index
        Shape ``(n,)``; ``nan`` stays ``nan``.
    base
        Positions of the reference period: one, or the months of the reference year (then its mean is ``level``).

    Raises
    ------
    ValueError
        If no position is given, or a value there is missing or not above zero.
    """
    at = index[list(base)]
    if at.size == 0:
        raise ValueError("no value of the series lies in the reference period; choose a period of the series")
    if not (np.isfinite(at).all() and (at > 0).all()):
        raise ValueError("the index of the reference period is missing or not above zero; choose another period")
    return np.asarray(index / at.mean() * level, dtype=np.float64)


@method("index_number.splice")
def splice(old: FloatArray, new: FloatArray) -> FloatArray:
    """The new series where it is, the old one before, on the level of the new by the mean ratio of their overlap (衔接).

    Both shape ``(n,)`` over the same periods, ``nan`` where a series does not exist.

    Raises
    ------
    ValueError
        If they share no period, or the old series is zero over it.
    """
    overlap = np.isfinite(old) & np.isfinite(new)
    if old.shape != new.shape or not overlap.any():
        raise ValueError("the two series share no period; a link needs at least one")
    whole = float(old[overlap].sum())
    if whole == 0:
        raise ValueError("the old series is zero over the shared periods; no link can be made")
    return np.where(np.isfinite(new), new, old * (float(new[overlap].sum()) / whole))
