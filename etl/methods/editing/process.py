"""One pass of editing and imputation over a table of returns: what came out, what was changed, what still fails."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etl.methods.editing.adjust import adjust_to_edits
from etl.methods.editing.change import Change, change_frame
from etl.methods.editing.correction import deterministic_values
from etl.methods.editing.expressions import EditError
from etl.methods.editing.linear import LinearEdit, linear_edits
from etl.methods.editing.localisation import Localiser
from etl.methods.editing.rules import Edit, check_edits
from etl.methods.editing.unit_error import LOWER, UPPER, unit_errors
from etl.methods.imputation.donor import impute_donor
from etl.methods.registry import method

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class UnitCheck:
    """A variable compared with ``previous`` (a column of the table); ``targets`` are corrected with it."""

    variable: str
    previous: str
    targets: tuple[str, ...] = ()
    factors: tuple[float, ...] = (1000.0,)
    lower: float = LOWER
    upper: float = UPPER


@dataclass(frozen=True)
class EditPlan:
    """What a pass does. ``cell``: column within which donors are sought (none: the whole table); ``match``: columns that

    say how alike two records are (none: nothing is imputed); ``weights``: trust in the variables, for localisation;
    ``time_limit``: seconds a record may take.
    """

    unit_checks: tuple[UnitCheck, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    cell: str | None = None
    match: tuple[str, ...] = ()
    time_limit: float = 5.0


@dataclass(frozen=True)
class EditResult:
    """``values``: the table, same rows, columns and types; ``changes``: :data:`etl.methods.editing.change.SCHEMA`;

    ``failures``: ``key, edit, severity, outcome, variables, source, stage`` (``before``, ``after``).
    """

    values: pl.DataFrame
    changes: pl.DataFrame
    failures: pl.DataFrame


@method("editing.process")
def edit_and_impute(
    frame: pl.DataFrame, edits: Sequence[Edit], plan: EditPlan | None = None, *, key: str
) -> EditResult:
    """Unit errors, localisation by the linear hard edits, values that follow, donors, adjustment to the edits.

    Soft edits and hard edits that are not linear change nothing: they stand in the failures. A value that is localised
    and gets no new one stays missing (flag ``set_missing``). Values not changed keep their exact type and content;
    integers stay whole.

    Parameters
    ----------
    frame
        One row a record; ``key`` is unique.

    Raises
    ------
    EditError
        If the key is not unique or a column that an edit or the plan names is not there.
    """
    plan = plan or EditPlan()
    _check(frame, plan, key)
    before = check_edits(frame, edits, [key])
    rows = _linear_hard(edits)
    variables = tuple(dict.fromkeys(v for e in rows for v in e.coefficients))
    named = [c for u in plan.unit_checks for c in (u.variable, *u.targets)]
    work = {
        v: frame[v].cast(pl.Float64).to_numpy().astype(np.float64).copy() for v in dict.fromkeys((*variables, *named))
    }
    keys = [str(k) for k in frame[key].to_list()]
    changes = _unit_errors(frame, plan, work, keys)
    if rows:
        changes += _mended(frame, plan, rows, variables, work, keys)
    values = _written(frame, work, {c.variable for c in changes})
    after = check_edits(values, edits, [key])
    failures = pl.concat([before.with_columns(stage=pl.lit("before")), after.with_columns(stage=pl.lit("after"))])
    return EditResult(values, change_frame(changes), failures)


def _check(frame: pl.DataFrame, plan: EditPlan, key: str) -> None:
    named = [key, *plan.match, *([plan.cell] if plan.cell else [])]
    named += [c for u in plan.unit_checks for c in (u.variable, u.previous, *u.targets)]
    lost = [c for c in named if c not in frame.columns]
    if lost:
        raise EditError(f"editing: column {lost[0]} is not in the table; found: {', '.join(frame.columns)}")
    if frame[key].is_duplicated().any():
        raise EditError(f"editing: key {key} holds {frame[key].filter(frame[key].is_duplicated())[0]!r} twice")


def _linear_hard(edits: Sequence[Edit]) -> tuple[LinearEdit, ...]:
    found: list[LinearEdit] = []
    for edit in edits:
        if edit.severity == "hard":
            try:
                found += linear_edits([edit])
            except EditError:  # not linear: checked, never localised
                continue
    return tuple(found)


def _unit_errors(frame: pl.DataFrame, plan: EditPlan, work: dict[str, FloatArray], keys: Sequence[str]) -> list[Change]:
    changes: list[Change] = []
    for check in plan.unit_checks:
        previous = frame[check.previous].cast(pl.Float64).to_numpy().astype(np.float64)
        found = unit_errors(work[check.variable], previous, factors=check.factors, lower=check.lower, upper=check.upper)
        for i in map(int, np.flatnonzero(found.marker == "C")):
            for name in (check.variable, *check.targets):
                old = float(work[name][i])
                if not np.isnan(old):
                    work[name][i] = old / found.factor[i]
                    detail = f"factor {found.factor[i]:g}, ratio {found.ratio[i]:.6g}"
                    changes.append(Change(keys[i], name, old, float(work[name][i]), "unit_error", "corrected", detail))
    return changes


def _mended(
    frame: pl.DataFrame, plan: EditPlan, rows: Sequence[LinearEdit], variables: tuple[str, ...],
    work: dict[str, FloatArray], keys: Sequence[str],
) -> list[Change]:  # fmt: skip
    given = np.column_stack([work[v] for v in variables])
    open_, localised = _localised(given, plan, rows, variables)
    free = np.isnan(open_)
    follows = _follows(open_, rows, variables)
    filled, donor = _donated(frame, plan, open_)
    changes: list[Change] = []
    for i in map(int, np.flatnonzero(free.any(axis=1))):
        complete = not np.isnan(filled[i]).any()
        moved = adjust_to_edits(filled[i], free[i], rows, variables) if complete else None
        final = filled[i] if moved is None else moved
        source = keys[donor[i]] if donor[i] >= 0 else ""
        changes += _changes(keys[i], variables, given[i], final, follows[i], source, localised[i])
        for j, name in enumerate(variables):
            work[name][i] = final[j]
    return changes


def _localised(
    given: FloatArray, plan: EditPlan, rows: Sequence[LinearEdit], variables: tuple[str, ...]
) -> tuple[FloatArray, list[tuple[str, ...]]]:
    """Records with localised values missing, and the variables localised (missing ones among them)."""
    localiser = Localiser(rows, variables, {k: w for k, w in plan.weights.items() if k in variables})
    found: list[tuple[str, ...]] = []
    open_ = given.copy()
    bad = set(np.flatnonzero(np.hstack([localiser.fails(given), np.isnan(given)]).any(axis=1)).tolist())
    for i, record in enumerate(given):
        found.append(localiser.localise(record, time_limit=plan.time_limit).variables if i in bad else ())
        open_[i] = _cleared(record, found[-1], variables)
    return open_, found


def _cleared(record: FloatArray, names: tuple[str, ...], variables: tuple[str, ...]) -> FloatArray:
    cleared = record.copy()
    cleared[[variables.index(n) for n in names]] = np.nan
    return cleared


def _follows(open_: FloatArray, rows: Sequence[LinearEdit], variables: tuple[str, ...]) -> list[dict[str, float]]:
    found: list[dict[str, float]] = []
    for i, record in enumerate(open_):
        known = {v: None if np.isnan(x) else float(x) for v, x in zip(variables, record, strict=True)}
        found.append(deterministic_values(known, rows) if np.isnan(record).any() else {})
        for name, value in found[i].items():
            open_[i, variables.index(name)] = value
    return found


def _donated(frame: pl.DataFrame, plan: EditPlan, open_: FloatArray) -> tuple[FloatArray, NDArray[np.int64]]:
    filled, donor = open_.copy(), np.full(open_.shape[0], -1)
    if not plan.match:
        return filled, donor
    alike = frame.select(pl.col(plan.match).cast(pl.Float64)).to_numpy().astype(np.float64)
    cells = frame[plan.cell].cast(pl.String).fill_null("") if plan.cell else pl.repeat("", frame.height, eager=True)
    for places in cells.to_frame("c").with_row_index("i").group_by("c", maintain_order=True).agg("i")["i"]:
        here = places.to_numpy().astype(np.int64)
        found = impute_donor(open_[here], alike[here])
        filled[here] = found.values
        donor[here] = np.where(found.donor >= 0, here[found.donor], -1)
    return filled, donor


def _changes(
    record: str, variables: tuple[str, ...], old: FloatArray, new: FloatArray, follows: Mapping[str, float], donor: str,
    localised: tuple[str, ...],
) -> list[Change]:  # fmt: skip
    found: list[Change] = []
    for name, before, after in zip(variables, old, new, strict=True):
        if before == after or (np.isnan(before) and np.isnan(after)):
            continue
        original = None if np.isnan(before) else float(before)
        rule = "localised" if name in localised and original is not None else "missing"
        if np.isnan(after):
            found.append(Change(record, name, original, None, rule, "set_missing"))
        elif name in follows:
            found.append(Change(record, name, original, float(after), rule, "corrected", "follows from equalities"))
        else:
            detail = f"donor {donor}" if donor else ""
            found.append(Change(record, name, original, float(after), rule, "imputed", detail))
    return found


def _written(frame: pl.DataFrame, work: Mapping[str, FloatArray], changed: set[str]) -> pl.DataFrame:
    columns = []
    for name in sorted(changed):
        old = frame[name]
        new = pl.Series(name, work[name]).fill_nan(None)
        same = (old.cast(pl.Float64).eq_missing(new)).alias("same")
        typed = (new.round(0) if old.dtype.is_integer() else new).cast(old.dtype)
        columns.append(pl.select(pl.when(same).then(old).otherwise(typed).alias(name)).to_series())
    return frame.with_columns(columns)
