"""Primary rules on sparse problems: which variables are unsafe, and how far every bound must stay away."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from etl.methods.disclosure.problem import Problem

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class RuleSet:
    """Parameters of the rules; live ones are confidential.

    ``min_contributors`` groups in a cell; ``p_percent`` of the p% rule (None: not applied); ``dominance``: pairs
    (n, k), unsafe if n contributors hold more than k %; each rule makes primaries of its own.
    ``min_width_percent``: least width of any unsafe cell's interval in per cent of its value, at least one unit (of a
    count at least one, so that it is never known which whole number it is);
    ``singletons``: a group alone in an unsafe cell must not find another unsafe cell.
    """

    min_contributors: int = 3
    p_percent: float | None = 10.0
    dominance: tuple[tuple[int, float], ...] = ()
    min_width_percent: float = 1.0
    singletons: bool = True

    def __post_init__(self) -> None:
        p_valid = self.p_percent is None or 0 <= self.p_percent <= 100
        if self.min_contributors < 1 or not p_valid or not 0 <= self.min_width_percent <= 100:
            raise ValueError(f"expected min_contributors of 1 or more and percentages within 0-100, got {self}")
        if any(n < 1 or not 0 < k <= 100 for n, k in self.dominance):
            raise ValueError(f"dominance takes (n, k) with n of 1 or more and k in (0, 100], got {self.dominance}")


@dataclass(frozen=True)
class Sensitivity:
    """Findings for every variable, all of shape ``(variables,)``; distances in units.

    ``n`` contributing groups; ``unsafe``; ``upper`` and ``lower``: least distance of the bounds from the value (0
    where only exact disclosure matters); ``width``: least width of the interval; ``owner``: number of the group that
    is the only one whose figure is not public, else -1; ``forced``: to be published whatever.
    """

    n: IntArray
    unsafe: BoolArray
    upper: IntArray
    lower: IntArray
    width: IntArray
    owner: IntArray
    forced: BoolArray


@dataclass(frozen=True)
class _Ranked:
    """Contributions of every variable from large to small: entries sorted, ``start`` of every variable's.

    ``total`` the rules' X; ``s`` place of the largest contribution without waiver (-1: none).
    """

    group: IntArray
    size: IntArray
    start: IntArray
    total: IntArray
    s: IntArray

    def top(self, variables: IntArray, count: int) -> IntArray:
        """Sum of the contribution at ``s`` and the ``count - 1`` largest others."""
        sums = np.zeros(variables.size, dtype=np.int64)
        place, end, s = self.start[variables].copy(), self.start[variables + 1], self.s[variables]
        padded = np.append(self.size, 0)
        for _ in range(count - 1):
            place = np.where(place == s, place + 1, place)
            sums += padded[np.where(place < end, place, self.size.size)]
            place += 1
        return sums + self.size[s]


def _ranked(problem: Problem) -> _Ranked:
    matrix = csr_array(problem.incidence @ problem.parts[:, ~problem.known])
    matrix.eliminate_zeros()
    groups = np.flatnonzero(~problem.known)
    row = np.repeat(np.arange(problem.size), np.diff(matrix.indptr))
    size = np.abs(matrix.data)
    order = np.lexsort((matrix.indices, -size, row))
    group, size = groups[matrix.indices[order]].astype(np.int64), size[order]
    start = matrix.indptr.astype(np.int64)
    total = np.zeros(problem.size, dtype=np.int64)
    np.add.at(total, row, size)
    if problem.weighted and not problem.negative:
        public = problem.incidence @ (problem.parts @ problem.known.astype(np.int64))
        total = problem.values - public
    open_at = np.flatnonzero(~problem.waived[group])
    s = np.full(problem.size, -1, dtype=np.int64)
    s[row[open_at[::-1]]] = open_at[::-1]
    return _Ranked(group, size, start, total, s)


def is_safe(sizes: Sequence[int], rules: RuleSet) -> bool:
    """Whether the sum of these contributions, one a group, may be shown by itself: none at all, or as the rules ask.

    ``sizes``: positive whole numbers, in any order.
    """
    ranked = sorted(sizes, reverse=True)
    if not ranked:
        return True
    rest, total = sum(ranked[2:]), sum(ranked)
    near = rules.p_percent is not None and 100 * rest < Fraction(str(rules.p_percent)) * ranked[0]
    held = any(100 * sum(ranked[:n]) > Fraction(str(k)) * total for n, k in rules.dominance)
    return len(ranked) >= rules.min_contributors and not near and not held


def _exact(values: IntArray) -> NDArray[Any]:
    """Python's whole numbers: products of the rules overflow 64 bits."""
    return values.astype(object)


def _p_percent(ranked: _Ranked, rows: IntArray, percent: float) -> tuple[BoolArray, IntArray]:
    r"""Unsafe where :math:`X - x_r - x_s < \tfrac{p}{100} x_s`; distance :math:`\tfrac{p}{100}x_s-(X-x_r-x_s)`."""
    share = Fraction(str(percent)) / 100
    rest = _exact(ranked.total[rows]) - _exact(ranked.top(rows, 2))
    lack = share.numerator * _exact(ranked.size[ranked.s[rows]]) - share.denominator * rest
    return (lack > 0).astype(np.bool_), -(-np.maximum(lack, 0) // share.denominator).astype(np.int64)


def _dominance(ranked: _Ranked, rows: IntArray, count: int, percent: float) -> tuple[BoolArray, IntArray]:
    r"""Unsafe where the n largest hold more than k %; distance :math:`\tfrac{100}{k}(x_1+\dots+x_n)-X`."""
    share = Fraction(str(percent)) / 100
    lack = share.denominator * _exact(ranked.top(rows, count)) - share.numerator * _exact(ranked.total[rows])
    return (lack > 0).astype(np.bool_), -(-np.maximum(lack, 0) // share.numerator).astype(np.int64)


def _by_rules(problem: Problem, rules: RuleSet, result: Sensitivity) -> None:
    """Fill in what contributions say."""
    ranked = _ranked(problem)
    n = np.diff(ranked.start)
    rows = np.flatnonzero(ranked.s >= 0)
    result.n[:] = np.diff(csr_array(problem.incidence @ (problem.parts != 0).astype(np.int64)).indptr)
    alone = np.flatnonzero(n == 1)
    result.owner[alone] = ranked.group[ranked.start[alone]]
    result.unsafe[rows] = n[rows] < rules.min_contributors
    if problem.kind == "frequency":
        return
    found = [] if rules.p_percent is None else [_p_percent(ranked, rows, rules.p_percent)]
    found += [_dominance(ranked, rows, count, percent) for count, percent in rules.dominance]
    for unsafe, distance in found:
        result.unsafe[rows] |= unsafe
        result.upper[rows] = np.maximum(result.upper[rows], distance)
    result.lower[:] = result.upper


def _as_given(problem: Problem, rules: RuleSet, result: Sensitivity) -> None:
    """Statuses and distances given with a finished table go before the rules.

    An unsafe cell without a given distance gets p % of its value: it may be a single contributor's.
    """
    letters = problem.given
    if problem.parts.shape[1] == 0 and problem.kind == "frequency":
        result.unsafe[:] = (problem.values > 0) & (problem.values < rules.min_contributors)
    result.unsafe[np.isin(letters, ("u", "m"))] = True
    result.unsafe[np.isin(letters, ("s", "z"))] = False
    result.forced[letters == "z"] = True
    manual = (letters == "u") & (problem.kind == "magnitude")
    share = Fraction(str(rules.p_percent or 0)) / 100
    margin = -(-_exact(np.abs(problem.values[manual])) * share.numerator // share.denominator)
    for side, asked in ((result.upper, problem.upper), (result.lower, problem.lower)):
        side[manual] = np.maximum(side[manual], margin.astype(np.int64))
        side[asked >= 0] = asked[asked >= 0]


def find_sensitive(problem: Problem, rules: RuleSet) -> Sensitivity:
    r"""Apply all rules to every variable, exactly, on whole numbers.

    With contributions :math:`x_1 \ge x_2 \ge \dots` of the groups that are not public knowledge, and :math:`X` their
    sum (the weighted estimate where units are sampled; absolute values where some are negative): minimum frequency,
    p% and (n, k) rules and required distances of Hundepool et al., *Handbook on Statistical Disclosure Control*,
    2nd ed., tables "Sensitivity rules" and "Upper protection levels"; with waivers :math:`x_s` is the largest
    contribution without one and :math:`x_r` the largest other; lower distances equal upper ones. A cell whose every
    contributor waived, or is public knowledge, is safe.
    """
    size = problem.size
    zeros = [np.zeros(size, dtype=np.int64) for _ in range(4)]
    flags = [np.zeros(size, dtype=np.bool_) for _ in range(2)]
    result = Sensitivity(zeros[0], flags[0], zeros[1], zeros[2], zeros[3], np.full(size, -1, np.int64), flags[1])
    if problem.parts.shape[1]:
        _by_rules(problem, rules, result)
    result.unsafe[problem.silent] = False
    _as_given(problem, rules, result)
    for side in (result.upper, result.lower):
        side[~result.unsafe] = 0
    share = Fraction(str(rules.min_width_percent)) / 100
    values = _exact(np.abs(problem.values[result.unsafe]))
    least = 10**problem.scale if problem.kind == "frequency" else 1
    width = np.maximum(least, -(-values * share.numerator // share.denominator))
    result.width[result.unsafe] = width.astype(np.int64)
    return result
