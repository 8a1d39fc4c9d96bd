"""Error localisation (错误定位, Fellegi–Holt): the lightest set of variables whose change lets a record satisfy all edits.

Linear programmes on HiGHS ask whether the record can be mended by a set S; where it cannot,
their dual values are the multipliers of an edit implied by the given ones that the record fails and that holds no variable
of S (Fellegi and Holt's implied edit, found only when needed: Garfinkel, Kunnathur and Liepins 1988). Each solution must hit
every such edit. Sets are tried lightest first, so that the first that can be mended is proven lightest. Where very many
sets are of little weight, a mixed-integer programme with a reach for each value takes over (``localisation_mip``).
"""

import heapq
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Final, Literal

import highspy
import numpy as np
from numpy.typing import NDArray

from etl.methods.editing.expressions import EditError
from etl.methods.editing.linear import LinearEdit, linear_system
from etl.methods.editing.localisation_mip import REACH, Programme
from etl.methods.registry import method
from etl.methods.solver import QuietSolver

FloatArray = NDArray[np.float64]
Status = Literal["consistent", "optimal", "time_limit", "infeasible"]
#: Shares of the size of what is compared: infeasibility of a programme; zero coefficient.
INFEASIBLE: Final = 1e-8
VANISHING: Final = 1e-9
MOST_SETS: Final = 400
#: Programmes that mend what the one before left open by its own tolerance (a yuan of thousands of millions); slack, as a
#: multiple of what is left, beyond which a bound is not looked at.
MOST_REFINED: Final = 6
FAR: Final = 1e8


@dataclass(frozen=True)
class Localisation:
    """``variables``: to change, in the order of the table; ``objective``: their weight; ``bound``: no set is lighter.

    ``status``: ``consistent`` (nothing to change), ``optimal`` (proven lightest), ``time_limit`` (a set that works, its
    weight not proven lightest), ``infeasible`` (no values satisfy the edits). ``repair``: values that satisfy all edits.
    ``proof``: ``sets`` (every lighter set fails an implied edit, whatever the values), ``programme`` (among values within
    :data:`~etl.methods.editing.localisation_mip.REACH` times their size), empty where nothing is proven. ``held``: of a
    record that is infeasible, the variables of infinite weight whose given values stand against the edits.
    """

    variables: tuple[str, ...]
    objective: float | None
    bound: float | None
    status: Status
    repair: Mapping[str, float]
    proof: str = ""
    held: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Case:
    """A record (0 where ``missing``), variables ``held`` (infinite weight, given), and the bounds a repair keeps."""

    values: FloatArray
    missing: tuple[int, ...]
    held: frozenset[int]
    lower: FloatArray
    upper: FloatArray


class Localiser:
    """Localises records of one table. ``variables`` fixes the order that decides ties; ``most_sets`` are listed a record

    before the programme takes over. A variable of infinite weight keeps a given value; a missing one adds no weight.

    Raises
    ------
    EditError
        If a weight is not positive or names no variable, or an edit's variable is not there.
    """

    def __init__(
        self,
        edits: Sequence[LinearEdit],
        variables: Sequence[str],
        weights: Mapping[str, float] | None = None,
        *,
        most_sets: int = MOST_SETS,
    ) -> None:
        self.variables = tuple(variables)
        self.most_sets = most_sets
        self._check(weights or {})
        given = np.array([(weights or {}).get(v, 1.0) for v in self.variables])
        self.fixed = frozenset(map(int, np.flatnonzero(np.isinf(given))))
        self.weight = np.where(np.isinf(given), 0.0, given)
        self.system = linear_system(edits, self.variables).scaled()
        self.matrix = self.system.matrix
        self._solver = _Elastic(self.matrix)

    def _check(self, weights: Mapping[str, float]) -> None:
        for name, weight in weights.items():
            if name not in self.variables:
                raise EditError(f"weights: {name} is in no edit; variables: {', '.join(self.variables)}")
            if not weight > 0:
                raise EditError(f"weights: {name}={weight}: expected a positive weight (Inf: never changed)")

    def fails(self, record: FloatArray) -> NDArray[np.bool_]:
        """Edits that a record fails; shape ``(edits,)``; a missing value leaves an edit open."""
        return self.system.fails(record)

    def localise(self, record: FloatArray, *, time_limit: float = 10.0) -> Localisation:
        """The lightest set to change. ``record`` has shape ``(variables,)``; ``nan`` is missing and always in the set.

        Among sets of equal weight the one of fewest variables is taken, then the one whose first variable stands first in
        the table (then the second, …); where the programme decides, the one whose places add up to least. ``time_limit``:
        seconds for this record.
        """
        failed = self.fails(record)
        missing = tuple(int(j) for j in np.flatnonzero(np.isnan(record)))
        if not missing and not failed.any():
            return Localisation((), 0.0, 0.0, "consistent", {}, "sets")
        held = self.fixed - set(missing)
        case = _Case(np.where(np.isnan(record), 0.0, record), missing, held, *self.system.asked(record))
        cuts = [frozenset(map(int, np.flatnonzero(row))) for row in self.matrix[failed]]
        return self._search(case, cuts, time.monotonic() + time_limit)

    def _search(self, case: _Case, found: Sequence[frozenset[int]], deadline: float) -> Localisation:
        cuts, order = list(found), count()
        queue: list[tuple[float, int, tuple[int, ...], int]] = [(*self._key(case.missing), next(order))]
        seen = {case.missing}
        while queue:
            weight, _, chosen, number = heapq.heappop(queue)
            if time.monotonic() > deadline or number > self.most_sets:
                return self._programme(case, [c - case.held for c in cuts], weight, deadline)
            cut = next((c for c in cuts if c.isdisjoint(chosen)), None)
            if cut is None:
                cut = self._cut(case, chosen)
                if cut is None:
                    return self._answer(chosen, weight, "optimal", self._mend(case, chosen)[1], "sets")
                cuts.append(cut)
            if not cut - case.held:
                return self._infeasible(case, cut)
            for j in cut - case.held:
                larger = tuple(sorted((*chosen, j)))
                if larger not in seen:
                    seen.add(larger)
                    heapq.heappush(queue, (*self._key(larger), next(order)))
        raise AssertionError("a cut always leaves a larger set")

    def _infeasible(self, case: _Case, cut: frozenset[int], bound: float | None = None) -> Localisation:
        return Localisation(self._named(case.missing), None, bound, "infeasible", {}, held=self._named(sorted(cut)))

    def _key(self, chosen: tuple[int, ...]) -> tuple[float, int, tuple[int, ...]]:
        return round(float(self.weight[list(chosen)].sum()), 9), len(chosen), chosen

    def _named(self, chosen: Sequence[int]) -> tuple[str, ...]:
        return tuple(self.variables[j] for j in chosen)

    def _answer(
        self, chosen: tuple[int, ...], bound: float, status: Status, values: FloatArray, proof: str = ""
    ) -> Localisation:
        repair = {self.variables[j]: float(values[j]) for j in chosen}
        return Localisation(self._named(chosen), self._key(chosen)[0], bound, status, repair, proof)

    def _programme(self, case: _Case, cuts: list[frozenset[int]], bound: float, deadline: float) -> Localisation:
        known = self._unproven(case, bound)
        if known.status == "infeasible":
            return known
        repaired = np.array([known.repair.get(v, x) for v, x in zip(self.variables, case.values, strict=True)])
        reach = REACH * np.maximum(1.0, np.maximum(np.abs(case.values), np.abs(repaired)))
        programme = Programme(
            self.matrix, case.lower, case.upper, case.values, case.missing, tuple(sorted(case.held)), reach, self.weight
        )
        found = programme.solve(cuts, lambda chosen: self._cut(case, chosen, case.held), deadline)
        if found.chosen is None:
            return replace(known, bound=max(bound, min(found.bound, known.objective or 0.0)))
        return self._answer(
            found.chosen, self._key(found.chosen)[0], "optimal", self._mend(case, found.chosen)[1], "programme"
        )

    def _cut(self, case: _Case, chosen: tuple[int, ...], held: frozenset[int] = frozenset()) -> frozenset[int] | None:
        mended, found = self._mend(case, chosen)
        return None if mended else frozenset(map(int, np.flatnonzero(found))) - held - set(chosen)

    def _mend(self, case: _Case, chosen: Sequence[int]) -> tuple[bool, FloatArray]:
        """Whether the record can be mended, and values of all variables or else an implied edit's coefficients."""
        free = np.zeros(case.values.shape, dtype=bool)
        free[list(chosen)] = True
        values = np.where(free, 0.0, case.values)
        for step in range(MOST_REFINED):
            sums, room = self.matrix @ values, self.system.room(values)
            lower, upper = case.lower - sums, case.upper - sums
            left = np.maximum(lower, -upper) - room
            if step and (left <= 0).all():
                break
            scale = float((left + room)[left > 0].max()) if step else _scale(lower, upper)
            excess, moves, multipliers = self._solver.solve(free, *_near(lower / scale, upper / scale, step))
            if excess > INFEASIBLE and excess * scale > room.max():
                return False, self._implied(multipliers)
            values = np.where(free, values + moves * scale, values)
        return True, values

    def _implied(self, multipliers: FloatArray) -> FloatArray:
        implied: FloatArray = self.matrix.T @ multipliers
        implied[np.abs(implied) <= VANISHING * (np.abs(self.matrix).T @ np.abs(multipliers))] = 0.0
        return implied

    def _unproven(self, case: _Case, bound: float) -> Localisation:
        """A set that works and holds no variable it can do without, found by leaving out the heaviest first."""
        chosen = [j for j in range(len(self.variables)) if j not in case.held]
        mended, values = self._mend(case, chosen)
        if not mended:
            return self._infeasible(case, frozenset(map(int, np.flatnonzero(values))) & case.held, bound)
        for j in sorted(set(chosen) - set(case.missing), key=lambda j: (-self.weight[j], -j)):
            fewer = [k for k in chosen if k != j]
            mended, found = self._mend(case, fewer)
            if mended:
                chosen, values = fewer, found
        return self._answer(tuple(chosen), bound, "time_limit", values)


def _scale(lower: FloatArray, upper: FloatArray) -> float:
    bounds = np.concatenate([lower, upper])
    return max(1.0, float(np.abs(bounds[np.isfinite(bounds)]).max(initial=0.0)))


def _near(lower: FloatArray, upper: FloatArray, step: int) -> tuple[FloatArray, FloatArray]:
    """Bounds of a refining programme: those far away left out, as beside them what is left would be rounding."""
    if step == 0:
        return lower, upper
    return np.where(lower < -FAR, -np.inf, lower), np.where(upper > FAR, np.inf, upper)


class _Elastic:
    """Least total violation of :math:`l \\le A x \\le u` over free x, others zero; keeps one model and its basis."""

    def __init__(self, matrix: FloatArray) -> None:
        rows, columns = matrix.shape
        self.columns = columns
        self._solver: Any = QuietSolver()
        options = {"output_flag": False, "threads": 1, "presolve": "off", "primal_feasibility_tolerance": 1e-10}
        for option, setting in {**options, "dual_feasibility_tolerance": 1e-10, "random_seed": 1}.items():
            self._solver.setOptionValue(option, setting)
        whole = np.hstack([matrix, np.eye(rows), -np.eye(rows)])
        model = highspy.HighsLp()
        model.num_col_, model.num_row_ = columns + 2 * rows, rows
        model.col_cost_ = np.r_[np.zeros(columns), np.ones(2 * rows)]
        model.col_lower_ = np.zeros(columns + 2 * rows)
        model.col_upper_ = np.r_[np.zeros(columns), np.full(2 * rows, highspy.kHighsInf)]
        model.row_lower_, model.row_upper_ = np.zeros(rows), np.zeros(rows)
        held = whole != 0
        model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        model.a_matrix_.start_ = np.r_[0, held.sum(axis=0).cumsum()].astype(np.int32)
        model.a_matrix_.index_ = np.nonzero(held.T)[1].astype(np.int32)
        model.a_matrix_.value_ = whole.T[held.T]
        self._solver.passModel(model)
        self._rows = np.arange(rows, dtype=np.int32)
        self._free = np.arange(columns, dtype=np.int32)

    def solve(
        self, free: NDArray[np.bool_], lower: FloatArray, upper: FloatArray
    ) -> tuple[float, FloatArray, FloatArray]:
        """Total violation, values of the variables, multipliers of the rows."""
        reach = np.where(free, highspy.kHighsInf, 0.0)
        self._solver.changeColsBounds(self.columns, self._free, -reach, reach)
        self._solver.changeRowsBounds(self._rows.size, self._rows, lower, upper)
        self._solver.run()
        if self._solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            self._solver.clearSolver()
            self._solver.run()
        if self._solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            raise ArithmeticError(
                f"error localisation: HiGHS ended with {self._solver.getModelStatus()}; check the size of the coefficients"
            )
        solution = self._solver.getSolution()
        values = np.array(solution.col_value)[: self.columns]
        return float(self._solver.getObjectiveValue()), values, np.array(solution.row_dual)


@method("editing.localise")
def localise_errors(
    records: FloatArray,
    edits: Sequence[LinearEdit],
    variables: Sequence[str],
    weights: Mapping[str, float] | None = None,
    *,
    time_limit: float = 10.0,
) -> tuple[Localisation, ...]:
    """:class:`Localiser` on every row of ``records`` (shape ``(records, variables)``, ``nan`` missing), in order."""
    localiser = Localiser(edits, variables, weights)
    return tuple(localiser.localise(record, time_limit=time_limit) for record in records)
