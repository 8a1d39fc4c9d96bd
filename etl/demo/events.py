"""What happens to units after the last full register, and which units continue others."""

from collections.abc import Iterator
from datetime import date
from typing import Final

import numpy as np
import polars as pl

from etl.demo.city import LAST_QUARTER, City, DemoFile, makes
from etl.demo.returns import register_rows
from etl.demo.scenario import load_scenario, stream
from etl.demo.units import AI, ORDINARY, OTHER, build_units

CONTINUED = 0.35
"""Share of the closed units that matter whose business another unit goes on with."""
CHANGED: Final = 0.004
"""Share of the living units that a night's file changes or closes."""
NIGHTS = ((1, 31), (2, 28), (3, 31), (4, 30), (5, 31), (6, 30), (7, 31), (8, 31), (9, 30))


@makes("unit_links")
def unit_links(city: City) -> Iterator[DemoFile]:
    """Mergers, code changes and splits among the closed units that matter, by year."""
    closed = city.units.filter(pl.col("role").is_in([AI, OTHER]) & pl.col("closing_date").is_not_null()).sort("uscc")
    living = city.units.filter(pl.col("role").is_in([AI, OTHER]) & pl.col("closing_date").is_null()).sort("uscc")
    for year in city.years:
        rng = city.rng(f"links {year}")
        gone = closed.filter(pl.col("closing_date").dt.year() == year)
        gone = gone.filter(pl.Series(rng.random(gone.height) < CONTINUED))
        rows = []
        for unit in gone.iter_rows(named=True):
            able = living.filter(
                (pl.col("activity") == unit["activity"]) & (pl.col("opening_date") <= unit["closing_date"])
            )
            heirs = able if able.height else living
            for heir in heirs["uscc"].sample(1, seed=int(rng.integers(1 << 31))):
                event = str(rng.choice(["1", "2", "4"], p=[0.4, 0.45, 0.15]))
                rows.append((unit["uscc"], heir, unit["closing_date"].isoformat(), event, 100))
        names = ["predecessor_uscc", "successor_uscc", "event_date", "event", "share_pct"]
        if rows:
            yield DemoFile("unit_links", pl.DataFrame(rows, schema=names, orient="row"), year, {})


@makes("scale_list")
def scale_list(city: City) -> Iterator[DemoFile]:
    """The units above the threshold by year: who was there last year, who is new, who grew above it."""
    for year in city.years:
        rows = city.accounts.filter((pl.col("ref_year") == year) & pl.col("above_scale")).sort("uscc")
        before = city.accounts.filter((pl.col("ref_year") == year - 1) & pl.col("above_scale"))["uscc"].implode()
        born = city.units.filter(pl.col("opening_date").dt.year() == year)["uscc"].implode()
        industry = pl.col("gbt_code").str.slice(0, 2).cast(pl.Int64).is_between(6, 46)
        entry = (
            pl.when(pl.col("uscc").is_in(before) if year > city.years[0] else pl.lit(True))
            .then(pl.lit("1"))
            .when(pl.col("uscc").is_in(born))
            .then(pl.lit("2"))
            .otherwise(pl.lit("3"))
        )
        kind = pl.when(industry).then(pl.lit("B")).otherwise(pl.lit("F"))
        yield DemoFile("scale_list", rows.select("uscc", profession=kind, entry=entry), year, {})


def nights() -> list[str]:
    """The nights that bring a change file, ISO."""
    return [date(LAST_QUARTER[0], month, day).isoformat() for month, day in NIGHTS[: LAST_QUARTER[1] * 3]]


def night_file(night: str, frame: pl.DataFrame) -> DemoFile:
    """The change file of a night (or a part of it)."""
    day = date.fromisoformat(night)
    return DemoFile("register_delta", frame, day.year, {"month": day.month, "day": day.day})


def changes(rng: np.random.Generator, rows: pl.DataFrame) -> pl.DataFrame:
    """Closures and changes among register rows in the year under way, no unit twice, with ``night`` and ``change``."""
    known, living = nights(), rows.filter(pl.col("closing_date").is_null())
    count = round(CHANGED * len(known) * living.height)
    hit = living[rng.permutation(living.height)[:count].tolist()]
    place = np.arange(count)
    factor = pl.Series(rng.uniform(0.8, 1.3, count))
    frame = hit.with_columns(
        night=pl.Series([known[i] for i in place % len(known)], dtype=pl.String),
        change=pl.Series(np.where(place // len(known) % 3 == 0, "3", "2"), dtype=pl.String),
    )
    closes, staff = pl.col("change") == "3", (pl.col("employed_persons") * factor).round(0).clip(1, None)
    return frame.with_columns(
        closing_date=pl.when(closes).then("night").otherwise("closing_date"),
        employed_persons=pl.when(closes).then("employed_persons").otherwise(staff.cast(pl.Int64)),
    )


@makes("register_delta")
def register_delta(city: City) -> Iterator[DemoFile]:
    """Births, changes and closures of each month after the full extract, one file a month's last night."""
    everything = register_rows(city.units, city.accounts, city.scenario, city.seed)
    born = births(city.seed, city.units.height)
    known = city.units["uscc"].implode()
    frame = pl.concat([changes(city.rng("delta"), everything), born.filter(~pl.col("uscc").is_in(known))])
    for night in nights():
        rows = frame.filter(pl.col("night") == night).drop("night").sort("uscc")
        yield night_file(night, rows.select("change", pl.exclude("change")))


def births(seed: int, units: int) -> pl.DataFrame:
    """Register rows of units opened in the year under way, with ``night`` and ``change``; as many as befit ``units``."""
    size, year = load_scenario("small"), LAST_QUARTER[0]
    fresh = build_units(size, seed + 1).filter((pl.col("role") == ORDINARY) & pl.col("closing_date").is_null())
    fresh = fresh.head(max(round(units * 0.002), 20))
    rng = stream(seed, "births")
    days = [
        date(year, int(m), int(d))
        for m, d in zip(rng.integers(1, 10, fresh.height), rng.integers(1, 29, fresh.height), strict=True)
    ]
    fresh = fresh.with_columns(opening_date=pl.Series(days), group_uscc=pl.lit(None, pl.String))
    accounts = pl.DataFrame(
        schema={"uscc": pl.String, "ref_year": pl.Int64, "alive": pl.Boolean, "employed_persons": pl.Int64}
    )
    rows = register_rows(fresh, accounts, size, seed + 1)
    by_month = {night[:7]: night for night in nights()}
    night = pl.col("opening_date").str.slice(0, 7).replace_strict(by_month, default=None, return_dtype=pl.String)
    return rows.with_columns(night=night, change=pl.lit("1")).drop_nulls("night")


def truth_links(city: City) -> pl.DataFrame:
    """The continuations as they truly are: ``predecessor_uscc, successor_uscc, event_date, event, share_pct``."""
    parts = [file.frame for file in unit_links(city)]
    names = ["predecessor_uscc", "successor_uscc", "event_date", "event", "share_pct"]
    return pl.concat(parts) if parts else pl.DataFrame(schema=dict.fromkeys(names, pl.String))
