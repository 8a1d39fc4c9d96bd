"""Dual-version coding (双版本编码): from an old version of a classification to a new one, one unit at a time.

A unit may only go where the concordance of its old code leads. Where a code splits, the units that go each way are held to the
shares found in a recoded sample, so that a published series does not jump because the classifier leans one way (Statistics
Canada, 11-522-X 2025, does so for fastText with linear programming). Given the counts, the assignment of greatest
likelihood is a transport problem; its linear programme has whole-number corners, so HiGHS solves it exactly. The
probability of each unit is the classifier's, with log-odds shifted by one constant a class until the expected counts meet
the shares; such a shift does not change which assignment is best.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse
from scipy.optimize import linprog

from taxonomy.classifier.intervals import F64, I64

FLOOR: Final = 1e-9
SUM_TOLERANCE: Final = 1e-6
RAKING: Final = 1e-8
ROUNDS: Final = 500


class ConcordanceError(ValueError):
    """A concordance or units that do not fit it; says which code and what was expected."""


@dataclass(frozen=True)
class Concordance:
    """Old code → its new codes with the share of its units that goes to each; shares sum to one."""

    shares: Mapping[str, Mapping[str, float]]

    @classmethod
    def from_frame(cls, frame: pl.DataFrame) -> "Concordance":
        """From columns ``from_code, to_code, share`` (null share where a code has one successor: one).

        Raises
        ------
        ConcordanceError
            If a pair stands twice, a share is negative, or the shares of a code do not sum to one.
        """
        found: dict[str, dict[str, float]] = {}
        for old, new, share in frame.select("from_code", "to_code", "share").sort("from_code", "to_code").iter_rows():
            if new in found.setdefault(old, {}):
                raise ConcordanceError(f"{old} → {new} stands twice")
            found[old][new] = 1.0 if share is None else float(share)
        for old, row in found.items():
            if min(row.values()) < 0.0 or abs(sum(row.values()) - 1.0) > SUM_TOLERANCE:
                raise ConcordanceError(f"shares of {old} are {row}; expected none negative and a sum of one")
        return cls(found)


@dataclass(frozen=True)
class SplitResult:
    """One old code: what was asked for, what came out, and what the classifier alone would have given."""

    from_code: str
    units: int
    wanted: Mapping[str, float]
    achieved: Mapping[str, int]
    unconstrained: Mapping[str, int]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "from_code": self.from_code, "units": self.units, "wanted": dict(self.wanted),
            "achieved": dict(self.achieved), "unconstrained": dict(self.unconstrained),
        }  # fmt: skip


@dataclass(frozen=True)
class DualCoding:
    """``units``: ``unit_id, from_code, to_code, probability, moved`` sorted by unit; ``splits``: one entry an old code.

    ``moved``: the share constraint, not the unit's own text, decided it.
    """

    units: pl.DataFrame
    splits: tuple[SplitResult, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; holds no unit."""
        moved = int(self.units["moved"].sum())
        return {"units": self.units.height, "moved": moved, "splits": [s.as_dict() for s in self.splits]}


def whole_counts(shares: npt.ArrayLike, n: int) -> I64:
    """Whole numbers that sum to ``n``, each less than one away from ``n × share`` (largest remainders, ties to the first)."""
    exact = np.asarray(shares, dtype=np.float64)
    exact = exact / exact.sum() * n
    counts: I64 = np.floor(exact).astype(np.int64)
    order = np.argsort(-(exact - counts), kind="stable")
    counts[order[: n - int(counts.sum())]] += 1
    return counts


def rake(p: F64, shares: F64) -> F64:
    """Probabilities with log-odds shifted by class until their column means equal the shares; rows sum to one.

    Parameters
    ----------
    p
        Shape ``(units, classes)``, rows summing to one; zero where a class is impossible for a unit.
    shares
        Shape ``(classes,)``, summing to one.

    Raises
    ------
    ConcordanceError
        If the shares cannot be reached (a class with a share for which no unit has any probability).
    """
    target = shares / shares.sum() * len(p)
    if ((p.sum(axis=0) <= 0.0) & (target > 0.0)).any():
        raise ConcordanceError("a class with a share has no unit that could go there")
    used = target > 0.0
    log = np.log(np.maximum(p[:, used], FLOOR**3))
    shift = np.zeros(int(used.sum()))
    for _ in range(ROUNDS):
        fitted, loss = _shifted(log, shift, target[used])
        gap = fitted.sum(axis=0) - target[used]
        if np.abs(gap).max() <= RAKING * len(p):
            result = np.zeros_like(p)
            result[:, used] = fitted
            return result
        step = _newton(fitted, gap)
        # Newton where it helps; else one round of proportional fitting, which always does.
        better = _shifted(log, shift + step, target[used])[1] < loss
        shift = shift + (step if better else np.log(target[used] / fitted.sum(axis=0)))
        shift -= shift.max()
    raise ConcordanceError("the shares cannot be met: too many units have no probability for a class that needs them")


def _shifted(log: F64, shift: F64, target: F64) -> tuple[F64, float]:
    """Probabilities under a shift of log-odds, and the convex loss whose gradient is expected counts less target."""
    moved = log + shift
    top = moved.max(axis=1, keepdims=True)
    weights = np.exp(moved - top)
    total = weights.sum(axis=1, keepdims=True)
    return weights / total, float((top + np.log(total)).sum() - target @ shift)


def _newton(fitted: F64, gap: F64) -> F64:
    hessian = np.diag(fitted.sum(axis=0)) - fitted.T @ fitted
    return np.asarray(-np.linalg.lstsq(hessian, gap, rcond=1e-12)[0])


def assign(p: F64, counts: I64) -> I64:
    """The class of each unit that maximises the likelihood with exactly ``counts`` units a class.

    Two classes are solved by order of their log-odds (exact, and fast for any number of units); more by a linear
    programme. Ties go to the unit that stands first.

    Raises
    ------
    ConcordanceError
        If the counts do not sum to the number of units.
    """
    n, m = p.shape
    if int(counts.sum()) != n:
        raise ConcordanceError(f"counts sum to {int(counts.sum())}, but there are {n} units")
    log = np.log(np.maximum(p, FLOOR))
    if m == 2:
        chosen = np.ones(n, dtype=np.int64)
        chosen[np.argsort(log[:, 1] - log[:, 0], kind="stable")[: int(counts[0])]] = 0
        return chosen
    return _transport(log, counts)


def _transport(log: F64, counts: I64) -> I64:
    n, m = log.shape
    ones = np.ones(n * m)
    variable = np.arange(n * m)
    unit = sparse.csr_array((ones, (variable // m, variable)), shape=(n, n * m))
    # One class is left out of the equations: the others fix its count.
    column = sparse.csr_array((ones, (variable % m, variable)), shape=(m, n * m))[: m - 1]
    solved = linprog(
        -log.ravel(), A_eq=sparse.vstack([unit, column], format="csr"),
        b_eq=np.concatenate([np.ones(n), counts[: m - 1].astype(np.float64)]), bounds=(0, 1), method="highs-ds",
    )  # fmt: skip
    if not solved.success:
        raise ConcordanceError(f"no assignment has these counts: {solved.message}")
    chosen: I64 = np.asarray(solved.x).reshape(n, m).argmax(axis=1).astype(np.int64)
    if (np.bincount(chosen, minlength=m) != counts).any():
        raise ConcordanceError("the linear programme ended off a corner; report the units and the concordance")
    return chosen


def _candidates(text: F64, columns: Sequence[int]) -> F64:
    """The text model's probabilities among the candidates alone; equal where it gives none of them any."""
    p = np.maximum(text[:, columns], FLOOR)
    return np.asarray(p / p.sum(axis=1, keepdims=True))


def _split(old: str, ids: pl.Series, p: F64, names: Sequence[str], shares: F64) -> tuple[pl.DataFrame, SplitResult]:
    n = len(ids)
    counts = whole_counts(shares, n)
    alone = p.argmax(axis=1)
    chosen = assign(p, counts)
    probability = rake(p, np.maximum(shares, 0.0))[np.arange(n), chosen]
    frame = pl.DataFrame(
        {
            "unit_id": ids,
            "from_code": pl.Series([old] * n, dtype=pl.String),
            "to_code": pl.Series([names[i] for i in chosen], dtype=pl.String),
            "probability": probability.round(6),
            "moved": chosen != alone,
        }
    )
    found = np.bincount(chosen, minlength=len(names))
    free = np.bincount(alone, minlength=len(names))
    return frame, SplitResult(
        old, n, {c: round(float(s), 9) for c, s in zip(names, shares, strict=True)},
        {c: int(k) for c, k in zip(names, found, strict=True)},
        {c: int(k) for c, k in zip(names, free, strict=True)},
    )  # fmt: skip


def dual_code(units: pl.DataFrame, classes: Sequence[str], text: npt.ArrayLike, concordance: Concordance) -> DualCoding:
    """Code units in the new version.

    Parameters
    ----------
    units
        ``unit_id, from_code``; the result does not depend on their order.
    classes, text
        New codes the text model knows and its probabilities, ``(units, classes)``. A candidate it does not know gets the
        smallest of probabilities: the shares still send units there.
    concordance
        Where each old code may go, and in which shares.

    Raises
    ------
    ConcordanceError
        If an old code is not in the concordance, a unit stands twice, or the matrix does not fit.
    """
    matrix = np.asarray(text, dtype=np.float64)
    if matrix.shape != (units.height, len(classes)):
        raise ConcordanceError(f"probabilities have shape {matrix.shape}, expected ({units.height}, {len(classes)})")
    strange = sorted(set(units["from_code"].to_list()) - set(concordance.shares), key=str)
    if strange:
        raise ConcordanceError(f"old codes {strange[:5]} are not in the concordance")
    if units["unit_id"].n_unique() != units.height:
        raise ConcordanceError("a unit stands twice; one row a unit was expected")
    padded = np.hstack([matrix, np.zeros((units.height, 1))])
    index = {c: i for i, c in enumerate(classes)}
    ordered = units.select("unit_id", "from_code").with_row_index("row").sort("unit_id")
    frames, splits = [], []
    for (old,), group in sorted(ordered.partition_by("from_code", as_dict=True).items()):
        row = concordance.shares[str(old)]
        names = [c for c in row if row[c] > 0.0]
        p = _candidates(padded[group["row"].to_numpy()], [index.get(c, len(classes)) for c in names])
        frame, split = _split(str(old), group["unit_id"], p, names, np.array([row[c] for c in names]))
        frames.append(frame)
        splits.append(split)
    empty = {"unit_id": pl.String, "from_code": pl.String, "to_code": pl.String, "probability": pl.Float64,
             "moved": pl.Boolean}  # fmt: skip
    return DualCoding(pl.concat(frames).sort("unit_id") if frames else pl.DataFrame(schema=empty), tuple(splits))
