"""Linear programmes over a system, on HiGHS: many figures at once, or the furthest one figure can go."""

from typing import Any, Final

import highspy
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from etl.methods.disclosure.verify.system import System
from etl.methods.solver import QuietSolver

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
#: Deviations are limited to so many times what is asked: a part of what is feasible, never more.
REACH: Final = 1e4
#: Systems of more blocks are presolved anew for every figure: quicker there than going on from the last solution.
LARGE: Final = 5000
TOLERANCE: Final = 1e-9
#: A solution may break a sum or a bound by so many units, or by this part of its largest deviation.
SLACK, ROUNDING = 1e-3, 1e-9
#: Seconds a programme may take; what is found by then counts, and the rest is tried otherwise.
BULK, SINGLE = 60.0, 300.0
#: Least part of a figure's size that many figures are moved by at once.
LEAST: Final = 1e-3


def _solver(presolve: bool, seconds: float) -> Any:
    solver = QuietSolver()
    for option, setting in (
        ("output_flag", False), ("threads", 1), ("random_seed", 1), ("primal_feasibility_tolerance", TOLERANCE),
        ("presolve", "on" if presolve else "off"), ("time_limit", seconds),
    ):  # fmt: skip
        solver.setOptionValue(option, setting)
    return solver


def _model(matrix: csr_array, cost: FloatArray, bounds: tuple[FloatArray, FloatArray], free: int) -> Any:
    """Rows equal zero but the last ``free`` ones, which are at least zero."""
    model = highspy.HighsLp()
    rows = matrix.shape[0]
    model.num_row_, model.num_col_ = matrix.shape
    model.col_cost_, model.col_lower_, model.col_upper_ = cost, bounds[0], bounds[1]
    model.row_lower_ = np.zeros(rows)
    model.row_upper_ = np.concatenate([np.zeros(rows - free), np.full(free, np.inf)])
    model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    model.a_matrix_.start_, model.a_matrix_.index_ = matrix.indptr, matrix.indices
    model.a_matrix_.value_ = matrix.data
    return model


def _with_caps(sums: csr_array, blocks: IntArray, signs: FloatArray) -> csr_array:
    """Below the sums a row ``signs[k] * d[blocks[k]] - s[k]`` each; ``s`` are columns of their own, to the right."""
    count, size = blocks.size, sums.shape[1]
    caps = np.stack([blocks, size + np.arange(count)], axis=1).ravel()
    signed = np.stack([signs, np.full(count, -1.0)], axis=1).ravel()
    ends = sums.indptr[-1] + 2 * np.arange(1, count + 1)
    return csr_array(
        (
            np.concatenate([sums.data, signed]),
            np.concatenate([sums.indices, caps]),
            np.concatenate([sums.indptr, ends]),
        ),
        shape=(sums.shape[0] + count, size + count),
    )


class Programmes:
    """All programmes of one system; ``bulk_count`` and ``single_count`` say how many were solved."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.matrix = csr_array(system.equations.astype(np.float64))
        self.bulk_count = self.single_count = 0
        self._single: Any = None
        self._priced = -1

    def valid(self, move: FloatArray) -> bool:
        """Whether a move meets every sum and bound, apart from rounding."""
        allowed = SLACK + ROUNDING * float(np.abs(move).max(initial=0.0))
        broken = float(np.abs(self.matrix @ move).max(initial=0.0))
        outside = max(
            float((self.system.low - move).max(initial=0.0)), float((move - self.system.high).max(initial=0.0))
        )
        return max(broken, outside) <= allowed

    def together(self, blocks: IntArray, aims: FloatArray, weights: FloatArray) -> FloatArray | None:
        r"""Move many blocks as far as asked (``aims``, signed): max :math:`\sum w_k s_k`, :math:`s_k \le \min(1, d_k / aim_k)`."""
        system, size, count = self.system, self.system.size, blocks.size
        room = np.minimum(np.abs(system.low), np.abs(system.high))
        scale = np.clip(np.where(np.isfinite(room), room, 1.0), 1.0, None)
        # Much less than a figure's size is lost among the other figures' digits; to go farther than asked does no harm.
        aims = np.sign(aims) * np.maximum(np.abs(aims), LEAST * scale[blocks])
        scale[blocks] = np.abs(aims)
        data = self.matrix.data * scale[self.matrix.indices]
        lengths = np.diff(self.matrix.indptr)
        top = np.ones(lengths.size)
        if data.size:
            top = np.maximum.reduceat(np.abs(data), self.matrix.indptr[:-1])
        sums = csr_array(
            (data / np.repeat(top, lengths), self.matrix.indices, self.matrix.indptr), shape=self.matrix.shape
        )
        matrix = _with_caps(sums, blocks, np.sign(aims))
        low = np.concatenate([np.maximum(system.low / scale, -REACH), np.zeros(count)])
        high = np.concatenate([np.minimum(system.high / scale, REACH), np.ones(count)])
        solver = _solver(presolve=True, seconds=BULK)
        solver.passModel(_model(matrix, np.concatenate([np.zeros(size), -weights]), (low, high), count))
        solver.run()
        self.bulk_count += 1
        values = np.asarray(solver.getSolution().col_value)
        if values.size == 0:
            return None
        move = values[:size] * scale
        return move if self.valid(move) else None

    def furthest(self, block: int, direction: int, aim: float) -> tuple[FloatArray | None, bool]:
        """Move one block as far as it goes in a direction, at most ``aim`` units; whether the solver proved it best."""
        system = self.system
        if self._single is None:
            self._single = _solver(presolve=system.size > LARGE, seconds=SINGLE)
            zeros = np.zeros(system.size)
            self._single.passModel(_model(self.matrix, zeros, (zeros, zeros), 0))
        if self._priced >= 0:
            self._single.changeColCost(self._priced, 0.0)
        self._single.changeColCost(block, float(-direction))
        self._priced = block
        low, high = np.maximum(system.low / aim, -REACH), np.minimum(system.high / aim, REACH)
        low[block], high[block] = max(low[block], -1.0), min(high[block], 1.0)
        self._single.changeColsBounds(system.size, np.arange(system.size, dtype=np.int32), low, high)
        if system.size > LARGE:
            self._single.clearSolver()
        self._single.run()
        self.single_count += 1
        best = self._single.getModelStatus() == highspy.HighsModelStatus.kOptimal
        values = np.asarray(self._single.getSolution().col_value)
        if values.size == 0:
            return None, best
        move = values * aim
        return (move, best) if self.valid(move) else (None, False)
