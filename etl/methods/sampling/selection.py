"""Selection of the sample by permanent random numbers."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from etl.methods.registry import method

FloatArray = NDArray[np.float64]


@method("sampling.select")
def select(
    numbers: FloatArray, strata: Sequence[str], sizes: Mapping[str, int], start: Mapping[str, float] | float = 0.0
) -> NDArray[np.bool_]:
    """Sequential simple random sampling (Ohlsson 1995): the ``n_h`` units next after the start, around the circle.

    Parameters
    ----------
    numbers
        Shape ``(N,)``: permanent (or collocated) random numbers in [0, 1).
    strata
        Stratum of each unit of the frame, length ``N``.
    sizes
        Units to be taken from each stratum; a take-all stratum has all of its units here.
    start
        Where the selection begins, one number or one for each stratum. Two surveys with the same start overlap as much
        as they can, with starts far apart as little as they can; a start that moves rotates the sample.

    Returns
    -------
    numpy.ndarray
        Shape ``(N,)``, true where selected. Ties keep the order of the units' positions.

    Raises
    ------
    ValueError
        If lengths differ, a stratum has no size, or a size exceeds its stratum.
    """
    labels, code, count = np.unique(np.asarray(strata, dtype=str), return_inverse=True, return_counts=True)
    if code.shape != numbers.shape:
        raise ValueError(f"{code.size} strata for {numbers.size} numbers; one of each for every unit is expected")
    wanted, begin = np.zeros(len(labels), dtype=np.int64), np.zeros(len(labels))
    for h, label in enumerate(labels):
        name = str(label)
        if name not in sizes:
            raise ValueError(
                f"stratum {name} has {count[h]} units but no sample size; give 0 where none is to be asked"
            )
        if not 0 <= sizes[name] <= count[h]:
            raise ValueError(f"stratum {name}: {sizes[name]} units asked for, the frame has {count[h]}")
        wanted[h] = sizes[name]
        begin[h] = start if isinstance(start, int | float) else start[name]
    distance = (numbers - begin[code]) % 1.0
    order = np.lexsort((distance, code))
    first = np.concatenate([[0], np.cumsum(count)[:-1]])
    rank = np.arange(len(order)) - np.repeat(first, count)
    chosen = np.zeros(len(order), dtype=bool)
    chosen[order] = rank < np.repeat(wanted, count)
    return chosen
