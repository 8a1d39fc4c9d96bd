"""Several releases of one period under attack together: what did not change is equal, what did changed by little."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import block_diag, coo_array, csr_array, hstack, vstack

from etl.methods.disclosure.ledger import Entry
from etl.methods.disclosure.verify import exact
from etl.methods.disclosure.verify.intervals import Asked, Progress, Reach, examine
from etl.methods.disclosure.verify.system import System, build

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class _Links:
    """Pairs of nodes (numbers over all releases): equal ones; revised ones with the revision."""

    equal: list[tuple[int, int]]
    revised: list[tuple[int, int, float]]


def largest_revision(entries: Sequence[Entry]) -> float:
    """Largest change of any cell between two releases of a period, in units of the finest scale."""
    scale, most = max(e.scale for e in entries), 0.0
    for i, a in enumerate(entries):
        for b in entries[i + 1 :]:
            if a.period == b.period:
                most = max([most, *(abs(y - x) for _, _, x, y in _pairs(a, b, scale))])
    return most


def _pairs(a: Entry, b: Entry, scale: int) -> list[tuple[int, int, float, float]]:
    """Variables of the cells both have, with their values; each pair once."""
    up, down = 10 ** (scale - a.scale), 10 ** (scale - b.scale)
    pairs = {(i, b.variables[k]) for k, i in a.variables.items() if k in b.variables}
    return [
        (i, j, float(a.values[i]) * up if i >= 0 else 0.0, float(b.values[j]) * down if j >= 0 else 0.0)
        for i, j in sorted(pairs)
    ]


def _links(entries: Sequence[Entry], starts: IntArray, scale: int) -> _Links:
    """What is known of cells two releases share. Of units that come or go nobody knows how large they were."""
    links = _Links([], [])
    for p, a in enumerate(entries):
        for q in range(p + 1, len(entries)):
            for i, j, x, y in _pairs(a, entries[q], scale):
                if i < 0 or j < 0:
                    continue
                if x == y:
                    links.equal.append((int(starts[p]) + i, int(starts[q]) + j))
                elif q == p + 1:
                    links.revised.append((int(starts[p]) + i, int(starts[q]) + j, y - x))
    return links


@dataclass(frozen=True)
class Joint:
    """Releases of one period as one system; ``targets`` are nodes over all releases."""

    entries: tuple[Entry, ...]
    starts: IntArray
    system: System
    targets: IntArray
    asked: Asked
    revision: float

    def names(self, nodes: IntArray) -> list[str]:
        """Release and key of nodes."""
        found = []
        for node in nodes.tolist():
            at = int(np.searchsorted(self.starts, node, side="right")) - 1
            local = node - int(self.starts[at])
            key = next((k for k, v in self.entries[at].variables.items() if v == local), "?")
            found.append(f"{self.entries[at].release}: {key}")
        return found


def join(entries: Sequence[Entry], revision: float, exempt: Sequence[str] = ()) -> Joint:
    """Put releases side by side and tie the cells they share.

    ``exempt``: cells whose exposure the officer has accepted.
    """
    scale = max(e.scale for e in entries)
    starts = np.cumsum([0, *(e.size for e in entries)]).astype(np.int64)
    total = int(starts[-1])
    links = _links(entries, starts[:-1], scale)
    factor = [float(10 ** (scale - e.scale)) for e in entries]
    value = np.concatenate([e.values * f for e, f in zip(entries, factor, strict=True)])
    floor = np.concatenate([e.floors * f for e, f in zip(entries, factor, strict=True)])
    low = np.full(total, -np.inf) if any(e.negative for e in entries) else floor - value
    high = np.full(total, np.inf)
    slack = np.array([delta for *_, delta in links.revised])
    # Nobody knows that it is this cell that was revised most: its own revision is not the limit.
    most = np.maximum(revision, 2 * np.abs(slack))
    low, high = np.concatenate([low, -most - slack]), np.concatenate([high, most - slack])
    hidden = np.concatenate([_hidden(e) for e in entries] + [np.ones(slack.size, dtype=np.bool_)])
    relations = _relations(entries, links, total)
    system = build(relations, hidden, np.minimum(low, 0.0), np.maximum(high, 0.0))
    asked = [np.zeros(low.size) for _ in range(3)]
    targets: list[int] = []
    for at, entry in enumerate(entries):
        here = _targets(entry, exempt)
        targets += (here + starts[at]).tolist()
        for side, wanted in zip(asked, (entry.up, entry.down, entry.width), strict=True):
            side[here + starts[at]] = wanted[here] * factor[at]
    return Joint(tuple(entries), starts[:-1], system, np.array(targets, dtype=np.int64), Asked(*asked), revision)


def _hidden(entry: Entry) -> BoolArray:
    return np.concatenate([~entry.published, np.ones(entry.size - entry.published.size, dtype=np.bool_)])


def _targets(entry: Entry, exempt: Sequence[str]) -> IntArray:
    accepted = [v for k, v in entry.variables.items() if k in set(exempt) and v >= 0]
    wanted = entry.unsafe & ~entry.published
    wanted[accepted] = False
    return np.flatnonzero(wanted)


def _relations(entries: Sequence[Entry], links: _Links, total: int) -> csr_array:
    """Sums of every release; equal cells; revised cells, whose difference is a node of its own."""
    extra = len(links.revised)
    sums = hstack(
        [block_diag([e.relations for e in entries]), coo_array((sum(e.relations.shape[0] for e in entries), extra))]
    )
    rows, columns, data = [], [], []
    for row, (i, j) in enumerate(links.equal):
        rows += [row, row]
        columns += [i, j]
        data += [-1, 1]
    for k, (i, j, _) in enumerate(links.revised):
        row = len(links.equal) + k
        rows += [row, row, row]
        columns += [i, j, total + k]
        data += [-1, 1, -1]
    ties = coo_array(
        (np.array(data, dtype=np.int64), (np.array(rows, dtype=np.int64), np.array(columns, dtype=np.int64))),
        shape=(len(links.equal) + extra, total + extra),
    )
    return csr_array(vstack([sums, ties])).astype(np.int64)


def check(joint: Joint, interval: bool, seed: int, progress: Progress | None = None) -> dict[str, dict[str, Any]]:
    """Null space and intervals of every unsafe cell of every release, all releases known."""
    system, targets = joint.system, joint.targets
    still = np.zeros(system.size, dtype=np.bool_)
    for prime in exact.PRIMES:
        still |= ~exact.null_vectors(system.equations, 2, prime, seed).any(axis=1)
    exposed = targets[np.append(still, True)[system.block[targets]]]
    checks: dict[str, dict[str, Any]] = {
        "ledger_null_space": {
            "passed": exposed.size == 0, "releases": len(joint.entries), "targets": int(targets.size),
            "determined": int(exposed.size), "names": joint.names(exposed),
        }
    }  # fmt: skip
    if interval:
        verdict = examine(Reach(system), targets, joint.asked, seed, 150, progress)
        failed = targets[verdict.failed]
        checks["ledger_intervals"] = {
            "passed": failed.size == 0, "targets": int(targets.size), "failed": int(failed.size),
            "names": joint.names(failed),
        }  # fmt: skip
    return checks
