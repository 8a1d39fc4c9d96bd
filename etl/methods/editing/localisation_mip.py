"""Error localisation as a mixed-integer programme, for records whose lightest set is large."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp

FloatArray = NDArray[np.float64]
#: A changed value may lie this many times its own size (or that of a repair that works) away from what was given.
REACH: Final = 100.0
#: What decides ties, as a share of the least weight: fewer variables, then those that stand first.
TIE: Final = 1e-3


@dataclass(frozen=True)
class Chosen:
    """``chosen`` is proven lightest within the reach if ``proven``, else ``None`` or the best known; ``bound`` on the weight."""

    chosen: tuple[int, ...] | None
    bound: float
    proven: bool


@dataclass(frozen=True)
class Programme:
    r"""Minimise :math:`\sum w_j d_j` subject to :math:`l \le A(x^0 + M t) \le u`, :math:`|t_j| \le d_j \in \{0, 1\}`.

    ``matrix`` A, ``lower``, ``upper`` the edits; ``record`` the given values (0 where ``missing``: those are free and their
    d is 1), those ``held`` keep theirs; ``reach`` M; ``weight`` w. The programme is scaled by M, so that a person count
    and a turnover weigh alike.
    """

    matrix: FloatArray
    lower: FloatArray
    upper: FloatArray
    record: FloatArray
    missing: tuple[int, ...]
    held: tuple[int, ...]
    reach: FloatArray
    weight: FloatArray

    def solve(
        self,
        cuts: Sequence[frozenset[int]],
        cut_of: Callable[[tuple[int, ...]], frozenset[int] | None],
        deadline: float,
    ) -> Chosen:
        """The lightest set. ``cut_of`` gives variables of which one more must change, or ``None`` if a set works.

        The check by ``cut_of`` knows no reach: a set that only seems to work by the solver's tolerance is cut off.
        """
        known, bound = list(cuts), 0.0
        while (left := deadline - time.monotonic()) > 0:
            found = milp(
                self._cost(),
                constraints=self._constraints(known),
                integrality=np.r_[np.zeros(self.weight.size), np.ones(self.weight.size)],
                bounds=self._bounds(),
                options={"time_limit": left, "mip_rel_gap": 0.0},
            )
            bound = max(bound, float(found.mip_dual_bound or 0.0) / (1 + 2 * TIE))
            if found.status != 0:
                return Chosen(None, bound, False)
            chosen = tuple(int(j) for j in np.flatnonzero(found.x[self.weight.size :] > 0.5))
            cut = cut_of(chosen)
            if cut is None:
                return Chosen(chosen, float(self.weight[list(chosen)].sum()), True)
            known.append(cut)
        return Chosen(None, bound, False)

    def _cost(self) -> FloatArray:
        size = self.weight.size
        least = self.weight[self.weight > 0].min(initial=np.inf) if self.weight.any() else 1.0
        tie = TIE * least * (1.0 + np.arange(size) / size) / size
        return np.concatenate([np.zeros(size), self.weight + tie])

    def _bounds(self) -> Bounds:
        size = self.weight.size
        low, high = np.r_[-np.ones(size), np.zeros(size)], np.ones(2 * size)
        for j in self.missing:
            low[j], high[j], low[size + j] = -np.inf, np.inf, 1.0
        for j in self.held:
            low[j], high[j], high[size + j] = 0.0, 0.0, 0.0
        return Bounds(low, high)

    def _constraints(self, cuts: Sequence[frozenset[int]]) -> list[LinearConstraint]:
        size = self.weight.size
        scaled, moved = self.matrix * self.reach, self.matrix @ self.record
        largest = np.abs(scaled).max(axis=1)
        rows = np.hstack([scaled / largest[:, None], np.zeros_like(scaled)])
        found = [LinearConstraint(rows, (self.lower - moved) / largest, (self.upper - moved) / largest)]
        bounded = np.setdiff1d(np.arange(size), self.missing)
        if bounded.size:
            unit = np.eye(size)[bounded]
            both = np.vstack([np.hstack([unit, -unit]), np.hstack([-unit, -unit])])
            found.append(LinearConstraint(both, -np.inf, 0.0))
        if cuts:
            hit = np.array([[1.0 if j in cut else 0.0 for j in range(size)] for cut in cuts])
            found.append(LinearConstraint(np.hstack([np.zeros_like(hit), hit]), 1.0, np.inf))
        return found
