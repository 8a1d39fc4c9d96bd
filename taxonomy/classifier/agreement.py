"""How far coders agree beyond chance: Cohen's kappa and Krippendorff's alpha, with intervals, at each level of the catalogue."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from taxonomy.classifier.gold import at_level

F64 = npt.NDArray[np.float64]
LEVELS: Final = {1: "branch", 2: "class", 3: "leaf"}
Value = Hashable


@dataclass(frozen=True)
class Coefficient:
    """An agreement coefficient with its interval; NaN where chance agreement is certain and nothing can be said."""

    value: float
    low: float
    high: float
    observed: float
    expected: float
    n: int


def cohen_kappa(first: Sequence[Value], second: Sequence[Value], confidence: float = 0.95) -> Coefficient:
    """Cohen's kappa of two coders over the units both coded (None: not coded).

    The interval is the large-sample one of Fleiss, Cohen & Everitt (1969), *Psychological Bulletin* 72, 323-327.
    ``observed`` and ``expected`` are shares of agreement.

    Raises
    ------
    ValueError
        If the sequences differ in length.
    """
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    if not pairs:
        return Coefficient(np.nan, np.nan, np.nan, np.nan, np.nan, 0)
    index = {v: i for i, v in enumerate(dict.fromkeys(v for pair in pairs for v in pair))}
    table = np.zeros((len(index), len(index)))
    for a, b in pairs:
        table[index[a], index[b]] += 1.0
    n = len(pairs)
    p = table / n
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    observed, expected = float(np.trace(p)), float(rows @ columns)
    if expected >= 1.0:
        return Coefficient(np.nan, np.nan, np.nan, observed, expected, n)
    kappa = (observed - expected) / (1.0 - expected)
    error = _kappa_error(p, rows, columns, kappa, expected, n)
    z = float(ndtri(0.5 + confidence / 2.0))
    return Coefficient(kappa, max(kappa - z * error, -1.0), min(kappa + z * error, 1.0), observed, expected, n)


def _kappa_error(p: F64, rows: F64, columns: F64, kappa: float, expected: float, n: int) -> float:
    on = float((np.diag(p) * (1.0 - (rows + columns) * (1.0 - kappa)) ** 2).sum())
    weights = (columns[:, None] + rows[None, :]) ** 2
    off = (1.0 - kappa) ** 2 * float((p * weights).sum() - (np.diag(p) * np.diag(weights)).sum())
    rest = (kappa - expected * (1.0 - kappa)) ** 2
    return float(np.sqrt(max(on + off - rest, 0.0) / n) / (1.0 - expected))


def _counts(ratings: Sequence[Sequence[Value]]) -> F64:
    """Units × values: how many coders gave a unit a value; units with fewer than two values left out."""
    units = [[v for v in unit if v is not None] for unit in zip(*ratings, strict=True)]
    units = [unit for unit in units if len(unit) > 1]
    index = {v: i for i, v in enumerate(dict.fromkeys(v for unit in units for v in unit))}
    counts = np.zeros((len(units), len(index)))
    for row, unit in enumerate(units):
        for value in unit:
            counts[row, index[value]] += 1.0
    return counts


def _alpha(counts: F64) -> tuple[float, float, float]:
    """Alpha, observed and expected disagreement from units × values."""
    each = counts.sum(axis=1)
    total = each.sum()
    if total < 2:
        return np.nan, np.nan, np.nan
    observed = float(((each**2 - (counts**2).sum(axis=1)) / (each - 1.0)).sum() / total)
    values = counts.sum(axis=0)
    expected = float((total**2 - (values**2).sum()) / (total * (total - 1.0)))
    return (1.0 - observed / expected if expected > 0 else np.nan), observed, expected


def krippendorff_alpha(
    ratings: Sequence[Sequence[Value]], *, confidence: float = 0.95, replicates: int = 1_000, seed: int = 20221101
) -> Coefficient:
    """Krippendorff's alpha for nominal data, any number of coders, missing values allowed.

    Parameters
    ----------
    ratings
        One sequence a coder over the same units; None where the coder gave no value. Units with one value do not count.
    replicates
        Bootstrap resamples of units for the percentile interval (fixed seed: the same data give the same interval).

    Returns
    -------
    Coefficient
        ``observed`` and ``expected`` are shares of *dis*agreement, ``n`` the units that could be compared. Source:
        Krippendorff (2011), *Computing Krippendorff's Alpha-Reliability*.
    """
    counts = _counts(ratings)
    value, observed, expected = _alpha(counts)
    n = len(counts)
    if n < 2 or np.isnan(value):
        return Coefficient(value, np.nan, np.nan, observed, expected, n)
    rng = np.random.default_rng(seed)
    drawn = np.array([_alpha(counts[rng.integers(0, n, n)])[0] for _ in range(replicates)])
    # A resample without any variation has no alpha; it agrees fully, which is what counts for the interval.
    drawn = np.where(np.isnan(drawn), 1.0, drawn)
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(drawn, [tail, 1.0 - tail])
    return Coefficient(value, float(low), float(high), observed, expected, n)


@dataclass(frozen=True)
class LevelAgreement:
    """Agreement of two coders at one level; ``left_out`` units had no comparable answer there."""

    level: str
    kappa: Coefficient
    alpha: Coefficient
    left_out: int


def _value_at(codes: Sequence[str], level: int) -> str | None:
    """The one value of an answer at a level; None when it is undecided, coarser, or a set that differs there."""
    values = {at_level(code, level) for code in codes}
    return values.pop() if len(values) == 1 else None


def agreement_by_level(
    first: Sequence[Sequence[str]], second: Sequence[Sequence[str]], confidence: float = 0.95
) -> tuple[LevelAgreement, ...]:
    """Kappa and alpha at branch, class and leaf level for pairs of answers.

    ``first`` and ``second`` hold the codes of each answer (empty: 无法判定). An answer counts at a level if all its codes
    agree there, so a set of two leaves of one class counts at class level and not at leaf level.
    """
    found = []
    for level, name in LEVELS.items():
        one = [_value_at(codes, level) for codes in first]
        two = [_value_at(codes, level) for codes in second]
        kappa = cohen_kappa(one, two, confidence)
        found.append(
            LevelAgreement(name, kappa, krippendorff_alpha([one, two], confidence=confidence), len(one) - kappa.n)
        )
    return tuple(found)
