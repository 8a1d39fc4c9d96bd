"""Which move certifies which bound of which unsafe cell, and which moves fall when a cell is published."""

from collections import defaultdict
from typing import Final

import numpy as np
from numpy.typing import NDArray

from etl.methods.disclosure.moves import ERROR, Move
from etl.methods.disclosure.sensitivity import Sensitivity

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Side = tuple[int, int]
UP: Final = 0
DOWN: Final = 1
SIGN: Final = (1.0, -1.0)


def needed(found: Sensitivity, room: FloatArray) -> FloatArray:
    """Distance every unsafe variable must be able to move up and down, shape ``(2, variables)``; 0 where none.

    A width beyond the two distances is asked of the lower side where the value leaves room for it (``room``: value
    less what everybody knows), else of the upper one.
    """
    need = np.stack([found.upper, found.lower]).astype(np.float64)
    lack = np.maximum(found.width - need.sum(axis=0), 0)
    down = need[DOWN] + lack <= room
    need[DOWN] += np.where(down, lack, 0)
    need[UP] += np.where(down, 0, lack)
    return np.where(found.unsafe, need, 0.0)


class Book:
    """Moves found so far. ``by``: number of the move that certifies a side, -1 if none, shape ``(2, variables)``."""

    def __init__(self, need: FloatArray, room: FloatArray, longest: float = 1e3) -> None:
        self.need = need
        self.room = room
        #: Longest move against another; 1 where published cells move within their rounding.
        self.longest = longest
        self.moves: dict[int, Move] = {}
        self.by = np.where(need > 0, -1, -2).astype(np.int64)
        self._next = 0
        self._sides: dict[int, set[Side]] = defaultdict(set)
        self._movers: dict[int, set[int]] = defaultdict(set)

    @property
    def open(self) -> list[Side]:
        """Sides without a certificate, those that need most first."""
        side, variable = np.nonzero(self.by == -1)
        order = np.argsort(-self.need[side, variable], kind="stable")
        return list(zip(side[order].tolist(), variable[order].tolist(), strict=True))

    def note(self, move: Move) -> None:
        """Enter a move, and the longest one against it, for all sides they certify and nothing has yet."""
        for way in (move, self._opposite(move)):
            sides = self._certified(way)
            sides = [(s, v) for s, v in sides if self.by[s, v] == -1]
            if sides:
                self._enter(way, sides)

    def certifies(self, move: Move, side: int, variable: int) -> bool:
        """Whether the move takes the variable far enough."""
        return (side, variable) in self._certified(move)

    def _certified(self, move: Move) -> list[Side]:
        inside = move.nodes < self.need.shape[1]
        variables, step = move.nodes[inside], move.step[inside]
        result: list[Side] = []
        for side in (UP, DOWN):
            need = self.need[side, variables]
            far = (need > 0) & (SIGN[side] * step >= need * (1 - ERROR))
            result.extend((side, int(v)) for v in variables[far])
        return result

    def _opposite(self, move: Move) -> Move:
        rising = move.step > 0
        length = float((self.room[move.nodes[rising]] / move.step[rising]).min(initial=self.longest))
        return Move(move.nodes, -length * move.step)

    def _enter(self, move: Move, sides: list[Side]) -> None:
        number = self._next
        self._next += 1
        self.moves[number] = move
        for node in move.nodes.tolist():
            self._movers[node].add(number)
        for side in sides:
            self.by[side] = number
            self._sides[number].add(side)

    def using(self, node: int) -> list[Side]:
        """Sides certified by a move of the node."""
        return sorted(side for number in self._movers.get(node, ()) for side in self._sides[number])

    def replace(self, sides: list[Side], moves: list[Move]) -> None:
        """Certify sides anew by other moves, which must certify them all; moves nobody needs are dropped."""
        for side in sides:
            number = int(self.by[side])
            self._sides[number].discard(side)
            if not self._sides[number]:
                for node in self.moves.pop(number).nodes.tolist():
                    self._movers[node].discard(number)
                del self._sides[number]
            self.by[side] = -1
        for move in moves:
            self.note(move)

    def reached(self) -> FloatArray:
        """Farthest certified distances up and down of every variable, shape ``(2, variables)``."""
        far = np.zeros_like(self.need)
        for move in self.moves.values():
            inside = move.nodes < far.shape[1]
            variables, step = move.nodes[inside], move.step[inside]
            np.maximum.at(far[UP], variables, step)
            np.maximum.at(far[DOWN], variables, -step)
        return far
