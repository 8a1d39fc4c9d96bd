"""What published cells, and no value being negative, tell of hidden ones: linear programmes on HiGHS."""

from dataclasses import dataclass, replace
from typing import Any, Final

import highspy
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
REACH: Final = 1e4
TOLERANCE: Final = 1e-9
#: Smallest movement, in units of the programme, told from the solver's tolerance; least relative width.
VISIBLE: Final = 1e-4
LEAST_WIDTH: Final = 1e-3


@dataclass(frozen=True)
class Move:
    """A table that agrees with all published cells: atoms plus ``step``; ``price``: rows' shadow prices.

    ``unit``: scale of the programme; changes of less than ``VISIBLE`` units may be the solver's tolerance.
    """

    step: FloatArray
    unit: float
    price: FloatArray


class _Quiet(highspy.Highs):  # type: ignore[misc]
    """The solver without its banner, which is written as soon as call-backs are enabled."""

    def enableCallbacks(self) -> None:
        self.setOptionValue("output_flag", False)
        super().enableCallbacks()


class Attacker:
    """Optimises over all tables that agree with the published cells.

    Unknowns are the atoms' deviations from their true values, so that zero is a solution and right-hand
    sides vanish: :math:`A d = 0,\\; d \\ge -z`. ``published`` has shape ``(rows, atoms)``, ``atoms`` (true,
    positive values) shape ``(atoms,)``. Deviations are limited to ``REACH`` units each way: a part of what
    is feasible, never more.
    """

    def __init__(self, published: BoolArray, atoms: FloatArray) -> None:
        self.atoms = atoms
        self.matrix = published.astype(np.float64)
        self._solver: Any = _Quiet()
        for option, setting in (
            ("threads", 1),
            ("random_seed", 1),
            ("primal_feasibility_tolerance", TOLERANCE),
        ):
            self._solver.setOptionValue(option, setting)
        size, rows = atoms.shape[0], published.shape[0]
        zeros, empty = np.zeros(size), np.array([], dtype=np.int32)
        self._solver.addCols(size, zeros, zeros, zeros, 0, np.zeros(size, dtype=np.int32), empty, np.array([]))
        row, column = np.nonzero(published)
        starts = np.searchsorted(row, np.arange(rows)).astype(np.int32)
        self._solver.addRows(
            rows, np.zeros(rows), np.zeros(rows), row.size, starts, column.astype(np.int32), np.ones(row.size)
        )
        self._solver.changeObjectiveSense(highspy.ObjSense.kMaximize)

    def maximise(self, objective: FloatArray, unit: float) -> Move:
        """The feasible table with the largest ``objective @ step``; deviations are scaled by ``unit``.

        The step is checked and, where the solver's tolerance left it outside, shrunk: a step that breaks a
        published equation by more than rounding counts as none.
        """
        size = self.atoms.shape[0]
        index = np.arange(size, dtype=np.int32)
        lower = -np.minimum(self.atoms / unit, REACH)
        self._solver.changeColsBounds(size, index, lower, np.full(size, REACH))
        self._solver.changeColsCost(size, index, objective)
        self._solver.run()
        solution = self._solver.getSolution()
        if self._solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return Move(np.zeros(size), unit, np.zeros(self.matrix.shape[0]))
        scaled = np.asarray(solution.col_value)
        broken = float(np.abs(self.matrix @ scaled).max(initial=0.0))
        below = float((lower - scaled).max(initial=0.0))
        if max(broken, below) > VISIBLE / 1000:
            scaled = np.zeros(size)
        return Move(scaled * unit, unit, np.asarray(solution.row_dual))


def widths(
    attacker: Attacker, targets: BoolArray, enough: float, seed: int, rounds: int = 12
) -> tuple[FloatArray, dict[int, FloatArray]]:
    """Width of the interval of every target relative to its value: at least the figure given.

    ``targets`` shape ``(targets, atoms)``. First random signed sums of all targets that are not yet wide
    ``enough`` (every solution is a table for all targets at once: bulk certification), then one programme
    per side of those left. Also returned: shadow prices of the published rows for each target that stayed
    narrower than ``enough``.
    """
    rows = targets.astype(np.float64)
    value = rows @ attacker.atoms
    low, high = np.zeros(value.shape[0]), np.zeros(value.shape[0])

    def note(move: Move) -> None:
        change = rows @ move.step
        change = np.where(np.abs(change) < VISIBLE * move.unit, 0.0, change) / value
        np.minimum(low, change, out=low)
        np.maximum(high, change, out=high)

    random = np.random.default_rng(seed)
    for _ in range(rounds):
        open_targets = np.flatnonzero(high - low < enough)
        if open_targets.size == 0:
            break
        unit = float(np.exp(np.median(np.log(value[open_targets]))))
        signs = random.choice([-1.0, 1.0], open_targets.size) * np.minimum(unit / value[open_targets], REACH)
        move = attacker.maximise(signs @ rows[open_targets], unit)
        note(move)
        note(replace(move, step=_opposite(attacker.atoms, move.step)))
        if np.count_nonzero(high - low < enough) > 0.98 * open_targets.size:
            break
    prices: dict[int, FloatArray] = {}
    for target in np.flatnonzero(high - low < enough):
        moves = [attacker.maximise(sign * rows[target], float(value[target])) for sign in (1.0, -1.0)]
        for move in moves:
            note(move)
        if high[target] - low[target] < enough:
            prices[int(target)] = np.abs(moves[0].price) + np.abs(moves[1].price)
    return high - low, prices


def _opposite(atoms: FloatArray, step: FloatArray) -> FloatArray:
    """The longest step against ``step`` that keeps every atom at zero or more."""
    falling = step > 0
    length = float((atoms[falling] / step[falling]).min()) if falling.any() else 0.0
    return -min(length, 1.0) * step
