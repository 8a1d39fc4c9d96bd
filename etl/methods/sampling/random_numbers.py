"""Permanent random numbers: one number a unit for life, the same on every machine."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from etl.methods.registry import method

FloatArray = NDArray[np.float64]


@method("sampling.permanent_random_numbers")
def permanent_random_numbers(units: Sequence[str], seed: int) -> FloatArray:
    """Number in [0, 1) of each unit, shape ``(n,)``: 53 bits of BLAKE2b of seed and identifier.

    The same unit keeps its number in every survey with the same seed (positive coordination); another seed, or another
    start of selection, coordinates negatively. Nothing is stored, births have theirs at once.

    Raises
    ------
    ValueError
        If a unit has no identifier.
    """
    if any(not u for u in units):
        raise ValueError("a unit has no identifier; a permanent random number belongs to one")
    key = seed.to_bytes(16, "big", signed=True)
    raw = b"".join(hashlib.blake2b(u.encode(), digest_size=8, key=key).digest() for u in units)
    return (np.frombuffer(raw, dtype=">u8") >> np.uint64(11)).astype(np.float64) * 2.0**-53


@method("sampling.collocate")
def collocate(numbers: FloatArray, strata: Sequence[str], seed: int) -> FloatArray:
    r"""Collocated numbers: equal steps inside each stratum, in the order of the permanent ones.

    .. math:: c_i = (R_i - \epsilon_h) / N_h

    :math:`R_i` the rank (1 to :math:`N_h`), :math:`\epsilon_h` uniform, one for each stratum. An interval of length
    :math:`f` then holds :math:`f N_h` units, give or take one, so that rotation bounds the burden of every unit.

    Raises
    ------
    ValueError
        If lengths differ.
    """
    labels, code, count = np.unique(np.asarray(strata, dtype=str), return_inverse=True, return_counts=True)
    if code.shape != numbers.shape:
        raise ValueError(f"{code.size} strata for {numbers.size} numbers; one of each for every unit is expected")
    order = np.lexsort((numbers, code))
    first = np.concatenate([[0], np.cumsum(count)[:-1]])
    rank = np.empty(len(numbers), dtype=np.float64)
    rank[order] = np.arange(len(numbers)) - np.repeat(first, count) + 1
    shift = permanent_random_numbers([f"stratum:{name}" for name in labels], seed)
    return np.asarray((rank - shift[code]) / count[code])
