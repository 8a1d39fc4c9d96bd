"""Business demography of the register and of the AI enterprises in it, cleared for release (GSBPM phases 6 and 7).

Births and deaths are read off the dates of the register. A unit that carries on another one (change of code, merger,
split) is no birth, and the one it carries on no death (*Eurostat-OECD Manual on Business Demography Statistics*, 2007).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import polars as pl

from etl.clearing import clear_table
from etl.dissemination import HIDDEN
from etl.link import LEGAL_UNIT
from etl.methods.demography import GROWTH_YEARS, SMALLEST_HIGH_GROWTH, SURVIVAL_YEARS, high_growth
from etl.methods.disclosure import RuleSet

ALL, AI = "legal_units", "ai_enterprises"
LINK_DAYS: Final = 366
"""A link makes a continuation when it lies within a year of the opening or the closing."""
AI_FROM: Final = 0.5
MANY: Final = 100
ROUNDED: Final = 10
"""Active units are given to the nearest ten: exact stocks of two years and the flows that are shown would give the few away
that are withheld (stock = stock before + entries - exits)."""
YES, NO = "1", "0"
EVENTS: Final = ("births", "continuations", "deaths", "continued_by_others")
GROWTH: Final = {"high_growth_10": 0.1, "high_growth_20": 0.2}
SCHEMA: Final = {
    "population": pl.String, "metric": pl.String, "period": pl.String, "value": pl.Float64, "obs_status": pl.String,
    "conf_status": pl.String,
}  # fmt: skip
Row = tuple[str, str, str, float | None, str, str]


def lives(register: pl.DataFrame, links: pl.DataFrame) -> pl.DataFrame:
    """Legal units with what their dates mean.

    Parameters
    ----------
    register
        ``uscc, unit_kind, opening_date, closing_date, group_uscc``.
    links
        ``predecessor_uscc, successor_uscc, event_date``.

    Returns
    -------
    pl.DataFrame
        ``uscc, contributor, opened, closed`` (years; ``closed`` null while alive), ``is_continuation``, ``is_continued`` and
        ``ended``: the year in which the business ended, that of the heir where there is one, null while it goes on.
    """
    units = register.filter(pl.col("unit_kind") == LEGAL_UNIT)
    near = pl.duration(days=LINK_DAYS)
    came = links.join(units.select("uscc", "opening_date"), left_on="successor_uscc", right_on="uscc")
    came = came.filter((pl.col("event_date") - pl.col("opening_date")).abs() <= near)
    went = links.join(units.select("uscc", "closing_date"), left_on="predecessor_uscc", right_on="uscc")
    went = went.filter((pl.col("event_date") - pl.col("closing_date")).abs() <= near)
    heirs = went.sort("event_date").group_by("predecessor_uscc").agg(pl.col("successor_uscc").last())
    known = units.select(
        "uscc", contributor=pl.coalesce("group_uscc", "uscc"), opened=pl.col("opening_date").dt.year(),
        closed=pl.col("closing_date").dt.year(),
        is_continuation=pl.col("uscc").is_in(came["successor_uscc"].unique().implode()),
        is_continued=pl.col("uscc").is_in(heirs["predecessor_uscc"].implode()),
    )  # fmt: skip
    ended = _ends(known, dict(heirs.iter_rows()))
    return known.join(ended, on="uscc", how="left").with_columns(
        ended=pl.when("is_continued").then("heir_ended").otherwise("closed")
    ).drop("heir_ended")  # fmt: skip


def _ends(known: pl.DataFrame, heirs: Mapping[str, str]) -> pl.DataFrame:
    """``uscc, heir_ended`` of the continued units: the year the last of the chain of heirs closed (null: alive or gone away)."""
    closed = dict(
        known.filter(pl.col("uscc").is_in(list({*heirs, *heirs.values()}))).select("uscc", "closed").iter_rows()
    )
    rows = []
    for unit in sorted(heirs):
        seen, at = {unit}, heirs[unit]
        while at in heirs and at not in seen:
            seen.add(at)
            at = heirs[at]
        rows.append((unit, closed.get(at)))
    return pl.DataFrame(rows, schema={"uscc": pl.String, "heir_ended": pl.Int32}, orient="row")


def _active(year: int) -> pl.Expr:
    """Alive at some time of the year."""
    return (pl.col("opened") <= year) & (pl.col("closed").is_null() | (pl.col("closed") >= year))


def _flags(year: int) -> dict[str, pl.Expr]:
    born, gone = pl.col("opened") == year, (pl.col("closed") == year).fill_null(False)
    return {
        "births": born & ~pl.col("is_continuation"), "continuations": born & pl.col("is_continuation"),
        "deaths": gone & ~pl.col("is_continued"), "continued_by_others": gone & pl.col("is_continued"),
    }  # fmt: skip


def pooled(units: pl.DataFrame) -> pl.DataFrame:
    """Units of :func:`lives` without their codes, ``n`` of them a row; all that follows depends on their dates alone.

    Where more than a thousand units share their dates their contributors are pooled in a hundred, for only few matter to the
    rule of frequency: a register of millions becomes a table of thousands.
    """
    key = ["opened", "closed", "is_continuation", "is_continued", "ended"]
    contributor = (
        pl.when(pl.len().over(key) > 10 * MANY)
        .then(pl.format("pool{}", pl.int_range(pl.len()) % MANY))
        .otherwise("contributor")
    )
    return (
        units.with_columns(contributor=contributor)
        .group_by(*key, "contributor", maintain_order=True)
        .agg(n=pl.len().cast(pl.Int64))
    )


def _count(units: pl.DataFrame) -> int:
    return int(units["n"].sum())


def cleared_counts(
    micro: pl.DataFrame, metrics: Sequence[str], limits: RuleSet, seed: int
) -> dict[str, tuple[int, bool]]:
    """Metric → (count, may be shown): how many units a flag is true for, protected with its complement and audited.

    ``micro`` has ``contributor``, ``n`` units and a Boolean column a metric; the number of units itself is taken to be published. A
    metric is withheld where too few units are behind it, or too few are *not*. All are when the audit fails.
    """
    rows = micro.select(
        "contributor", pl.col("n").alias("value"), *[pl.when(m).then(pl.lit(YES)).otherwise(pl.lit(NO)).alias(m) for m in metrics],
        observed=pl.lit(True),
    )  # fmt: skip
    codes = {m: {YES: None, NO: None} for m in metrics}
    cleared = clear_table(rows, {m: (m,) for m in metrics}, codes, limits, seed, kind="count")
    found = {}
    for metric in metrics:
        own = cleared.frame.filter((pl.col("table") == metric) & (pl.col(metric) == YES))
        found[metric] = (
            _count(micro.filter(metric)),
            cleared.certificate.passed and own["status"].item() not in HIDDEN,
        )
    return found


def _counted(population: str, period: int, counts: Mapping[str, tuple[int, bool]]) -> Iterator[Row]:
    for metric, (count, shown) in counts.items():
        yield population, metric, str(period), float(count) if shown else None, "A", "F" if shown else "C"


def _rate(population: str, metric: str, period: int, part: tuple[int, bool] | None, whole: tuple[int, bool]) -> Row:
    """A share of two counts: withheld when either is, missing where it cannot be known."""
    if part is None or (whole[1] and whole[0] == 0):
        return population, metric, str(period), None, "M", "F"
    if not (part[1] and whole[1]):
        return population, metric, str(period), None, "A", "C"
    return population, metric, str(period), part[0] / whole[0], "A", "F"


def _events(population: str, units: pl.DataFrame, year: int, limits: RuleSet, seed: int) -> Iterator[Row]:
    active = units.filter(_active(year)).with_columns(**_flags(year))
    enough = active["contributor"].n_unique() >= limits.min_contributors
    whole = ROUNDED * ((_count(active) + ROUNDED // 2) // ROUNDED), enough or active.height == 0
    counts = cleared_counts(active, EVENTS, limits, seed) if enough else dict.fromkeys(EVENTS, (0, active.height == 0))
    yield from _counted(population, year, {"active": whole, **counts})
    yield _rate(population, "birth_rate", year, counts["births"], whole)
    yield _rate(population, "death_rate", year, counts["deaths"], whole)
    both = counts["births"][0] + counts["deaths"][0], counts["births"][1] and counts["deaths"][1]
    yield _rate(population, "churn_rate", year, both, whole)


def _survival(population: str, units: pl.DataFrame, year: int, last: int, limits: RuleSet, seed: int) -> Iterator[Row]:
    """How many of the births of a year are still active one to five years later."""
    born = units.filter((pl.col("opened") == year) & ~pl.col("is_continuation"))
    steps = [n for n in range(1, SURVIVAL_YEARS + 1) if year + n <= last]
    names = [f"survivors_{n}" for n in steps]
    enough = born["contributor"].n_unique() >= limits.min_contributors
    flags = {
        name: pl.col("ended").is_null() | (pl.col("ended") >= year + n) for name, n in zip(names, steps, strict=True)
    }
    counts = (
        cleared_counts(born.with_columns(**flags), names, limits, seed)
        if names and enough
        else dict.fromkeys(names, (0, born.height == 0))
    )
    yield from _counted(population, year, counts)
    whole = _count(born), enough or born.height == 0
    for n in range(1, SURVIVAL_YEARS + 1):
        yield _rate(population, f"survival_rate_{n}", year, counts.get(f"survivors_{n}"), whole)


def _high_growth(
    staff: pl.DataFrame, units: pl.DataFrame, years: Sequence[int], limits: RuleSet, seed: int
) -> Iterator[Row]:
    """High growth of AI enterprises by the staff of their labour returns; known from the fourth year on."""
    events = staff.join(
        units.select(pl.col("uscc").alias("unit"), "opened", "is_continuation", "contributor"), on="unit"
    )
    born = (pl.col("opened") == pl.col("year")) & ~pl.col("is_continuation")
    events = events.with_columns(entry=pl.when(born).then(pl.lit("birth")))
    three_before = events.filter(pl.col("size") >= SMALLEST_HIGH_GROWTH).select(
        "unit", (pl.col("year") + GROWTH_YEARS).alias("year")
    )
    eligible = events.join(three_before, on=["unit", "year"])
    names = [*GROWTH, "gazelles"]
    for name, threshold in GROWTH.items():
        fast = high_growth(events, threshold)
        eligible = eligible.join(
            fast.select("unit", "year", pl.lit(True).alias(name), pl.col("is_gazelle").alias(f"gazelle_{name}")),
            on=["unit", "year"], how="left",
        )  # fmt: skip
    eligible = eligible.with_columns(gazelles=pl.col("gazelle_high_growth_20"), n=pl.lit(1, pl.Int64)).with_columns(
        pl.col(names).fill_null(False)
    )
    for year in years[GROWTH_YEARS:]:
        own = eligible.filter(pl.col("year") == year)
        if own["contributor"].n_unique() < limits.min_contributors:
            for name in ("ten_persons_before", *names):
                yield AI, name, str(year), None, "A", "C"
            continue
        counts = cleared_counts(own, names, limits, seed)
        yield from _counted(AI, year, {"ten_persons_before": (own.height, True), **counts})
        for name in GROWTH:
            yield _rate(AI, f"{name}_rate", year, counts[name], (own.height, True))


def moves(places: pl.DataFrame, delta: pl.DataFrame) -> pl.DataFrame:
    """``uscc, year`` of the legal units whose district of operation in the nightly changes is another than in the full extract."""
    place = pl.coalesce("operating_district", "registered_district")
    before = places.select("uscc", origin=place)
    now = delta.filter(pl.col("unit_kind") == LEGAL_UNIT).select(
        "uscc", place=place, year=pl.col("ref_period").str.slice(0, 4).cast(pl.Int64)
    )
    moved = now.join(before, on="uscc").filter(pl.col("place") != pl.col("origin"))
    return moved.select("uscc", "year").unique().sort("uscc", "year")


def _moved(
    population: str, units: pl.DataFrame, moved: pl.DataFrame, years: Sequence[int], limits: RuleSet, seed: int
) -> Iterator[Row]:
    for year in years:
        gone = pl.col("uscc").is_in(moved.filter(pl.col("year") == year)["uscc"].implode())
        active = units.filter(_active(year))
        if active["contributor"].n_unique() < limits.min_contributors:
            yield population, "moves", str(year), None, "A", "C"
            continue
        sides = [pooled(active.filter(c)).with_columns(moves=pl.lit(v)) for c, v in ((gone, True), (~gone, False))]
        yield from _counted(population, year, cleared_counts(pl.concat(sides), ("moves",), limits, seed))


def ai_units(units: pl.DataFrame) -> pl.Series:
    """Codes of the units of the frame (nominated or surveyed) that were AI enterprises in some year.

    Confirmed members, and units without a return whose probability of being one is at least one half.
    """
    return units.filter(pl.col("membership") >= AI_FROM)["uscc"].unique().sort()


def demography_rows(
    register: pl.DataFrame,
    places: pl.DataFrame,
    delta: pl.DataFrame,
    links: pl.DataFrame,
    units: pl.DataFrame,
    limits: RuleSet,
    seed: int,
) -> pl.DataFrame:
    """The table ``meta_demography``: ``population, metric, period, value, obs_status, conf_status``.

    Populations: ``legal_units`` of the register, ``ai_enterprises`` (:func:`ai_units`). Counts ``active, births,
    continuations, deaths, continued_by_others, survivors_n, ten_persons_before, high_growth_10, high_growth_20, gazelles,
    moves``; rates (0-1) ``birth_rate, death_rate, churn_rate, survival_rate_n, high_growth_10_rate, high_growth_20_rate``.
    ``active`` is rounded (:data:`ROUNDED`), and rates are by the rounded number. Survivors stand at the year of birth.
    ``C``: withheld; ``M``: cannot be known yet.

    Parameters
    ----------
    register
        As for :func:`lives`: the newest full extract.
    places, delta
        ``uscc, operating_district, registered_district`` in that extract of the units in the nightly changes after it, and
        the changes (also ``unit_kind, ref_period``): they only show moves.
    units
        ``uscc, ref_year, membership, employed_persons`` of the frame.
    """
    years = sorted(units["ref_year"].unique().to_list())
    everyone = lives(register, links)
    own = everyone.filter(pl.col("uscc").is_in(ai_units(units).implode()))
    staff = units.filter(pl.col("membership") >= AI_FROM).drop_nulls("employed_persons").select(
        pl.col("uscc").alias("unit"), pl.col("ref_year").alias("year"), pl.col("employed_persons").alias("size")
    )  # fmt: skip
    moved = moves(places, delta)
    changed = sorted({int(p[:4]) for p in delta["ref_period"].drop_nulls().unique()})
    rows: list[Row] = []
    for population, members in ((ALL, everyone), (AI, own)):
        counted = pooled(members)
        for year in years:
            rows += _events(population, counted, year, limits, seed)
            rows += _survival(population, counted, year, years[-1], limits, seed)
        rows += _moved(population, members, moved, changed, limits, seed)
    rows += _high_growth(staff, own, years, limits, seed)
    return pl.DataFrame(rows, schema=SCHEMA, orient="row").sort("population", "metric", "period")
