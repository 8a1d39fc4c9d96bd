"""Editing and imputation of one source (审核修正): returns in, the same rows out, every change with its rule and flag."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etl.editing_errors import UNKNOWN, Errors, Panel, find_errors
from etl.editing_followup import FOLLOWUP, followups
from etl.editing_impute import imputed
from etl.editing_plan import REGISTER, EditingPlan
from etl.editing_work import KEY, Work, aligned
from etl.methods.editing.process import edit_and_impute
from etl.methods.editing.rules import Edit, check_edits
from etl.methods.imputation.links import months_of

CHANGE: Final = {
    "uscc": pl.String, "period": pl.String, "variable": pl.String, "original": pl.Float64, "value": pl.Float64,
    "rule": pl.String, "flag": pl.String, "detail": pl.String,
}  # fmt: skip
ITEMS: Final = ("edited_items", "imputed_items")
MONTHS: Final = 1_000_000
"""More than there are months since year 0: a unit's number and a month in one whole number."""


@dataclass(frozen=True)
class Edited:
    """``rows``: those received, same order and columns, and the names of items changed (:data:`ITEMS`, blank-separated);

    ``changes``: :data:`CHANGE`; ``followup``: :data:`etl.editing_followup.FOLLOWUP`.
    """

    rows: pl.DataFrame
    changes: pl.DataFrame
    followup: pl.DataFrame


def panel(rows: pl.DataFrame, plan: EditingPlan, others: Mapping[str, pl.DataFrame]) -> Panel:
    """Arrays of a source's rows, with the places of each unit's neighbouring returns."""
    names = dict.fromkeys((*plan.variables, *plan.money))
    values = {v: rows[v].cast(pl.Float64).fill_null(np.nan).to_numpy().astype(np.float64) for v in names}
    month = months_of(rows[plan.period]).to_numpy()
    keys = rows["uscc"].rank("dense").cast(pl.Int64).to_numpy() * MONTHS + month
    lags = [*plan.lags, *(-lag for lag in plan.lags)]
    at = {lag: _places(keys, lag) for lag in lags}
    heard = {
        v: [aligned(rows, others, o, plan.period).fill_null(np.nan).to_numpy().astype(np.float64) for o in known]
        for v, known in plan.witnesses.items()
    }
    return Panel(values, month, at, heard)


def _places(keys: NDArray[np.int64], lag: int) -> NDArray[np.int64]:
    """Places of each unit's returns of ``lag`` months before and of twice as many, shape ``(2, n)``; -1 where there is none."""
    order = np.argsort(keys, kind="stable")
    places = []
    for months in (lag, 2 * lag):
        near = order[np.minimum(np.searchsorted(keys[order], keys - months), keys.size - 1)]
        places.append(np.where(keys[near] == keys - months, near, -1))
    return np.stack(places)


def _corrected(work: Work, plan: EditingPlan, others: Mapping[str, pl.DataFrame]) -> Errors:
    found = find_errors(panel(work.rows, plan, others), plan)
    records = work.rows[KEY]
    for (row, name), (rule, detail) in found.reasons.items():
        work.note(records[row], name, float(found.values[name][row]), rule, "corrected", detail)
    work.apply(plan)
    return found


def _held(work: Work, plan: EditingPlan, errors: Errors) -> None:
    """Values in doubt that make a large part of their period's total give way to an imputed one until they are confirmed."""
    records = work.rows[KEY]
    for name in plan.impute:
        rows = sorted(row for row, v in errors.doubts if v == name)
        if not rows:
            continue
        size = pl.col(name).cast(pl.Float64).abs()
        part = work.rows.select(size / size.sum().over(plan.period)).to_series()
        for row in rows:
            if (part[row] or 0.0) >= plan.hold_share:
                work.note(records[row], name, None, UNKNOWN, "set_missing", errors.doubts[row, name])
    work.apply(plan)


def own_edits(edits: Sequence[Edit], plan: EditingPlan) -> tuple[Edit, ...]:
    """Hard edits over the plan's items alone: those a record may be changed by."""
    return tuple(e for e in edits if e.severity == "hard" and set(e.variables) <= set(plan.variables))


def _localised(work: Work, plan: EditingPlan, edits: Sequence[Edit]) -> None:
    """Records that fail a hard edit or leave one open: what must be wrong becomes missing, what follows is filled in."""
    hard = own_edits(edits, plan)
    if not hard:
        return
    failing = check_edits(work.rows, hard, [KEY])[KEY].unique()
    rows = work.rows.filter(pl.col(KEY).is_in(failing.implode()))
    if rows.is_empty():
        return
    for c in edit_and_impute(rows, hard, key=KEY).changes.iter_rows(named=True):
        work.note(c["record"], c["variable"], c["value"], c["rule"], c["flag"], c["detail"])
    work.apply(plan)


def _with_cells(received: pl.DataFrame, others: Mapping[str, pl.DataFrame], plan: EditingPlan) -> pl.DataFrame:
    cells = others[REGISTER].select("uscc", cell=pl.col("gbt_code").str.slice(0, 2)).unique("uscc", keep="first")
    record = pl.format("{}|{}", "uscc", plan.period).alias(KEY)
    return received.with_columns(record).join(cells, on="uscc", how="left", maintain_order="left")


def edit_source(
    received: pl.DataFrame, plan: EditingPlan, edits: Sequence[Edit], others: Mapping[str, pl.DataFrame]
) -> Edited:
    """Gross errors, hard edits, missing items of respondents, and what a person must look at.

    Parameters
    ----------
    received
        Accepted rows of all periods, as the contract types them; unique by ``uscc`` and period.
    edits
        Those of :func:`etl.edits.load_edits`.
    others
        Rows of other sources by :attr:`Other.table`, and ``register`` with ``uscc, gbt_code`` and what is asked of it.
    """
    if received.is_empty():
        empty = received.with_columns(pl.lit("", dtype=pl.String).alias(c) for c in ITEMS)
        return Edited(empty, pl.DataFrame(schema=CHANGE), pl.DataFrame(schema=FOLLOWUP))
    ordered = received.with_row_index("_at").sort("uscc", plan.period)  # sums do not depend on the order of the file
    work = Work(_with_cells(ordered.drop("_at"), others, plan), {})
    errors = _corrected(work, plan, others)
    _held(work, plan, errors)
    _localised(work, plan, edits)
    imputed(work, plan, own_edits(edits, plan), others, errors)
    rows = work.rows.select(received.columns).with_columns(*_items(work), ordered["_at"]).sort("_at").drop("_at")
    doubts = {(work.rows[KEY][row], name): detail for (row, name), detail in errors.doubts.items()}
    return Edited(rows, _change_frame(work), followups(work, plan, edits, doubts))


def _items(work: Work) -> list[pl.Series]:
    names: dict[str, dict[str, list[str]]] = {k: {} for k in ITEMS}
    for (record, variable), change in work.changes.items():
        kind = "imputed_items" if change["flag"] == "imputed" else "edited_items"
        names[kind].setdefault(record, []).append(variable)
    return [_listed(work, kind, found) for kind, found in names.items()]


def _listed(work: Work, kind: str, found: Mapping[str, Sequence[str]]) -> pl.Series:
    items = [""] * work.rows.height
    for record, variables in found.items():
        items[work.place(record)] = " ".join(sorted(variables))
    return pl.Series(kind, items, dtype=pl.String)


def _change_frame(work: Work) -> pl.DataFrame:
    rows = [
        {"uscc": record.partition("|")[0], "period": record.partition("|")[2], "variable": variable, **change}
        for (record, variable), change in work.changes.items()
    ]
    return pl.DataFrame(rows, schema=CHANGE).sort("period", "uscc", "variable")


def lost(received: pl.DataFrame, rows: pl.DataFrame, changes: pl.DataFrame, plan: EditingPlan) -> str:
    """What is wrong if a row vanished, changed its place, or a value differs without a flag; empty if nothing is."""
    keys = ["uscc", plan.period]
    if not rows.select(keys).equals(received.select(keys)):
        return f"{received.height} rows in, {rows.height} out: rows were lost or changed places"
    for name in received.columns:
        differ = rows.filter(~received[name].eq_missing(rows[name])).select(*keys)
        flagged = changes.filter(pl.col("variable") == name).select("uscc", pl.col("period").alias(plan.period))
        unflagged = differ.with_columns(pl.col(plan.period).cast(pl.String)).join(flagged, on=keys, how="anti")
        if unflagged.height:
            return f"{unflagged.height} values of {name} differ from what was received and carry no flag"
    return ""


def with_received(rows: pl.DataFrame, received: pl.DataFrame, plan: EditingPlan) -> pl.DataFrame:
    """Edited rows with the value received of each published item beside it (``<item>_received``)."""
    return rows.with_columns(received[name].alias(f"{name}_received") for name in plan.totals)
