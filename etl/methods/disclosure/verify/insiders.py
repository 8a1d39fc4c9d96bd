"""Attackers who know something of their own: groups alone in cells, and the largest groups."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from etl.methods.disclosure.verify import exact
from etl.methods.disclosure.verify.facts import Facts
from etl.methods.disclosure.verify.intervals import Asked, Progress, Reach, examine
from etl.methods.disclosure.verify.pattern import Laid
from etl.methods.disclosure.verify.system import System, build

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


def interval_for_group(
    laid: Laid, wanted: Wanted, own: IntArray, floor: FloatArray, bounds: tuple[FloatArray, FloatArray],
    name: str, seed: int, progress: Progress | None,
) -> tuple[IntArray, IntArray]:  # fmt: skip
    """Unsafe variables of others that a group can pin down to less than a unit, and those closer than the rule.

    ``own``: variables where it is alone; ``floor``: its contribution to every node.
    """
    hidden = laid.hidden.copy()
    hidden[own] = False
    value = laid.problem.node_values.astype(np.float64)
    low = bounds[0] if laid.problem.negative else np.maximum(bounds[0], floor - value)
    system = build(laid.problem.relations, hidden, np.minimum(low, 0.0), bounds[1])
    others = np.array([o != name for o in wanted.owner], dtype=np.bool_)
    targets = np.flatnonzero(wanted.unsafe & others & ~laid.published)
    count = laid.problem.relations.shape[1]
    unit = np.zeros(count)
    unit[targets] = 1.0
    none = np.zeros(count)
    reach = Reach(system)
    verdict = examine(reach, targets, Asked(none, none, unit), seed, 50, progress)
    down, up = reach.figures()
    close = (down + up)[targets] < wanted.asked.width[targets]
    return targets[verdict.failed], targets[close]


def floors(laid: Laid, facts: Facts, name: str, numbers: dict[int, int]) -> FloatArray:
    """A group's contribution to every node that is a cell; nothing is claimed of the others."""
    result = np.zeros(laid.problem.relations.shape[1])
    for cell, units in facts.contributions.filter(facts.contributions["who"] == name).select("cell", "units").rows():
        variable = numbers.get(cell, -1)
        if variable >= 0:
            result[variable] = max(float(units), 0.0)
    return result


def summary(found: list[tuple[str, int]], laid: Laid, tried: int) -> dict[str, Any]:
    """The check's part of the report."""
    cells = np.array(sorted({t for _, t in found}), dtype=np.int64)
    return {
        "passed": not found, "groups": tried, "exposed": int(cells.size), "cells": laid.names(cells),
        "by": sorted({o for o, _ in found})[:20],
    }  # fmt: skip
