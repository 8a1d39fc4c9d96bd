"""Who was to send a return, who has, and whom to remind first (催报): a survey's period on a given day. Unit level."""

from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from etl.assets.collect import table_name
from etl.assets.register import REGISTER_CURRENT
from etl.contract import Contract, load_contract
from etl.editing_plan import load_plan
from etl.methods.periods import Period, parse
from etl.methods.sampling.response import reminders, response_rates, response_states
from warehouse.catalogue import load_yaml
from warehouse.write import WorkStore

CITY: Final = "city"
PLACE: Final = ("name", "operating_district", "registered_district", "closing_date")


@dataclass(frozen=True)
class Tracking:
    """``states``: every unit asked, with ``name, area, period_before, state, days_late, influence``; ``listed``: the overdue
    ones in the order of reminding, with ``action`` and ``covered_if_received``; ``rates``: response by ``area``, no unit."""

    due: date
    states: pl.DataFrame
    listed: pl.DataFrame
    rates: pl.DataFrame


def _rules() -> tuple[int, list[tuple[int, str]]]:
    """In how many periods before a return shows that a unit is asked; days late → what is done."""
    rules = load_yaml("review")["reminders"]
    return int(rules["asked_by_periods"]), [(int(s["days_late"]), str(s["action"])) for s in rules["steps"]]


def asked(rows: pl.DataFrame, contract: Contract, period: Period, size: str | None) -> pl.DataFrame:
    """Units whose return of the period is awaited: those that sent one in the periods before, or sent it.

    Returns ``unit, period_before, size, received, has_come``: ``size`` is the last value before the period (null where none is
    known), ``received`` the day of the return where the form states it.
    """
    when = str(contract.period_column)
    text = rows.with_columns(pl.col(when).cast(pl.String).alias("__period"))
    wanted = [str(period.shift(-n)) for n in range(_rules()[0], 0, -1)]
    value = pl.lit(None, pl.Float64) if size is None else pl.col(size).cast(pl.Float64)
    before = (
        text.filter(pl.col("__period").is_in(wanted))
        .sort("__period", "uscc")
        .group_by("uscc", maintain_order=True)
        .agg(period_before=pl.col("__period").last(), size=value.drop_nulls().last())
    )
    day = pl.col("submitted_on") if "submitted_on" in rows.columns else pl.lit(None, pl.Date)
    now = text.filter(pl.col("__period") == str(period)).select("uscc", received=day, has_come=pl.lit(True))
    return before.join(now, on="uscc", how="full", coalesce=True).rename({"uscc": "unit"}).sort("unit")


def tracked(units: pl.DataFrame, places: pl.DataFrame, due: date, end: date, as_of: date, area: str = CITY) -> Tracking:
    """States, list and rates of the units asked (:func:`asked`); those closed by the ``end`` of the period are not asked.

    A return without a day of its own counts as come in time. ``area``: a district's code, of which alone influence and rates are then
    taken. ``places``: ``uscc`` and :data:`PLACE` of the register.
    """
    known = places.select(
        pl.col("uscc").alias("unit"), "name", "closing_date",
        area=pl.coalesce("operating_district", "registered_district"),
    )  # fmt: skip
    alive = pl.col("closing_date").is_null() | (pl.col("closing_date") > end) | pl.col("has_come").fill_null(False)
    here = pl.lit(True) if area == CITY else pl.col("area") == area
    sample = units.join(known, on="unit", how="left", maintain_order="left").filter(alive & here).drop("closing_date")
    come = pl.col("has_come").fill_null(False)
    sample = sample.with_columns(
        received=pl.when(come).then(pl.coalesce("received", pl.lit(due))), due=pl.lit(due), weight=pl.lit(1.0)
    ).drop("has_come")
    states = response_states(sample, as_of)
    rates = response_rates(states.with_columns(pl.col("area").fill_null("")), ["area"])
    return Tracking(due, states, reminders(states, _rules()[1]), rates)


def track(
    work: WorkStore, source_id: str, period: str, as_of: date, due: date | None = None, area: str = CITY
) -> Tracking:
    """Response to a survey's period on a day, from the work store.

    Raises
    ------
    ValueError
        If the source is no survey of units, the period is none of its, or no day is due.
    LookupError
        If nothing was received yet.
    """
    contract, found = load_contract(source_id), parse(period)
    if contract.survey is None or contract.period_column is None or "uscc" not in contract.identifiers:
        raise ValueError(f"{source_id} is no survey of enterprises by period")
    if {"A": 1, "Q": 4, "M": 12}.get(contract.frequency) != found.frequency:
        raise ValueError(f"{period} is no period of {source_id}, whose frequency is {contract.frequency}")
    plan = load_plan(source_id)
    size = plan.totals[0] if plan is not None and plan.totals else None
    own = [c.to for c in contract.columns if c.to in ("submitted_on", size)]
    rows = work.read(table_name(source_id), ["uscc", str(contract.period_column), *own])
    units = asked(rows, contract, found, size)
    places = work.matching(REGISTER_CURRENT, ["uscc", *PLACE], units["unit"].alias("uscc"))
    return tracked(units, places, due or contract.survey.due(found), found.end, as_of, area)
