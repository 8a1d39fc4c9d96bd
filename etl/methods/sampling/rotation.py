"""Rotation of the sample and the burden it puts on each unit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from etl.methods.registry import method

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@method("sampling.rotation_starts")
def rotation_starts(
    sizes: Mapping[str, int], units: Mapping[str, int], max_times: int, round_number: int
) -> dict[str, float]:
    """Where the selection of a round begins in each stratum so that no unit is asked more than ``max_times`` in a row.

    The start moves by ``n_h / (N_h * max_times)`` a round: with collocated numbers and an unchanged frame a unit
    enters, stays ``max_times`` rounds (at most one more where ``n_h / max_times`` is no whole number) and rests until
    the start has gone around. Take-all strata do not rotate: their units are asked in every round.

    Parameters
    ----------
    sizes, units
        Sample and population size by stratum.
    max_times
        Rounds in a row a unit may be asked.
    round_number
        0 for the first round.

    Raises
    ------
    ValueError
        If ``max_times`` is below 1 or a stratum has no population size.
    """
    if max_times < 1:
        raise ValueError(f"max_times is {max_times}; a sampled unit is asked at least once")
    lost = sorted(set(sizes) - set(units))
    if lost:
        raise ValueError(f"stratum {lost[0]} has no population size")
    return {h: (round_number * n / (units[h] * max_times)) % 1.0 if 0 < n < units[h] else 0.0 for h, n in sizes.items()}


@dataclass(frozen=True)
class Burden:
    """Of each unit over the rounds: ``times`` asked, ``longest`` run of rounds in a row, ``minutes``; all ``(N,)``."""

    times: IntArray
    longest: IntArray
    minutes: FloatArray


@method("sampling.burden")
def burden(rounds: Sequence[NDArray[np.bool_]], minutes: Sequence[float]) -> Burden:
    """Respondent burden of each unit.

    Parameters
    ----------
    rounds
        One array of shape ``(N,)`` for each round (of any survey), true where the unit was asked, oldest first.
    minutes
        Mean time to answer in each round.

    Raises
    ------
    ValueError
        If there are no rounds, their lengths differ, or there is not one time for each round.
    """
    if not rounds or len(minutes) != len(rounds) or len({r.shape for r in rounds}) != 1:
        raise ValueError("one array of equal length and one time in minutes for each round are expected")
    asked = np.stack(rounds).astype(np.int64)
    longest = run = np.zeros(asked.shape[1], dtype=np.int64)
    for row in asked:
        run = (run + 1) * row
        longest = np.maximum(longest, run)
    return Burden(asked.sum(axis=0), longest, np.asarray(minutes, dtype=np.float64) @ asked)


@method("sampling.spare")
def spare(numbers: FloatArray, start: FloatArray, exhausted: NDArray[np.bool_]) -> FloatArray:
    """Numbers in which units that have been asked often enough stand last in the queue of their stratum.

    For one selection: a unit whose burden over all surveys is used up is put behind all others, each of the two parts
    in its former order; the permanent numbers themselves stay. The choice among the others stays random, but the
    inclusion probability of the spared ones is then 0 as long as others suffice: use it between rounds of rotation,
    and count the spared in the weights (their stratum's ``N_h`` includes them).

    Parameters
    ----------
    numbers, start, exhausted
        Shape ``(N,)``: permanent numbers, start of each unit's stratum, and whether the unit is to be spared.
    """
    behind = (numbers - start) % 1.0
    return np.asarray((start + np.where(exhausted, 0.5 + behind / 2, behind / 2)) % 1.0)
