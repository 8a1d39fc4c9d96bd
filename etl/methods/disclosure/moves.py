"""Tables an attacker cannot rule out: moves along the relations that no published cell sees, found by small programmes."""

from dataclasses import dataclass
from typing import Any, Final

import highspy
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array, hstack

from etl.methods.disclosure import region
from etl.methods.disclosure.blocks import Blocks
from etl.methods.disclosure.problem import Problem
from etl.methods.solver import QuietSolver

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
#: Farthest a node may move, in units of the distance asked for; margin asked beyond it; error allowed in a relation.
REACH: Final = 1e4
MARGIN: Final = 1e-5
ERROR: Final = 1e-7
#: Added to prices where cells without room are made dearer.
STEP: Final = 0.5
#: Rounds of dearer prices for small moves, which make the set of published cells a move needs smaller.
SPARSER: Final = 5


@dataclass(frozen=True)
class Move:
    """Nodes and by how much each moves (units); all other nodes stand still. Feasible within ``ERROR``."""

    nodes: IntArray
    step: FloatArray

    def __post_init__(self) -> None:
        for array in (self.nodes, self.step):
            array.flags.writeable = False


class Mover:
    """Linear programmes over blocks of the table.

    A programme over some of the nodes, the others standing still, finds moves that are feasible in the whole table;
    that it finds none proves nothing unless all hidden nodes take part.
    """

    def __init__(self, problem: Problem, rounding: int = 0) -> None:
        self.problem = problem
        self.rows = csr_array(problem.relations)
        self.columns = csc_array(problem.relations)
        self.pointers = tuple(
            a.astype(np.int64) for a in (self.rows.indptr, self.rows.indices, self.columns.indptr, self.columns.indices)
        )
        self.data = self.rows.data.astype(np.float64)
        self.values = problem.node_values.astype(np.float64)
        self.room = (problem.node_values - problem.node_floors).astype(np.float64)
        if problem.negative:
            self.room[:] = np.inf
        self.rounding = rounding / 2
        self.blocks = Blocks(problem)
        self.space = np.full(self.values.size, -1, dtype=np.int64)
        self.solved = 0
        self._solver: Any = QuietSolver()
        for option, setting in (
            ("threads", 1), ("random_seed", 1), ("presolve", "off"), ("primal_feasibility_tolerance", 1e-9)
        ):  # fmt: skip
            self._solver.setOptionValue(option, setting)

    def region(self, target: int, unit: float, price: FloatArray, width: int) -> tuple[Any, ...]:
        """Local system around the target: see :func:`region.cut`; all nodes of finite price if ``width`` is 0.

        Cells without room for the ``unit`` to be moved count as dearer. A negative ``width`` asks for many cells instead.
        """
        if width:
            size = self.problem.size
            local = np.where(np.isfinite(price[:size]), 0.0, np.inf)
            if width > 0:
                local = (price[:size] + STEP) * np.maximum(1.0, unit / (2 * self.room[:size] + 1e-9)) - STEP
            nodes = self.blocks.pick(target, local, abs(width))
            nodes = np.concatenate([nodes, self._bare(nodes)])
        else:
            nodes = np.flatnonzero(np.isfinite(price))
        row_start, row_index, column_start, column_index = self.pointers
        local_system: tuple[Any, ...] = region.cut(
            row_start, row_index, self.data, column_start, column_index, nodes, self.space
        )
        return local_system

    def _bare(self, nodes: IntArray) -> IntArray:
        """Atoms that are no cells and share a relation with the nodes."""
        size = self.problem.size
        if self.values.size == size:
            return np.zeros(0, dtype=np.int64)
        rows = np.unique(self.columns[:, nodes].indices)
        near = np.unique(self.rows[rows].indices)
        return near[near >= size].astype(np.int64)

    def reach(self, target: int, distance: float, hidden: BoolArray, width: int) -> Move | None:
        """Move the target by ``distance`` (signed) or as far towards it as the block allows.

        ``hidden``: nodes that may move, shape ``(nodes,)``.
        """
        closed = 0.0 if self.rounding else np.inf
        nodes, start, index, value = self.region(target, abs(distance), np.where(hidden, 0.0, closed), width)
        place = np.flatnonzero(nodes == target)
        if place.size == 0:
            return None
        unit = abs(distance)
        lower, upper = self._bounds(nodes, unit, hidden)
        cost = np.zeros(nodes.size)
        at, sign = int(place[0]), 1.0 if distance > 0 else -1.0
        cost[at] = -sign
        lower[at], upper[at] = max(lower[at], -1 - MARGIN), min(upper[at], 1 + MARGIN)
        solution = self._solve(cost, lower, upper, start, index, value)
        return None if solution is None else self._checked(nodes, solution, unit, lower, upper, start, index, value)

    def extent(self, target: int, sign: float, hidden: BoolArray) -> float:
        """How far the target can move in the direction of ``sign``; infinite beyond ``REACH`` times its size."""
        closed = 0.0 if self.rounding else np.inf
        nodes, start, index, value = self.region(target, 1.0, np.where(hidden, 0.0, closed), 0)
        place = np.flatnonzero(nodes == target)
        if place.size == 0:
            return 0.0
        unit = max(1.0, abs(float(self.values[target])))
        lower, upper = self._bounds(nodes, unit, hidden)
        cost = np.zeros(nodes.size)
        cost[place[0]] = -sign
        solution = self._solve(cost, lower, upper, start, index, value)
        far = 0.0 if solution is None else max(0.0, sign * float(solution[place[0]]))
        return np.inf if far >= REACH * (1 - 1e-6) else far * unit

    def cheapest(self, target: int, distance: float, hidden: BoolArray, price: FloatArray, width: int) -> Move | None:
        """Move the target by ``distance`` with the least price of moves of published nodes.

        ``price`` of moving a node by the distance, shape ``(nodes,)``; infinite for nodes that must stand still;
        hidden nodes are free. None if the block does not allow it.
        """
        allowed = hidden | np.isfinite(price)
        nodes, start, index, value = self.region(target, abs(distance), np.where(hidden, 0.0, price), width)
        place = np.flatnonzero(nodes == target)
        if place.size == 0:
            return None
        unit = abs(distance)
        lower, upper = self._bounds(nodes, unit, allowed)
        shown = np.flatnonzero(~hidden[nodes])
        at, sign = int(place[0]), 1.0 if distance > 0 else -1.0
        goal = sign * (1 + MARGIN / 10)
        if not lower[at] <= goal <= upper[at]:
            goal = sign
        if not lower[at] <= goal <= upper[at]:
            return None
        low, high = lower.copy(), upper.copy()
        low[at] = high[at] = goal
        step = self._sparsest(price[nodes[shown]] + 1e-6, shown, low, high, start, index, value)
        if step is None:
            return None
        return self._checked(nodes, step, unit, lower, upper, start, index, value)

    def _sparsest(
        self, weight: FloatArray, shown: IntArray, lower: FloatArray, upper: FloatArray, start: Any, index: Any,
        value: Any,
    ) -> FloatArray | None:  # fmt: skip
        """Steps within the bounds that move few and cheap columns of ``shown``; ``weight`` is their price."""
        size = lower.size
        # A published node is the difference of two moves up and down, so that both have their price.
        wide_index, wide_value, wide_start = _doubled(index, value, start, shown, size)
        low, high = np.concatenate([lower, np.zeros(shown.size)]), np.concatenate([upper, -lower[shown]])
        low[shown] = 0
        cost = np.zeros(size + shown.size)
        cost[shown] = cost[size:] = weight
        solution = self._solve(cost, low, high, wide_start, wide_index, wide_value)
        best, least = solution, np.inf
        for _ in range(SPARSER):
            if solution is None:
                break
            moved = np.abs(solution[shown] - solution[size:])
            paid = float(weight[moved > 1e-9].sum())
            if paid >= least * (1 - 1e-9):
                break
            best, least = solution, paid
            cost[shown] = cost[size:] = weight / (moved + 0.02)
            self._solver.changeColsCost(cost.size, np.arange(cost.size, dtype=np.int32), cost)
            solution = self._run()
        if best is None:
            return None
        step = best[:size].copy()
        step[shown] -= best[size:]
        return step

    def _bounds(self, nodes: IntArray, unit: float, free: BoolArray) -> tuple[FloatArray, FloatArray]:
        upper = np.where(free[nodes], REACH, self.rounding / unit)
        return -np.minimum(self.room[nodes] / unit, upper), upper

    def _solve(
        self, cost: FloatArray, lower: FloatArray, upper: FloatArray, start: Any, index: Any, value: Any
    ) -> FloatArray | None:
        rows = start.size - 1
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = cost.size, rows
        lp.col_cost_, lp.col_lower_, lp.col_upper_ = cost, lower, upper
        lp.row_lower_ = lp.row_upper_ = np.zeros(rows)
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        lp.a_matrix_.num_col_, lp.a_matrix_.num_row_ = cost.size, rows
        lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = start, index, value
        self._solver.passModel(lp)
        return self._run()

    def _run(self) -> FloatArray | None:
        self._solver.run()
        self.solved += 1
        if self._solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        return np.asarray(self._solver.getSolution().col_value)

    def _checked(
        self, nodes: IntArray, solution: FloatArray, unit: float, lower: FloatArray, upper: FloatArray, start: Any,
        index: Any, value: Any,
    ) -> Move | None:  # fmt: skip
        """The solution as a move if it keeps all relations and bounds within ``ERROR`` of the distance asked for."""
        step = np.clip(solution, lower, upper)
        step[np.abs(step) < 1e-9] = 0.0
        matrix = csr_array((value, index, start), shape=(start.size - 1, nodes.size))
        if float(np.abs(matrix @ step).max(initial=0.0)) > ERROR:
            return None
        keep = step != 0
        return Move(nodes[keep], step[keep] * unit) if keep.any() else None


def _doubled(index: Any, value: Any, start: Any, shown: IntArray, size: int) -> tuple[Any, Any, Any]:
    """The rows with a second, negative column for each column in ``shown``."""
    matrix = csr_array((value, index, start), shape=(start.size - 1, size))
    negative = -csc_array(matrix)[:, shown]
    wide = csr_array(hstack([matrix, negative]))
    return wide.indices.astype(np.int32), wide.data, wide.indptr.astype(np.int32)
