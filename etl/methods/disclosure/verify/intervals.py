"""What an attacker can infer of hidden figures: how far each can lie from its true value, proved by whole tables."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from etl.methods.disclosure.verify.programme import Programmes
from etl.methods.disclosure.verify.system import System

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Progress = Callable[[str, int, int], None]
#: What a solver's tolerance may take from a proved distance.
NEAR: Final = 1 - 1e-6
#: Bulk programmes end when one settles fewer sides than this.
WORTH: Final = 4
ROUNDS: Final = 400


@dataclass(frozen=True)
class Asked:
    """Distances figures must be able to go, all of shape ``(figures,)``: up, down, and both together."""

    up: FloatArray
    down: FloatArray
    width: FloatArray


class Reach:
    """Distances proved so far by block: ``high[b]`` up and ``low[b]`` down; ``stuck`` sides cannot go further."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.programmes = Programmes(system)
        self.high, self.low = np.zeros(system.size), np.zeros(system.size)
        self.stuck = np.zeros((2, system.size), dtype=np.bool_)

    def note(self, move: FloatArray | None) -> None:
        """Learn from a table."""
        if move is not None:
            np.maximum(self.high, move, out=self.high)
            np.maximum(self.low, -move, out=self.low)

    def figures(self) -> tuple[FloatArray, FloatArray]:
        """Distances proved of every figure: down and up, shape ``(figures,)``."""
        ahead = self.system.sign > 0
        high, low = np.append(self.high, 0.0)[self.system.block], np.append(self.low, 0.0)[self.system.block]
        return np.where(ahead, low, high), np.where(ahead, high, low)


@dataclass(frozen=True)
class Verdict:
    """Outcome for the figures asked about: flags of shape ``(targets,)``; ``unproved``: the search ended before them."""

    targets: IntArray
    short_up: BoolArray
    short_down: BoolArray
    narrow: BoolArray
    unproved: BoolArray

    @property
    def failed(self) -> BoolArray:
        """Targets that are not proved far enough."""
        return self.short_up | self.short_down | self.narrow


def examine(
    reach: Reach,
    targets: IntArray,
    asked: Asked,
    seed: int,
    failures: int | None = None,
    progress: Progress | None = None,
) -> Verdict:
    """Prove every target's distances, in bulk as long as that pays, then side by side.

    Parameters
    ----------
    reach
        What is proved; extended in place.
    targets
        Numbers of figures.
    asked
        Distances, by figure.
    failures
        End after so many targets are known to fail (None: judge every one).
    """
    random = np.random.default_rng(seed)
    inside = targets[reach.system.block[targets] >= 0]
    for _ in range(ROUNDS):
        blocks, aims = _open(reach, inside, asked)
        sides = int((aims > 0).sum())
        if sides == 0:
            break
        if progress:
            progress("bulk", targets.size - sides, targets.size)
        _bulk(reach, blocks, aims, random)
        if sides - int((_open(reach, inside, asked)[1] > 0).sum()) < min(WORTH, max(1, sides // 2)):
            break
    done = _singles(reach, inside, asked, failures, progress)
    return _judge(reach, targets, asked, done)


def _lack(reach: Reach, figures: IntArray, asked: Asked) -> tuple[FloatArray, FloatArray]:
    """How far every figure still has to go, up and down (0: far enough)."""
    low, high = (side[figures] for side in reach.figures())
    up, down, width = asked.up[figures], asked.down[figures], asked.width[figures]
    wide = low + high >= NEAR * width
    more_up = np.where((high >= NEAR * up) & wide, 0.0, np.maximum(up, np.where(wide, 0.0, width - low)))
    more_down = np.where(low >= NEAR * down, 0.0, down)
    return more_up, more_down


def _open(reach: Reach, figures: IntArray, asked: Asked) -> tuple[IntArray, FloatArray]:
    """Blocks with sides not yet proved, and what is asked of them, shape ``(2, blocks)``: up, down."""
    system = reach.system
    more_up, more_down = _lack(reach, figures, asked)
    aims = np.zeros((2, system.size))
    block, ahead = system.block[figures], system.sign[figures] > 0
    np.maximum.at(aims[0], block, np.where(ahead, more_up, more_down))
    np.maximum.at(aims[1], block, np.where(ahead, more_down, more_up))
    aims[reach.stuck] = 0.0
    aims[0] = np.where(system.high < NEAR * aims[0], 0.0, aims[0])
    aims[1] = np.where(-system.low < NEAR * aims[1], 0.0, aims[1])
    blocks = np.flatnonzero(aims.any(axis=0))
    return blocks, aims[:, blocks]


def _bulk(reach: Reach, blocks: IntArray, aims: FloatArray, random: np.random.Generator) -> None:
    """One programme for a random part of the open sides: about as many as tables can move without getting in each other's way."""
    count = max(1, min(blocks.size, max(24, blocks.size // 5)))
    chosen = random.permutation(blocks.size)[:count]
    both = (aims[0, chosen] > 0) & (aims[1, chosen] > 0)
    upwards = np.where(both, random.random(count) < 0.5, aims[0, chosen] > 0)
    signed = np.where(upwards, aims[0, chosen], -aims[1, chosen])
    move = reach.programmes.together(blocks[chosen], signed, 0.1 + random.random(count))
    reach.note(move)
    if move is not None:
        reach.note(_opposite(reach.system, move))


def _opposite(system: System, move: FloatArray) -> FloatArray:
    """The longest step against a move that stays within bounds."""
    with np.errstate(divide="ignore", invalid="ignore"):
        down = np.where(move > 0, -system.low / move, np.inf)
        up = np.where(move < 0, -system.high / move, np.inf)
    length = min(1.0, float(down.min(initial=np.inf)), float(up.min(initial=np.inf)))
    return -max(length, 0.0) * move


def _singles(
    reach: Reach, figures: IntArray, asked: Asked, failures: int | None, progress: Progress | None
) -> BoolArray:
    """One programme a side for what is left; which figures were judged."""
    judged = np.ones(figures.size, dtype=np.bool_)
    failed = 0
    for place in np.argsort(reach.system.block[figures], kind="stable").tolist():
        one = figures[place : place + 1]
        lack_up, lack_down = (float(side[0]) for side in _lack(reach, one, asked))
        if lack_up <= 0 and lack_down <= 0:
            continue
        if failures is not None and failed >= failures:
            judged[place] = False
            continue
        if progress:
            progress("single", place, figures.size)
        block, sign = int(reach.system.block[one[0]]), int(reach.system.sign[one[0]])
        if lack_up > 0:
            _side(reach, block, sign, max(lack_up, float(asked.up[one[0]])))
        low, high = (float(side[one[0]]) for side in reach.figures())
        missing = max(float(asked.down[one[0]]), float(asked.width[one[0]]) - high)
        if low < NEAR * missing:
            _side(reach, block, -sign, missing)
        lack_up, lack_down = (float(side[0]) for side in _lack(reach, one, asked))
        failed += lack_up > 0 or lack_down > 0
    return judged


def _side(reach: Reach, block: int, direction: int, aim: float) -> None:
    side = 0 if direction > 0 else 1
    if reach.stuck[side, block] or aim <= 0:
        return
    move, best = reach.programmes.furthest(block, direction, aim)
    reach.note(move)
    got = 0.0 if move is None else direction * float(move[block])
    if got < NEAR * aim and not best:
        reach.note(reach.programmes.together(np.array([block]), np.array([direction * aim]), np.ones(1)))
    reach.stuck[side, block] = best and got < NEAR * aim


def _judge(reach: Reach, targets: IntArray, asked: Asked, done: BoolArray) -> Verdict:
    low, high = (side[targets] for side in reach.figures())
    up, down, width = asked.up[targets], asked.down[targets], asked.width[targets]
    unproved = np.zeros(targets.size, dtype=np.bool_)
    unproved[np.flatnonzero(reach.system.block[targets] >= 0)[~done]] = True
    return Verdict(
        targets, high < NEAR * up, low < NEAR * down, low + high < NEAR * width, unproved
    )  # fmt: skip


def exact_bounds(reach: Reach) -> None:
    """Extend what is proved to the true bounds of every block (small systems); what has none becomes infinite."""
    system = reach.system
    room = float(np.abs(system.low[np.isfinite(system.low)]).sum()) + 1.0
    for block in range(system.size):
        for direction, bound, proved in ((1, system.high[block], reach.high), (-1, -system.low[block], reach.low)):
            most = min(float(bound), room)
            aim = min(most, 10.0 * (abs(float(system.low[block])) if np.isfinite(system.low[block]) else room) + 1.0)
            while proved[block] < NEAR * most:
                move, _ = reach.programmes.furthest(block, direction, aim)
                reach.note(move)
                if proved[block] < NEAR * aim or aim >= most:
                    break
                aim = min(most, 100.0 * aim)
            if np.isinf(bound) and proved[block] >= NEAR * room:
                proved[block] = np.inf
