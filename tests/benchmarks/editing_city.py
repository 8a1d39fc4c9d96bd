"""A demo city in memory with silent errors in its returns, and what editing made of each: for the evaluation of editing."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

from etl.collect import schema
from etl.contract import MONEY_FACTORS, Contract, load_contract
from etl.demo.faults import DUPLICATE, LATE, FaultPlanner, apply_faults, log_rows
from etl.demo.generate import true_accounts
from etl.demo.returns import register_rows, yearly_returns
from etl.demo.scenario import load_scenario, stream
from etl.demo.units import build_units
from etl.editing import Edited, edit_source
from etl.editing_plan import RECEIVED, REGISTER, edited_sources, load_plan
from etl.edits import load_edits
from etl.reading.typed import ROW, type_rows

ANNUAL = ("labour_annual", "finance_annual", "ai_survey_annual")
SETTINGS = Path(__file__).with_name("floor_editing.yaml")
FACTORS = {"form_yuan": 1000.0, "form_10k": 0.1, "item_thousand": 1000.0, "item_thousandth": 0.001}
LOG = ("source_id", "file", "uscc", "column", "kind", "original", "written")


@cache
def settings() -> Mapping[str, Any]:
    """Seeds, fault rates and floors (``floor_editing.yaml``)."""
    return dict(yaml.safe_load(SETTINGS.read_text(encoding="utf-8")))


@dataclass(frozen=True)
class City:
    """By source: accepted rows, true values of the same rows (stored units), log of the faults, ``source_id, uscc,

    period`` of the rows in quarantine (code as written), the register.
    """

    received: Mapping[str, pl.DataFrame]
    truth: Mapping[str, pl.DataFrame]
    faults: pl.DataFrame
    quarantined: pl.DataFrame
    register: pl.DataFrame


def _digits_turned(rng: np.random.Generator, value: int) -> int | None:
    """Two adjacent digits exchanged; none where no exchange changes the number or keeps its length."""
    text = str(abs(value))
    able = [j for j in range(len(text) - 1) if text[j] != text[j + 1] and not (j == 0 and text[1] == "0")]
    if not able:
        return None
    j = int(rng.choice(able))
    turned = int(text[:j] + text[j + 1] + text[j] + text[j + 2 :])
    return turned if value >= 0 else -turned


def _written(rng: np.random.Generator, kind: str, value: int) -> int | None:
    if kind == "transposed":
        return _digits_turned(rng, value)
    return round(value * FACTORS[kind])


def silent_faults(
    frame: pl.DataFrame, source_id: str, file: str, seed: int
) -> tuple[pl.DataFrame, list[dict[str, Any]]]:
    """The file with errors that reading does not see, each logged; no return carries two."""
    plan = load_plan(source_id)
    assert plan is not None
    rng, rates = stream(seed, f"silent {file}"), settings()["faults"]
    money = [c for c in frame.columns if c in plan.money]
    columns = {c: frame[c].to_list() for c in frame.columns}
    able, log = rng.permutation(frame.height).tolist(), []
    for kind, rate in rates.items():
        for _ in range(max(1, round(rate * frame.height))):
            row = able.pop()
            if kind.startswith("form"):
                names = money
            elif kind == "missing_item":
                names = [str(rng.choice(sorted(plan.impute)))]
            else:
                names = [str(rng.choice([v for v in plan.variables if columns[v][row]]))]
            for name in names:
                old = columns[name][row]
                if old is None or (old == 0 and kind != "missing_item"):
                    continue
                new = None if kind == "missing_item" else _written(rng, kind, int(old))
                if new == old or (new is None and kind != "missing_item"):
                    continue
                columns[name][row] = new
                log.append(dict(zip(LOG, (source_id, file, frame["uscc"][row], name, kind, str(old), "" if new is None else str(new)), strict=True)))  # fmt: skip
    return pl.DataFrame(columns, schema=frame.schema), log


def _typed(
    contract: Contract, names: list[str], columns: list[list[Any]], period: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Accepted rows as the nightly job reads them, and the keys of the others."""
    raw = pl.DataFrame(
        [
            pl.Series(contract.column(n).header, [None if v is None else str(v) for v in c], dtype=pl.String)
            for n, c in zip(names, columns, strict=True)
        ]
    )
    found = type_rows(contract, raw)
    bad = found.issues[ROW].unique()
    rows = found.frame.with_columns(ref_year=pl.lit(period, dtype=pl.Int64))
    good = ~pl.col(ROW).is_in(bad.implode())
    codes = pl.Series("uscc", [str(c) for c in columns[names.index("uscc")]], dtype=pl.String)  # as written
    return rows.filter(good).drop(ROW), codes.to_frame().filter(rows.select(~good).to_series())


@cache
def demo_city(size: str, seed: int) -> City:
    """The annual returns of a demo city, with the faults of the demo itself and the silent ones."""
    scenario = load_scenario(size)  # type: ignore[arg-type]
    units = build_units(scenario, seed)
    accounts = true_accounts(units, scenario, seed)
    register = register_rows(units, accounts, scenario, seed).select("uscc", "gbt_code", "employed_persons")
    received: dict[str, list[pl.DataFrame]] = {s: [] for s in ANNUAL}
    truth: dict[str, list[pl.DataFrame]] = {s: [] for s in ANNUAL}
    out: list[pl.DataFrame] = []
    log: list[dict[str, Any]] = []
    planner = FaultPlanner()
    for year in scenario.years:
        for source_id, frame in yearly_returns(accounts, year).items():
            contract = load_contract(source_id)
            file = contract.file.name(year)
            every = planner.plan(stream(seed, f"faults {file}"), source_id, frame)
            planned = [f for f in every if f.outcome == "quarantine"]
            faulty, silent = silent_faults(frame, source_id, file, seed)
            rows, bad = _typed(contract, frame.columns, apply_faults(faulty, planned), year)
            received[source_id].append(rows)
            out.append(bad.with_columns(source_id=pl.lit(source_id), period=pl.lit(str(year))))
            log += log_rows(contract, file, frame, planned).select(LOG).to_dicts() + silent
            right, _ = _typed(contract, frame.columns, [frame[c].to_list() for c in frame.columns], year)
            truth[source_id].append(right)
    return City(
        {s: pl.concat(v).cast(schema(load_contract(s))).sort("uscc", "ref_year") for s, v in received.items()},  # type: ignore[arg-type]
        {s: pl.concat(v).sort("uscc", "ref_year") for s, v in truth.items()},
        pl.DataFrame(log, schema=dict.fromkeys(LOG, pl.String)), pl.concat(out), register,
    )  # fmt: skip


def edit_all(received: Mapping[str, pl.DataFrame], register: pl.DataFrame) -> dict[str, Edited]:
    """Every source with a plan that was received, in the order of the nightly job."""
    tables, found = {REGISTER: register, **received, **{RECEIVED + s: f for s, f in received.items()}}, {}
    for source_id in edited_sources():
        plan = load_plan(source_id)
        if plan is not None and source_id in received:
            found[source_id] = edit_source(received[source_id], plan, load_edits(source_id), tables)
            tables[source_id] = found[source_id].rows
    return found


def stored(source_id: str, column: str, text: str) -> float | None:
    """A number of the fault log in the stored unit; None where it is none."""
    try:
        return float(text) * MONEY_FACTORS.get(load_contract(source_id).column(column).unit or "", 1)
    except ValueError:
        return None


def outcomes(
    faults: pl.DataFrame, edited: Mapping[str, Edited], received: Mapping[str, pl.DataFrame], rejected: pl.DataFrame
) -> pl.DataFrame:
    """The log with ``period``, ``outcome`` and ``error`` (relative, of the value that stands now).

    ``rejected``: ``source_id, uscc, period`` of the rows in quarantine.

    ``outcome``: ``quarantined`` (the row is there; ``vanished`` if it is neither accepted nor there), ``corrected`` or ``imputed`` (changed, with
    a flag), ``followed_up`` (in the list a person works through), ``replaced`` (the accepted value is the true one: a later
    return or the first of two rows), ``late`` (missing from the first file, accepted from
    a later one), ``undetected``.
    """
    away = set(rejected.select("source_id", "uscc", "period").iter_rows())
    broken = {(f["file"], f["uscc"]): f["written"] for f in faults.filter(column="uscc").iter_rows(named=True)}
    rows: list[dict[str, Any]] = []
    for source_id, part in faults.partition_by("source_id", as_dict=True).items():
        name = str(source_id[0])
        contract, done = load_contract(name), edited.get(name)
        if done is None:
            continue
        period = str(contract.period_column)
        kept = {(r["uscc"], str(r[period])): r for r in done.rows.iter_rows(named=True)}
        raw = {(r["uscc"], str(r[period])): r for r in received[name].iter_rows(named=True)}
        flags = {(c["uscc"], c["period"], c["variable"]): c["flag"] for c in done.changes.iter_rows(named=True)}
        listed = {
            (f["uscc"], f["period"], v) for f in done.followup.iter_rows(named=True) for v in f["variables"].split(" ")
        }
        for fault in part.iter_rows(named=True):
            when = str(contract.file.period(fault["file"]))
            key = fault["uscc"], when
            right = stored(name, fault["column"], fault["original"])
            value = kept.get(key, {}).get(fault["column"])
            error = abs(float(value) / right - 1) if right and value is not None and value != "" else None
            rows.append({**fault, "period": when, "error": error})
            codes = {fault["uscc"], broken.get((fault["file"], fault["uscc"]))}
            apart = any((name, code, when) in away for code in codes)
            rows[-1]["outcome"] = _outcome(fault, key, kept, raw, flags, listed, right, apart)
    schema_ = {**dict.fromkeys((*LOG, "period", "outcome"), pl.String), "error": pl.Float64}
    return pl.DataFrame(rows, schema=schema_)


def _outcome(
    fault: Mapping[str, str], key: tuple[str, str], kept: Any, raw: Any, flags: Any, listed: Any, right: float | None,
    apart: bool,
) -> str:  # fmt: skip
    if key not in kept or fault["kind"] == DUPLICATE:
        return "quarantined" if apart else "vanished"
    if fault["kind"] == LATE:
        return "late"
    flag = flags.get((*key, fault["column"]))
    if flag is not None:
        return "imputed" if flag == "imputed" else "corrected"
    value = raw[key].get(fault["column"])
    if right is not None and value is not None and abs(float(value) - right) <= 1e-9 * abs(right):
        return "replaced"
    return "followed_up" if (*key, fault["column"]) in listed else "undetected"
