"""Amounts at constant prices."""

import numpy as np
from numpy.typing import NDArray

from etl.methods.registry import method

FloatArray = NDArray[np.float64]


@method("index_number.deflate")
def deflate(value: FloatArray, index: FloatArray, *, base: float = 100.0) -> FloatArray:
    """Amounts at the prices of the period where the price index is ``base`` (缩减法): ``value * base / index``.

    Parameters
    ----------
    value, index
        Shape ``(n,)``; ``nan`` where missing stays ``nan``.

    Raises
    ------
    ValueError
        If the shapes differ, or a price index or its base is not above zero.
    """
    if value.shape != index.shape:
        raise ValueError(f"value and index need the same length; {value.shape[0]} and {index.shape[0]}")
    if base <= 0:
        raise ValueError(f"the base of the price index is {base:g}; a value above zero is expected, e.g. 100")
    if (index <= 0).any():
        raise ValueError("a price index is not above zero; give the index with its base, e.g. 100")
    return value * base / index
