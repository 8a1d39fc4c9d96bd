"""Attackers who know something of their own: groups alone in cells, and the largest groups."""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from etl.methods.disclosure.verify import exact
from etl.methods.disclosure.verify.facts import Facts
from etl.methods.disclosure.verify.intervals import Asked, Progress, Reach, examine
from etl.methods.disclosure.verify.pattern import Laid
from etl.methods.disclosure.verify.system import System, narrowed

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
LARGEST: Final = 10
VECTORS: Final = 12


@dataclass(frozen=True)
class Wanted:
    """By variable: what must be protected, and who is alone in it (None: nobody, or it is not hidden)."""

    unsafe: BoolArray
    owner: list[str | None]
    asked: Asked


def _inverse(value: int, prime: int) -> int:
    return pow(value, -1, prime)


def aligned(vectors: IntArray, prime: int) -> IntArray:
    """Class of every row up to a factor modulo the prime (-1: zero rows)."""
    classes: dict[bytes, int] = {}
    found = np.full(vectors.shape[0], -1, dtype=np.int64)
    for i, row in enumerate(vectors):
        filled = np.flatnonzero(row)
        if filled.size:
            scaled = row * _inverse(int(row[filled[0]]), prime) % prime
            found[i] = classes.setdefault(scaled.tobytes(), len(classes))
    return found


def exposed_to_owners(system: System, wanted: Wanted, seed: int) -> tuple[list[tuple[str, int]], int]:
    """Unsafe variables that a group alone in other hidden ones determines exactly, and how many groups were tried.

    A group knows the figures of the cells where it is alone: with them fixed, a figure is determined if its row of
    random null vectors is a combination of theirs. Both primes must agree.
    """
    held: dict[str, list[int]] = {}
    for variable, owner in enumerate(wanted.owner):
        if owner is not None and system.block[variable] >= 0:
            held.setdefault(owner, []).append(variable)
    targets = np.flatnonzero(wanted.unsafe & (system.block[: wanted.unsafe.size] >= 0))
    blocks = {owner: np.unique(system.block[cells]) for owner, cells in held.items()}
    most = max((b.size for b in blocks.values()), default=0)
    found: set[tuple[str, int]] | None = None
    for prime in exact.PRIMES:
        vectors = exact.null_vectors(system.equations, max(VECTORS, most + 3), prime, seed)
        leaks = _leaks(system, wanted, blocks, targets, vectors, prime)
        found = leaks if found is None else found | leaks
    return sorted(found or set()), len(held)


def _leaks(
    system: System, wanted: Wanted, blocks: dict[str, IntArray], targets: IntArray, vectors: IntArray, prime: int
) -> set[tuple[str, int]]:
    line = aligned(vectors, prime)
    by_line: dict[int, list[int]] = {}
    for target in targets.tolist():
        by_line.setdefault(int(line[system.block[target]]), []).append(target)
    leaks: set[tuple[str, int]] = set()
    for owner, own in blocks.items():
        reached = [t for b in own.tolist() for t in by_line.get(int(line[b]), ())]
        if own.size > 1:
            reached += targets[_spanned(vectors[own], vectors[system.block[targets]], prime)].tolist()
        leaks |= {(owner, t) for t in reached if wanted.owner[t] != owner}
    return leaks


def _spanned(own: IntArray, others: IntArray, prime: int) -> BoolArray:
    """Which rows of ``others`` are combinations of the rows of ``own`` modulo the prime."""
    own, others = own.copy(), others.copy()
    for i in range(own.shape[0]):
        filled = np.flatnonzero(own[i])
        if not filled.size:
            continue
        pivot = int(filled[0])
        own[i] = own[i] * _inverse(int(own[i, pivot]), prime) % prime
        for rows in (own[i + 1 :], others):
            rows[:] = (rows + (prime - rows[:, pivot : pivot + 1]) * own[i] % prime) % prime
    return np.asarray(~others.any(axis=1), dtype=np.bool_)


def largest(facts: Facts) -> list[str]:
    """Names of the groups with the largest contribution to any cell, which is the widest total."""
    if facts.contributions.is_empty():
        return []
    size = facts.contributions.with_columns(size=facts.contributions["units"].abs()).group_by("who").max()
    return list(size.sort(["size", "who"], descending=[True, False])["who"].head(LARGEST))


@dataclass(frozen=True)
class Room:
    """What an outsider has to solve, how far nodes may deviate, and who contributed what to which variable.

    ``found`` keeps the answers of :meth:`given`.
    """

    laid: Laid
    system: System
    facts: Facts
    variables: dict[int, int]
    bounds: tuple[FloatArray, FloatArray]
    found: dict[str, FloatArray] = field(default_factory=dict)

    def given(self, name: str) -> FloatArray:
        """A group's contribution to every node that is a cell (at least nothing); nothing is claimed of the others."""
        if name not in self.found:
            result = np.zeros(self.laid.problem.relations.shape[1])
            rows = self.facts.contributions.filter(self.facts.contributions["who"] == name)
            for cell, units in rows.select("cell", "units").rows():
                variable = self.variables.get(cell, -1)
                if variable >= 0:
                    result[variable] = max(float(units), 0.0)
            self.found[name] = result
        return self.found[name]

    def pinned(
        self, names: list[str], wanted: Wanted, targets: IntArray, seed: int, progress: Progress | None
    ) -> IntArray:
        """Targets that groups, pooling what they gave, can pin down to less than a unit."""
        low, known = self.bounds[0], np.zeros(self.bounds[0].size, dtype=np.bool_)
        known[[v for v, owner in enumerate(wanted.owner) if owner in names]] = True
        if not self.laid.problem.negative:
            value = self.laid.problem.node_values.astype(np.float64)
            low = np.maximum(low, np.sum([self.given(name) for name in names], axis=0) - value)
        system = narrowed(self.system, known, np.minimum(low, 0.0), self.bounds[1])
        nothing, unit = np.zeros(low.size), np.zeros(low.size)
        unit[targets] = 1.0
        verdict = examine(Reach(system), targets, Asked(nothing, nothing, unit), seed, None, progress)
        return targets[verdict.failed]


def pinned_by_largest(
    room: Room, wanted: Wanted, names: list[str], seed: int, progress: Progress | None
) -> list[tuple[str, int]]:
    """(group, variable): unsafe variables of others that one of the groups can pin down to less than a unit.

    What all of them together (but the group whose own figure it is) cannot pin down none of them can; only the rest is
    tried group by group.
    """
    if not names:
        return []
    owned: dict[str | None, list[int]] = {}
    for target in np.flatnonzero(wanted.unsafe).tolist():
        owner = wanted.owner[target]
        owned.setdefault(owner if owner in names else None, []).append(target)
    rest = np.zeros(0, dtype=np.int64)
    for owner, targets in owned.items():
        others = [name for name in names if name != owner]
        rest = np.union1d(rest, room.pinned(others, wanted, np.array(targets, dtype=np.int64), seed, progress))
    found: list[tuple[str, int]] = []
    for name in names:
        theirs = np.array([v for v in rest.tolist() if wanted.owner[v] != name], dtype=np.int64)
        if theirs.size:
            found += [(name, v) for v in room.pinned([name], wanted, theirs, seed, progress).tolist()]
    return found


def summary(found: list[tuple[str, int]], laid: Laid, tried: int) -> dict[str, Any]:
    """The check's part of the report."""
    cells = np.array(sorted({t for _, t in found}), dtype=np.int64)
    return {
        "passed": not found, "groups": tried, "exposed": int(cells.size), "cells": laid.names(cells),
        "by": sorted({o for o, _ in found})[:20],
    }  # fmt: skip
