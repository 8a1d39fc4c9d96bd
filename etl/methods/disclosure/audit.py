"""Audit of a suppression pattern, apart from the code that made it; a release needs its certificate."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etl.methods.disclosure.attacker import LEAST_WIDTH, Attacker, widths
from etl.methods.disclosure.primary import Rules
from etl.methods.disclosure.secondary import Pattern, frame_hash
from etl.methods.disclosure.table import TOTAL, Table
from etl.methods.registry import method

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
Check = dict[str, Any]
STATUSES: Final = ("published", "primary", "secondary", "unoffered", "empty")
PROBES: Final = 4
MOVED: Final = 1e-6
LISTED: Final = 20


@dataclass(frozen=True)
class Certificate:
    """Outcome of an audit. Everything but :meth:`public_dict` is restricted.

    ``checks`` maps the name of a check to ``{"passed": bool, ...}`` (JSON-ready); ``counts`` holds cells,
    published, primary, secondary, unoffered and empty.
    """

    passed: bool
    checks: Mapping[str, Check]
    rules: Mapping[str, Any]
    pattern_hash: str
    data_hash: str
    seed: int
    counts: Mapping[str, int]

    def as_dict(self) -> dict[str, Any]:
        """The whole certificate, for the restricted store."""
        return asdict(self)

    def public_dict(self) -> dict[str, Any]:
        """What may be shown: which checks passed and how much is withheld.

        Without parameters, values, keys of cells, hashes (with few unknowns left a plain hash can be
        searched) and without telling primary from secondary cells.
        """
        withheld = self.counts["primary"] + self.counts["secondary"]
        counts = {k: self.counts[k] for k in ("published", "empty")} | {"withheld": withheld}
        counts["cells"] = sum(counts.values())
        return {
            "passed": self.passed,
            "checks": {k: c["passed"] for k, c in self.checks.items()},
            "counts": counts,
        }


@dataclass(frozen=True)
class _View:
    """The pattern as the auditor sees it: ``members`` shape ``(cells, atoms)``, rebuilt from codes alone."""

    frame: pl.DataFrame
    table: Table
    members: BoolArray
    status: NDArray[np.str_]

    def names(self, cells: NDArray[np.int64]) -> list[str]:
        rows = self.frame[cells[:LISTED].tolist()].select("table", *self.table.dims).rows()
        return ["/".join(map(str, row)) for row in rows]

    def distinct(self, chosen: BoolArray) -> tuple[BoolArray, NDArray[np.int64]]:
        """Distinct rows of the chosen cells and the first cell of each."""
        cells = np.flatnonzero(chosen)
        if cells.size == 0:
            return self.members[cells], cells
        rows, first = np.unique(self.members[cells], axis=0, return_index=True)
        return rows, cells[first]


def _is_under(code: str, shown: str, parents: Mapping[str, str | None]) -> bool:
    """Whether ``code`` belongs to ``shown``, walking up the hierarchy."""
    step: str | None = code
    while step is not None and step not in (shown, TOTAL):
        step = parents[step]
    return shown == TOTAL or step == shown


def _members(frame: pl.DataFrame, table: Table) -> BoolArray:
    members = np.ones((frame.height, table.atoms.height), dtype=np.bool_)
    for dim in table.dims:
        codes, parents = table.atoms[dim].to_list(), table.hierarchies[dim]
        distinct = sorted(set(codes))
        position = np.array([distinct.index(c) for c in codes], dtype=np.int64)
        under: dict[str, BoolArray] = {}
        for row, shown in enumerate(frame[dim].to_list()):
            if shown not in under:
                under[shown] = np.array([_is_under(c, shown, parents) for c in distinct], dtype=np.bool_)
            members[row] &= under[shown][position] if distinct else True
    return members


def _intact(pattern: Pattern, view: _View) -> Check:
    """The frame is the one protection made, with known statuses and one row per cell of every table."""
    key = ["table", *view.table.dims]
    expected, given = view.table.cells.select(key), view.frame.select(key)
    found = {
        "missing": expected.join(given, on=key, how="anti").height,
        "unknown": given.join(expected, on=key, how="anti").height,
        "double": given.height - given.unique().height,
        "unknown_status": view.frame.filter(~pl.col("status").is_in(STATUSES)).height,
    }
    same = frame_hash(view.frame) == pattern.hash
    return {"passed": same and not any(found.values()), "hash": same, **found}


def _values(view: _View) -> Check:
    """Every value is the exact sum of its atoms; empty exactly where there is none."""
    cents = view.table.atoms["cents"].to_list()
    sums = [sum(cents[i] for i in np.flatnonzero(row)) for row in view.members]
    values = view.frame["value"].to_list()
    wrong = [i for i, (v, s) in enumerate(zip(values, sums, strict=True)) if v is None or v != Decimal(s) / 100]
    empty = np.flatnonzero((view.status == "empty") == view.members.any(axis=1))
    bad = np.union1d(np.array(wrong, dtype=np.int64), empty)
    return {"passed": bad.size == 0, "cells": view.frame.height, "wrong": view.names(bad)}


def _unsafe(view: _View, rules: Rules) -> tuple[BoolArray, list[str | None]]:
    """The rules applied afresh, cell by cell, on whole numbers; and the only contributor, if one."""
    by_atom: dict[int, list[tuple[str, int]]] = {}
    for atom, contributor, cents in view.table.parts.filter("observed").select("atom", "contributor", "cents").rows():
        by_atom.setdefault(atom, []).append((contributor, cents))
    unsafe, owners, answers = np.zeros(view.frame.height, dtype=np.bool_), [], view.table.answers(view.frame)
    for cell, row in enumerate(view.members):
        groups: dict[str, int] = {}
        for atom in np.flatnonzero(row):
            for contributor, cents in by_atom.get(int(atom), ()):
                groups[contributor] = groups.get(contributor, 0) + cents
        x = sorted(groups.values(), reverse=True)
        owners.append(next(iter(groups)) if len(groups) == 1 else None)
        few = 0 < len(x) < rules.min_contributors
        percent = Fraction(str(rules.p_percent))
        dominance = not (rules.frequency_only or view.table.kind == "count")
        unsafe[cell] = answers[cell] and (few or (bool(x) and dominance and 100 * sum(x[2:]) < percent * x[0]))
    return unsafe, owners


def _primary(view: _View, unsafe: BoolArray) -> Check:
    open_cells = np.flatnonzero(unsafe & (view.status != "primary"))
    return {
        "passed": open_cells.size == 0,
        "unsafe": int(unsafe.sum()),
        "not_primary": view.names(open_cells),
    }


def _same_sum(view: _View) -> Check:
    """Cells that add up the same atoms are one figure: they share a status."""
    seen: dict[bytes, str] = {}
    keys = [row.tobytes() for row in view.members]
    differing = [i for i, k in enumerate(keys) if seen.setdefault(k, str(view.status[i])) != view.status[i]]
    return {"passed": not differing, "differing": view.names(np.array(differing, dtype=np.int64))}


def _directions(view: _View, seed: int) -> tuple[FloatArray, NDArray[np.int64], int]:
    """How random directions that no published cell sees move every hidden one.

    A direction is a random vector minus its part in the row space (singular vectors of the published rows).
    Returns moves of the distinct hidden cells relative to the length of their rows, shape ``(hidden,
    PROBES)``, the first cell of each, and the rank of the published rows.
    """
    published, _ = view.distinct(view.status == "published")
    hidden, cells = view.distinct(np.isin(view.status, ("primary", "secondary")))
    merged = np.unique(np.vstack([published, hidden]), axis=1).astype(np.float64)
    rows, targets = merged[: published.shape[0]], merged[published.shape[0] :]
    random = np.random.default_rng(seed).standard_normal((merged.shape[1], PROBES))
    left, rank = _unseen(rows, random)
    return (targets @ left) / np.sqrt(targets.sum(axis=1, keepdims=True)), cells, rank


def _unseen(rows: FloatArray, vectors: FloatArray) -> tuple[FloatArray, int]:
    """What of ``vectors`` (columns) lies outside the row space of ``rows``, and the rank of ``rows``.

    By the eigenvectors of the rows' Gram matrix, which is whole-numbered and much smaller than the rows. It squares the
    singular values: should a small one be taken for zero, the rows still see the result, and singular vectors of the rows
    themselves are used instead.
    """
    if not rows.size:
        return vectors, 0
    value, vector = np.linalg.eigh(rows @ rows.T)
    kept = value > value[-1] * 1e-10
    basis = vector[:, kept]
    left = vectors
    for _ in range(2):
        left = left - rows.T @ (basis @ ((basis.T @ (rows @ left)) / value[kept][:, None]))
    if np.abs(rows @ left).max(initial=0.0) < MOVED / 100:
        return left, int(kept.sum())
    _, singular, right = np.linalg.svd(rows, full_matrices=False)
    space = right[singular > singular[0] * 1e-10]
    left = vectors
    for _ in range(2):
        left = left - space.T @ (space @ left)
    return left, int(space.shape[0])


def _null_space(view: _View, moves: FloatArray, cells: NDArray[np.int64], rank: int) -> Check:
    """A cell is determined if and only if its row lies in the span of published rows: if it never moves."""
    still = cells[np.abs(moves).max(axis=1, initial=0.0) < MOVED]
    exact = still[view.status[still] == "primary"]
    secondary = still[view.status[still] == "secondary"]
    return {
        "passed": exact.size == 0,
        "rank": rank,
        "hidden": int(cells.size),
        "determined_primary": view.names(exact),
        "determined_secondary": view.names(secondary),
    }


def _singletons(
    view: _View, moves: FloatArray, cells: NDArray[np.int64], owners: list[str | None], unsafe: BoolArray
) -> Check:
    """No group alone in an unsafe cell can compute another: cells that move in step are one unknown."""
    chosen = unsafe[cells]
    moves, cells = moves[chosen], cells[chosen]
    length = np.sqrt((moves**2).sum(axis=1, keepdims=True))
    unit = moves / np.where(length > 0, length, 1.0)
    found = []
    for i in np.flatnonzero([owners[c] is not None for c in cells]):
        across = np.abs(unit - np.sign(unit @ unit[i])[:, None] * unit[i]).max(axis=1)
        found += [int(cells[j]) for j in np.flatnonzero(across < MOVED) if owners[cells[j]] != owners[cells[i]]]
    return {"passed": not found, "exposed": view.names(np.unique(np.array(found, dtype=np.int64)))}


def _bounds(view: _View, rules: Rules, seed: int) -> Check:
    """Attacker's linear programmes: the interval of every primary cell has a width."""
    published, _ = view.distinct(view.status == "published")
    targets, cells = view.distinct(view.status == "primary")
    if cells.size == 0:
        return {"passed": True, "primaries": 0}
    merged, position = np.unique(np.vstack([published, targets]), axis=1, return_inverse=True)
    cents = np.bincount(position.ravel(), weights=view.table.atoms["cents"].to_numpy(), minlength=merged.shape[1])
    attacker = Attacker(merged[: published.shape[0]], cents.astype(np.float64))
    enough = max(rules.min_width_percent / 100, LEAST_WIDTH)
    width, _ = widths(attacker, merged[published.shape[0] :], enough, seed)
    narrow = np.flatnonzero(width < 0.999 * enough)
    return {
        "passed": narrow.size == 0,
        "primaries": int(cells.size),
        "narrow": view.names(cells[narrow]),
        "width_at_least_min": float(width.min()),
        "width_at_least_median": float(np.median(width)),
    }


@method("disclosure.audit")
def audit(pattern: Pattern, rules: Rules | None = None, *, seed: int = 20261124) -> Certificate:
    """Check a pattern from its codes, statuses and the contributions alone.

    Parameters
    ----------
    pattern
        As :func:`etl.methods.disclosure.protect` returned it.
    rules
        The rules in force; those the pattern was made with if left out. Unsafe cells are found afresh.
    seed
        Of the random directions.

    Returns
    -------
    Certificate
        ``passed`` only if every check does: ``intact`` (hash, one row per cell), ``values`` (exact sums),
        ``primary`` (no unsafe cell open), ``same_sum``, ``null_space`` (no primary exactly determined;
        determined secondaries are listed), ``bounds`` (interval of every primary at least
        ``min_width_percent`` of its value), ``singletons`` (no group alone in one unsafe cell can compute
        another).
    """
    rules = pattern.rules if rules is None else rules
    frame, table = pattern.frame, pattern.table
    view = _View(frame, table, _members(frame, table), np.array(frame["status"].to_list(), dtype=np.str_))
    unsafe, owners = _unsafe(view, rules)
    moves, cells, rank = _directions(view, seed)
    checks = {
        "intact": _intact(pattern, view),
        "values": _values(view),
        "primary": _primary(view, unsafe),
        "same_sum": _same_sum(view),
        "null_space": _null_space(view, moves, cells, rank),
        "bounds": _bounds(view, rules, seed),
    }
    if rules.singletons and table.kind == "magnitude":
        checks["singletons"] = _singletons(view, moves, cells, owners, unsafe)
    counts = {"cells": frame.height} | {s: int((view.status == s).sum()) for s in STATUSES}
    passed = all(check["passed"] for check in checks.values())
    return Certificate(passed, checks, rules.as_dict(), frame_hash(frame), table.hash, seed, counts)
