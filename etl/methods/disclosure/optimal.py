"""The cheapest certified pattern of a small table: a yardstick for the search, not a method for large tables."""

import time
from dataclasses import dataclass
from typing import Any, Final

import highspy
import numpy as np
from numpy.typing import NDArray

from etl.methods.disclosure.book import SIGN, needed
from etl.methods.disclosure.problem import Problem, ProblemError
from etl.methods.disclosure.sensitivity import Sensitivity
from etl.methods.solver import QuietSolver

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
ROUNDS: Final = 400
ENOUGH: Final = 1e-6


@dataclass(frozen=True)
class Optimum:
    """``hidden`` shape ``(variables,)``; ``cost`` of the secondaries; ``bound``: no pattern is cheaper."""

    hidden: BoolArray
    cost: float
    bound: float
    cuts: int
    rounds: int


class _Separation:
    """Attacker programmes over all nodes, for any degree of hiding between 0 and 1."""

    def __init__(self, problem: Problem) -> None:
        self.size = problem.size
        self.room = (problem.node_values - problem.node_floors).astype(np.float64)
        if problem.negative:
            self.room[:] = np.inf
        rows, nodes = problem.relations.shape
        self.solver: Any = QuietSolver()
        self.solver.setOptionValue("threads", 1)
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = nodes, rows
        lp.col_cost_ = lp.col_lower_ = lp.col_upper_ = np.zeros(nodes)
        lp.row_lower_ = lp.row_upper_ = np.zeros(rows)
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        lp.a_matrix_.num_col_, lp.a_matrix_.num_row_ = nodes, rows
        lp.a_matrix_.start_ = problem.relations.indptr.astype(np.int32)
        lp.a_matrix_.index_ = problem.relations.indices.astype(np.int32)
        lp.a_matrix_.value_ = problem.relations.data.astype(np.float64)
        lp.sense_ = highspy.ObjSense.kMaximize
        self.solver.passModel(lp)
        self.index = np.arange(nodes, dtype=np.int32)

    def cut(self, side: int, variable: int, need: float, hiding: FloatArray) -> FloatArray | None:
        r"""Coefficients of a violated cut :math:`\sum_i c_i y_i \ge 1`, or None if the side is protected.

        With the duals of "move the variable as far as possible", the reduced cost of node i times its room (or the
        whole requirement where it may rise without limit) is the most that hiding i can add (Fischetti and
        Salazar 2000).
        """
        degree = np.concatenate([hiding, np.ones(self.index.size - self.size)])
        room = np.minimum(self.room / need, 1e4)
        lower, upper = -room * degree, np.where(degree > 1e-9, 1e4, 0.0)
        cost = np.zeros(self.index.size)
        cost[variable] = SIGN[side]
        lower[variable], upper[variable] = max(lower[variable], -1.001), min(upper[variable], 1.001)
        self.solver.changeColsBounds(self.index.size, self.index, lower, upper)
        self.solver.changeColsCost(self.index.size, self.index, cost)
        self.solver.run()
        solution = self.solver.getSolution()
        if SIGN[side] * solution.col_value[variable] >= 1 - ENOUGH:
            return None
        reduced = np.asarray(solution.col_dual)
        gain = np.where(reduced > 1e-7, 1.0, np.minimum(1.0, np.maximum(-reduced, 0) * room))
        gain[np.abs(reduced) <= 1e-7] = 0.0
        gain[variable] = 0.0
        return gain[: self.size]


def cheapest_pattern(
    problem: Problem, found: Sensitivity, price: FloatArray, time_limit: float = 120.0, gap: float = 1e-4
) -> Optimum:
    """Branch and cut: cuts of all unprotected sides until none is left, first with fractions, then whole.

    Protects outsiders' bounds only (no singletons). ``price`` of hiding every variable, shape ``(variables,)``.

    Raises
    ------
    ProblemError
        If the table cannot be protected, or the time runs out.
    """
    deadline = time.monotonic() + time_limit
    separation = _Separation(problem)
    need = needed(found, separation.room[: problem.size])
    sides = list(zip(*(a.tolist() for a in np.nonzero(need)), strict=True))
    master = _master(problem, found, price)
    hiding = found.unsafe.astype(np.float64)
    cuts, whole = 0, False
    for rounds in range(ROUNDS):
        if time.monotonic() > deadline:
            raise ProblemError(f"最优解超时 / no optimum within {time_limit} s")
        fresh = [c for s, v in sides if (c := separation.cut(s, v, float(need[s, v]), hiding)) is not None]
        if not fresh and whole:
            hidden = hiding > 0.5
            cost = float(price[hidden & ~found.unsafe].sum())
            return Optimum(hidden, cost, float(master.getInfo().mip_dual_bound), cuts, rounds)
        if not fresh:
            whole = True
            kinds = np.full(problem.size, highspy.HighsVarType.kInteger)
            master.changeColsIntegrality(problem.size, np.arange(problem.size, dtype=np.int32), kinds)
            master.setOptionValue("mip_rel_gap", gap)
        for gain in fresh:
            places = np.flatnonzero(gain).astype(np.int32)
            if places.size == 0:
                raise ProblemError("无法保护 / an unsafe cell cannot be protected even with all else hidden")
            master.addRow(1 - ENOUGH, highspy.kHighsInf, places.size, places, gain[places])
        cuts += len(fresh)
        master.setOptionValue("time_limit", max(1.0, deadline - time.monotonic()) + master.getRunTime())
        master.run()
        hiding = np.clip(np.asarray(master.getSolution().col_value), 0, 1)
        if whole:
            hiding = np.round(hiding)
    raise ProblemError(f"最优解未收敛 / no optimum within {ROUNDS} rounds of cuts")


def _master(problem: Problem, found: Sensitivity, price: FloatArray) -> Any:
    master: Any = QuietSolver()
    for option, setting in (("threads", 1), ("random_seed", 1)):
        master.setOptionValue(option, setting)
    size = problem.size
    lower = found.unsafe.astype(np.float64)
    upper = np.where(found.forced, 0.0, 1.0)
    none = np.array([], dtype=np.int32)
    cost = np.where(found.unsafe, 0.0, price)
    master.addCols(size, cost, lower, upper, 0, np.zeros(size, dtype=np.int32), none, np.array([]))
    return master
