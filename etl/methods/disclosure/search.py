"""Stage B: hide more until every unsafe cell's bounds are far enough, then publish what is needless."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from etl.methods.disclosure.book import DOWN, SIGN, UP, Book, Side, needed
from etl.methods.disclosure.moves import Move, Mover
from etl.methods.disclosure.problem import Problem, ProblemError
from etl.methods.disclosure.sensitivity import Sensitivity

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Progress = Callable[[str, int, int], None]
#: Codes a dimension of the blocks tried in turn (negative: by number of cells, 0: everything), for proofs, repairs and publishing back.
PROOF: Final = (8, 20)
REPAIR: Final = (20, 36, -24, -48, 0)
EXCHANGE: Final = (10,)
BACK: Final = (8,)
#: With at most this many hidden nodes a proof looks at all of them before more is hidden; with at most this many nodes
#: in all a repair looks at all of them, and with at most so many at large blocks only.
WHOLE: Final = 2500
ALL: Final = 3000
LARGE: Final = 15_000


class OutOfTime(Exception):
    """The time limit passed; what is certified so far stays so."""


@dataclass
class Search:
    """State of the search: ``hidden`` variables, and the certificates. ``price`` of hiding every variable."""

    problem: Problem
    found: Sensitivity
    price: FloatArray
    hidden: BoolArray
    deadline: float = float("inf")
    rounding: int = 0
    progress: Progress | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.mover = Mover(self.problem, self.rounding)
        room = self.mover.room
        longest = 1.0 if self.rounding else 1e3
        self.book = Book(needed(self.found, room[: self.problem.size]), room, longest)
        self.bare = np.ones(self.problem.bare.size, dtype=np.bool_)
        self.repaired = 0

    @property
    def complete(self) -> bool:
        """Whether every side is certified."""
        return not (self.book.by == -1).any()

    def _tick(self, stage: str, done: int, total: int) -> None:
        if time.monotonic() > self.deadline:
            raise OutOfTime(stage)
        if self.progress is not None:
            self.progress(stage, done, total)

    @property
    def nodes(self) -> BoolArray:
        """Nodes nobody is told, shape ``(nodes,)``."""
        return np.concatenate([self.hidden, self.bare])

    def prove(self, side: Side, hidden: BoolArray, sizes: tuple[int, ...]) -> Move | None:
        """A move that certifies the side and moves hidden nodes only, or None if none was found."""
        which, variable = side
        distance = SIGN[which] * self.book.need[side]
        for size in sizes:
            move = self.mover.reach(variable, distance, hidden, size)
            if move is not None:
                if self.book.certifies(move, which, variable):
                    return move
                if which and self.book.certifies(back := self.book._opposite(move), which, variable):
                    return back
        return None

    def certify(self) -> None:
        """Certify all sides; where the hidden cells do not allow it, hide the cheapest cells that do."""
        sides = self.book.open
        hidden = self.nodes
        whole = PROOF if hidden.sum() > WHOLE else (*PROOF[:1], 0)
        for done, side in enumerate(sides):
            self._tick("certify", done, len(sides))
            if self.book.by[side] != -1:
                continue
            move = self.prove(side, hidden, whole)
            if move is None:
                move = self._repair(side, hidden)
                hidden = self.nodes
            self.book.note(move)

    def _repair(self, side: Side, hidden: BoolArray) -> Move:
        """Hide the published cells that the cheapest move of the side needs."""
        move = self._cheapest(side, hidden, self._prices(), self._repairs()) or self._wider(side)
        more = move.nodes[move.nodes < self.problem.size]
        self.repaired += int(np.count_nonzero(~self.hidden[more]))
        self.hidden[more] = True
        return move

    def _repairs(self) -> tuple[int, ...]:
        size = self.hidden.size + self.bare.size
        return REPAIR[-1:] if size <= ALL else REPAIR[1:] if size <= LARGE else REPAIR

    def _prices(self) -> FloatArray:
        """Price of every node; infinite for what must be published."""
        return np.concatenate([np.where(self.found.forced, np.inf, self.price), np.zeros(self.bare.size)])

    def _wider(self, side: Side) -> Move:
        """Last resort: hide all around the cell, farther and farther, until it is certified; ends with everything."""
        relations = self.problem.relations
        near = np.zeros(self.nodes.size, dtype=np.bool_)
        near[side[1]] = True
        while True:
            rows = abs(relations) @ near.astype(np.int64) > 0
            farther = abs(relations).T @ rows.astype(np.int64) > 0
            self.hidden |= farther[: self.problem.size] & ~self.found.forced
            move = self.prove(side, self.nodes, (0,))
            if move is not None:
                return move
            if (farther == near).all():
                raise ProblemError(
                    f"无法保护 / cannot be protected even with all else hidden: {self.problem.name(side[1])}; forced "
                    "published cells, public contributions or a required distance beyond the value stand against it"
                )
            near = farther

    def _cheapest(self, side: Side, hidden: BoolArray, price: FloatArray, sizes: tuple[int, ...]) -> Move | None:
        which, variable = side
        for size in sizes:
            move = self.mover.cheapest(variable, SIGN[which] * self.book.need[side], hidden, price, size)
            if move is not None and self.book.certifies(move, which, variable):
                return move
        return None

    def exchange(self, order: IntArray) -> int:
        """Publish cells in the order given where hiding others costs less; returns how many were published."""
        count = 0
        price = self._prices()
        for done, cell in enumerate(order.tolist()):
            self._tick("exchange", done, order.size)
            if not self.hidden[cell]:
                continue
            sides = self.book.using(cell)
            before = self.hidden.copy()
            self.hidden[cell] = False
            kept, price[cell] = price[cell], np.inf
            moves = self._elsewhere(sides, price, float(kept))
            price[cell] = kept
            if moves is None:
                self.hidden = before
            else:
                self.book.replace(sides, moves)
                count += 1
        return count

    def _elsewhere(self, sides: list[Side], price: FloatArray, budget: float) -> list[Move] | None:
        """Certify the sides anew, hiding further cells for less than the budget; None if that is not possible."""
        moves: list[Move] = []
        left = list(sides)
        while left:
            hidden = self.nodes
            move = self.prove(left[0], hidden, PROOF[:1])
            if move is None:
                move = self._cheapest(left[0], hidden, price, EXCHANGE)
                if move is None:
                    return None
                more = move.nodes[move.nodes < self.problem.size]
                budget -= float(price[more[~self.hidden[more]]].sum())
                if budget <= 1e-9:
                    return None
                self.hidden[more] = True
            moves.append(move)
            certified = self.ways(move)
            left = [side for side in left[1:] if side not in certified]
        return moves

    def ways(self, move: Move) -> set[Side]:
        """Sides that the move or the longest one against it certifies."""
        return set(self.book._certified(move)) | set(self.book._certified(self.book._opposite(move)))

    def publish_back(self, candidates: IntArray) -> int:
        """Publish needless cells in the order given, as long as every side can be certified without them.

        ``candidates`` must be publishable together as far as exact disclosure goes. Returns how many were published.
        """
        count = 0
        for done, cell in enumerate(candidates.tolist()):
            self._tick("publish back", done, candidates.size)
            self.hidden[cell] = False
            hidden, sides = self.nodes, self.book.using(cell)
            moves = self._all(sides, hidden)
            if moves is None:
                self.hidden[cell] = True
                continue
            self.book.replace(sides, moves)
            count += 1
        return count

    def _all(self, sides: list[Side], hidden: BoolArray) -> list[Move] | None:
        moves: list[Move] = []
        left = list(sides)
        while left:
            move = self.prove(left[0], hidden, BACK)
            if move is None:
                return None
            moves.append(move)
            certified = self.ways(move)
            left = [side for side in left[1:] if side not in certified]
        return moves

    def extents(self, cells: IntArray) -> FloatArray:
        """How far each hidden cell can move up and down, everything hidden taking part; infinite beyond ``REACH``.

        Shape ``(2, cells)``. Two programmes over the whole table a cell: for small tables.
        """
        far, hidden = np.zeros((2, cells.size)), self.nodes
        for k, cell in enumerate(cells.tolist()):
            self._tick("bounds", k, cells.size)
            for side in (UP, DOWN):
                far[side, k] = self.mover.extent(cell, SIGN[side], hidden)
        return far
