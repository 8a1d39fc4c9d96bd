"""What happens to units after the last full register, and which units continue others."""

from collections.abc import Iterator
from datetime import date

import polars as pl

from etl.demo.city import LAST_QUARTER, City, DemoFile, makes
from etl.demo.returns import register_rows
from etl.demo.scenario import load_scenario
from etl.demo.units import AI, ORDINARY, OTHER, build_units

CONTINUED = 0.35
"""Share of the closed units that matter whose business another unit goes on with."""
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


@makes("register_delta")
def register_delta(city: City) -> Iterator[DemoFile]:
    """Births, changes and closures of each month after the full extract, one file a month's last night."""
    year = LAST_QUARTER[0]
    everything = register_rows(city.units, city.accounts, city.scenario, city.seed)
    open_units = everything.filter(pl.col("closing_date").is_null())
    born = _born(city, year)
    share = 0.004
    for month, day in NIGHTS[: LAST_QUARTER[1] * 3]:
        rng = city.rng(f"delta {month}")
        night = date(year, month, day).isoformat()
        changed = open_units.sample(fraction=share, seed=int(rng.integers(1 << 31)), shuffle=True)
        third = changed.height // 3
        closed = changed.head(third).with_columns(closing_date=pl.lit(night), change=pl.lit("3"))
        moved = changed.slice(third).with_columns(
            employed_persons=(pl.col("employed_persons") * pl.Series(rng.uniform(0.8, 1.3, changed.height - third)))
            .round(0).clip(1, None).cast(pl.Int64),
            change=pl.lit("2"),
        )  # fmt: skip
        new = born.filter(pl.col("opening_date").str.slice(0, 7) == night[:7]).with_columns(change=pl.lit("1"))
        frame = pl.concat([closed, moved, new], how="diagonal_relaxed").sort("uscc")
        yield DemoFile("register_delta", frame, year, {"month": month, "day": day})


def _born(city: City, year: int) -> pl.DataFrame:
    """Units opened in the year under way."""
    size = load_scenario("small")
    units = build_units(size, city.seed + 1).filter((pl.col("role") == ORDINARY) & pl.col("closing_date").is_null())
    units = units.head(max(round(city.units.height * 0.002), 20)).filter(
        ~pl.col("uscc").is_in(city.units["uscc"].implode())
    )
    rng = city.rng("births")
    days = [
        date(year, int(m), int(d))
        for m, d in zip(rng.integers(1, 10, units.height), rng.integers(1, 29, units.height), strict=True)
    ]
    units = units.with_columns(opening_date=pl.Series(days), group_uscc=pl.lit(None, pl.String))
    return register_rows(units, city.accounts, size, city.seed + 1)


def truth_links(city: City) -> pl.DataFrame:
    """The continuations as they truly are: ``predecessor_uscc, successor_uscc, event_date, event, share_pct``."""
    parts = [file.frame for file in unit_links(city)]
    names = ["predecessor_uscc", "successor_uscc", "event_date", "event", "share_pct"]
    return pl.concat(parts) if parts else pl.DataFrame(schema=dict.fromkeys(names, pl.String))
