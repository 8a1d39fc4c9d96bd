"""Business demography (企业人口统计): births, deaths, reactivations, survival, high growth, gazelles.

Definitions of the *Eurostat-OECD Manual on Business Demography Statistics* (2007): a birth is a combination of production
factors where no other enterprise is involved; a unit that comes back within two years is reactivated, not born; a unit that
continues another one (merger, take-over, change of code or legal form, move) is neither born, nor is the other one dead.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from etl.methods.periods import gaps, parse
from etl.methods.refusals import refuse_duplicates, refuse_row
from etl.methods.registry import method
from etl.methods.tabular import BadInput, Column, MethodResult, Parameter, names_in, table_method

REACTIVATION_YEARS: Final = 2
SURVIVAL_YEARS: Final = 5
SMALLEST_HIGH_GROWTH: Final = 10
GROWTH_YEARS: Final = 3


@dataclass(frozen=True)
class Demography:
    """``units``: one row a unit and active year with its events; ``years``: one row a year with counts and rates."""

    units: pl.DataFrame
    years: pl.DataFrame


def _at(active: pl.DataFrame, offset: int, name: str) -> pl.DataFrame:
    """Marks whether a unit was active ``offset`` years after the row's year (negative: before)."""
    return active.select("unit", (pl.col("year") - offset).alias("year"), pl.lit(True).alias(name))


def _with_neighbours(active: pl.DataFrame) -> pl.DataFrame:
    found = active
    for offset in range(-REACTIVATION_YEARS, REACTIVATION_YEARS + 1):
        if offset:
            found = found.join(_at(active, offset, f"at{offset:+d}"), on=["unit", "year"], how="left")
    return found.with_columns(pl.col("^at.*$").fill_null(False))


def _first_links(links: pl.DataFrame) -> pl.DataFrame:
    """``predecessor, successor, year``: the first year in which each heir names each predecessor (it may repeat it on later rows)."""
    return links.group_by("predecessor", "successor").agg(pl.col("year").min())


def _bounds(active: pl.DataFrame, observed: tuple[int, int] | None) -> tuple[int, int]:
    if observed is not None:
        return observed
    return int(active["year"].min() or 0), int(active["year"].max() or 0)  # type: ignore[arg-type]


def unit_events(active: pl.DataFrame, links: pl.DataFrame, observed: tuple[int, int] | None = None) -> pl.DataFrame:
    """Events of every unit in every year it was active.

    Parameters
    ----------
    active
        ``unit, year (Int64), size (persons, nullable)``: one row a unit and year in which it had turnover or employment.
    links
        ``predecessor, successor, year``: the successor carries on the predecessor's business from that year on. A link that
        is there again in later years says nothing new.
    observed
        First and last year observed, active units or not; left out: those of ``active``.

    Returns
    -------
    pl.DataFrame
        ``unit, year, size, entry (birth | continuation | reactivation | first_years | null), exit (death | continued | null),
        exit_is_provisional``. ``first_years``: the unit is there at the start of the observation, when nobody can say
        whether it was before. A death of the last two years may yet turn into a dormancy: provisional; in the last year
        observed nothing is known.
    """
    first, last = _bounds(active, observed)
    known = _first_links(links)
    by_heir = known.group_by(pl.col("successor").alias("unit")).agg(heir_since=pl.col("year").min())
    taken = [known.select(pl.col("predecessor").alias("unit"), pl.col("year") - lag, goes_on=True) for lag in (0, 1)]
    near = _with_neighbours(active).join(by_heir, on="unit", how="left")
    near = near.join(pl.concat(taken).unique(), on=["unit", "year"], how="left")
    came = pl.col("year").eq(pl.col("year").min().over("unit"))
    entry = (
        pl.when(pl.col("at-1")).then(None)
        .when(pl.col("at-2")).then(pl.lit("reactivation"))
        .when(came & (pl.col("heir_since") <= pl.col("year"))).then(pl.lit("continuation"))
        .when(pl.col("year") < first + REACTIVATION_YEARS).then(pl.lit("first_years"))
        .otherwise(pl.lit("birth"))
    )  # fmt: skip
    left = ~pl.col("at+1") & ~pl.col("at+2") & (pl.col("year") < last)
    exits = pl.when(left & pl.col("goes_on")).then(pl.lit("continued")).when(left).then(pl.lit("death"))
    return near.select(
        "unit", "year", "size", entry=entry, exit=exits,
        exit_is_provisional=pl.when(left).then(pl.col("year") > last - REACTIVATION_YEARS),
    ).sort("unit", "year")  # fmt: skip


Heirs = Mapping[str, list[tuple[str, int]]]


def _heirs(events: pl.DataFrame, links: pl.DataFrame) -> Heirs:
    """Of the units that ended by being continued: the new units that carry them on, each with the year of the end.

    Only units that came with the link count: take-over by one that was there before is no survival (manual, chapter 7).
    """
    ended = events.filter(pl.col("exit") == "continued").select(pl.col("unit").alias("predecessor"), ended="year")
    new = events.filter(pl.col("entry") == "continuation").select(pl.col("unit").alias("successor"), came="year")
    found = _first_links(links).join(ended, on="predecessor").join(new, on="successor")
    near = (pl.col("year") - pl.col("ended")).is_between(0, 1) & (pl.col("came") >= pl.col("year"))
    found = found.filter(near).sort("predecessor", "successor", "ended")
    heirs: dict[str, list[tuple[str, int]]] = {}
    for predecessor, successor, year in found.select("predecessor", "successor", "ended").iter_rows():
        heirs.setdefault(predecessor, []).append((successor, year))
    return heirs


def _survived(unit: str, born: int, last: int, active: Set[tuple[str, int]], heirs: Heirs) -> int:
    """Years after its birth through which a unit was active without a break, itself or through any of its heirs."""

    def alive(year: int) -> bool:
        seen, todo = {unit}, [(unit, born)]
        while todo:
            at, since = todo.pop()
            if (at, year) in active:
                return True
            later = [(heir, ended) for heir, ended in heirs.get(at, []) if ended >= since and heir not in seen]
            seen.update(heir for heir, _ in later)
            todo += later
        return False

    horizon = range(1, min(SURVIVAL_YEARS, last - born) + 1)
    return next((n - 1 for n in horizon if not alive(born + n)), len(horizon))


def _survivors(events: pl.DataFrame, links: pl.DataFrame, first: int, last: int) -> pl.DataFrame:
    """``year, survivors_1 …``: births of each year active in each of the n years after; null where that is not known yet."""
    heirs, active = _heirs(events, links), set(events.select("unit", "year").iter_rows())
    born: dict[int, list[str]] = {year: [] for year in range(first + REACTIVATION_YEARS, last + 1)}
    for unit, year in events.filter(pl.col("entry") == "birth").select("unit", "year").iter_rows():
        born[year].append(unit)
    rows = []
    for year, units in born.items():
        reached = [_survived(unit, year, last, active, heirs) for unit in units]
        steps = range(1, SURVIVAL_YEARS + 1)
        rows.append((year, *(sum(r >= n for r in reached) if year + n <= last else None for n in steps)))
    schema = {"year": pl.Int64, **{f"survivors_{n}": pl.Int64 for n in range(1, SURVIVAL_YEARS + 1)}}
    return pl.DataFrame(rows, schema=schema, orient="row")


def growth_population(events: pl.DataFrame) -> pl.DataFrame:
    """Units of which high growth can be told: ten persons or more three years before, not born then or since, staff known now.

    ``events``: ``unit, year, size, entry`` of active units. Returns its rows, with ``size_start`` (staff three years before)
    and ``born`` (year of the last birth, null where it is not known).
    """
    birth = pl.when(pl.col("entry") == "birth").then("year")
    known = events.with_columns(born=birth.forward_fill().over("unit", order_by="year"))
    start = events.select("unit", (pl.col("year") + GROWTH_YEARS).alias("year"), pl.col("size").alias("size_start"))
    new = (pl.col("year") - pl.col("born") <= GROWTH_YEARS).fill_null(False)
    enough = pl.col("size_start") >= SMALLEST_HIGH_GROWTH
    return known.join(start, on=["unit", "year"]).filter(enough & pl.col("size").is_not_null() & ~new)


def high_growth(events: pl.DataFrame, threshold: float) -> pl.DataFrame:
    """Units of :func:`growth_population` whose employment grew by more than ``threshold`` a year over three years.

    Returns ``unit, year (end of the three years), is_gazelle``: gazelles were born four or five years before the end (those
    born in the first of the three years are left out: their growth is that of a partial year).
    """
    annual = (pl.col("size") / pl.col("size_start")) ** (1 / GROWTH_YEARS) - 1
    young = (pl.col("year") - pl.col("born")).is_between(GROWTH_YEARS + 1, GROWTH_YEARS + 2).fill_null(False)
    return growth_population(events).filter(annual > threshold + 1e-12).select("unit", "year", is_gazelle=young)


COUNTS: Final = {
    "births": pl.col("entry") == "birth", "continuations": pl.col("entry") == "continuation",
    "reactivations": pl.col("entry") == "reactivation", "deaths": pl.col("exit") == "death",
    "continued_by_others": pl.col("exit") == "continued",
}  # fmt: skip


@method("demography.events")
def demography(
    active: pl.DataFrame,
    links: pl.DataFrame,
    *,
    high_growth_threshold: float = 0.2,
    observed: tuple[int, int] | None = None,
) -> Demography:
    r"""Events of units and the yearly account of the population.

    .. math:: A_t = A_{t-1} + \text{entries}_t - \text{exits}_{t-1}

    where entries are births, continuations, reactivations, and exits deaths, continued units and dormancies.

    Parameters
    ----------
    active, links, observed
        As for :func:`unit_events`.
    high_growth_threshold
        Average annual growth of employment above which a unit is of high growth: 0.2 (OECD 2007), 0.1 (EU since 2012).

    Returns
    -------
    Demography
        ``years``: one row a year observed; counts are null where they cannot be known: births in the first two years, deaths
        in the last one, survival beyond the last one, high growth before the fourth year. Rates are shares (0.1 is 10 %):
        births and deaths by active units of the year, survivors by births, high growth by :func:`growth_population`.
    """
    first, last = _bounds(active, observed)
    events = unit_events(active, links, (first, last))
    fast = high_growth(events, high_growth_threshold)
    able = growth_population(events).group_by("year").agg(ten_persons_before=pl.len())
    counted = events.group_by("year").agg(active=pl.len(), **{k: v.fill_null(False).sum() for k, v in COUNTS.items()})
    years = (
        pl.DataFrame({"year": pl.Series(range(first, last + 1), dtype=pl.Int64)})
        .join(counted, on="year", how="left").with_columns(pl.col("active", *COUNTS).fill_null(0))
        .join(_survivors(events, links, first, last), on="year", how="left")
        .join(fast.group_by("year").agg(high_growth=pl.len(), gazelles=pl.col("is_gazelle").sum()), on="year", how="left")
        .join(able, on="year", how="left")
        .sort("year")
    )  # fmt: skip
    late, early = pl.col("year") < first + REACTIVATION_YEARS, pl.col("year") == last
    grown = pl.col("year") >= first + GROWTH_YEARS
    years = years.with_columns(
        *[pl.when(~late).then(pl.col(c)).alias(c) for c in ("births", "continuations", "reactivations")],
        *[pl.when(~early).then(pl.col(c)).alias(c) for c in ("deaths", "continued_by_others")],
        *[
            pl.when(grown).then(pl.col(c).fill_null(0)).alias(c)
            for c in ("high_growth", "gazelles", "ten_persons_before")
        ],
        deaths_are_provisional=pl.when(~early).then(pl.col("year") > last - REACTIVATION_YEARS),
    )
    return Demography(events, years.with_columns(_rates()))


def _rates() -> list[pl.Expr]:
    def share(part: str, whole: str) -> pl.Expr:
        return pl.when(pl.col(whole) > 0).then(pl.col(part) / pl.col(whole))

    survival = [share(f"survivors_{n}", "births").alias(f"survival_rate_{n}") for n in range(1, SURVIVAL_YEARS + 1)]
    return [
        share("births", "active").alias("birth_rate"),
        share("deaths", "active").alias("death_rate"),
        (share("births", "active") + share("deaths", "active")).alias("churn_rate"),
        share("high_growth", "ten_persons_before").alias("high_growth_rate"),
        *survival,
    ]


@method("demography.moves")
def moves(places: pl.DataFrame) -> pl.DataFrame:
    """Moves between districts: they change the districts' populations, not the city's.

    ``places``: ``unit, year, place`` of active units. Returns ``year, origin, destination, units`` of the units that were
    active in both years at different places.
    """
    before = places.select("unit", (pl.col("year") + 1).alias("year"), pl.col("place").alias("origin"))
    moved = places.join(before, on=["unit", "year"]).filter(pl.col("place") != pl.col("origin"))
    return (
        moved.group_by("year", "origin", pl.col("place").alias("destination"))
        .agg(units=pl.len())
        .sort("year", "origin", "destination")
    )


@table_method(
    "demography",
    "企业人口统计 / business demography (Eurostat-OECD)",
    [
        Column("unit", "text", "单位 / unit"),
        Column("period", "period", "年份 / year (YYYY)"),
        Column("active", "flag", "当年有营业收入或从业人员 / had turnover or employment in the year"),
        Column("size", "number", "从业人员 / persons employed", required=False, nullable=True),
        Column(
            "predecessor",
            "text",
            "承接自（; 分隔） / units whose business it continues from that year",
            required=False,
            nullable=True,
        ),
    ],
    [Parameter("high_growth_threshold", "number", "年均增速界限 / average annual growth (0.2 OECD, 0.1 EU)", 0.2)],
)
def run_demography(frame: pl.DataFrame, parameters: Mapping[str, Any]) -> MethodResult:
    """Rows: one a year, as :class:`Demography` ``years`` with ``period`` for the year; result: years and units seen."""
    frame, threshold = _checked(frame), float(parameters["high_growth_threshold"])
    if not 0 <= threshold <= 1:
        raise BadInput(
            f"demography: parameter high_growth_threshold: {threshold:g} is not between 0 and 1; it is a share: 0.2 for 20 %"
        )
    rows = frame.with_columns(year=pl.col("period").cast(pl.Int64))
    active = rows.filter("active").select("unit", "year", "size")
    if active.height == 0:
        raise BadInput(
            "demography: no active unit in any period; active=1 is expected where a unit had turnover or staff"
        )
    links = rows.select(
        pl.col("predecessor").map_elements(names_in, pl.List(pl.String)), pl.col("unit").alias("successor"), "year"
    ).explode("predecessor").drop_nulls("predecessor")  # fmt: skip
    observed = int(rows["year"].min()), int(rows["year"].max())  # type: ignore[arg-type]
    found = demography(active, links, high_growth_threshold=threshold, observed=observed)
    years = found.years.rename({"year": "period"}).with_columns(pl.col("period").cast(pl.String))
    return MethodResult({"periods": years.height, "units": active["unit"].n_unique()}, years)


def _checked(frame: pl.DataFrame) -> pl.DataFrame:
    """The table with every optional column, refused where it cannot be counted from."""
    periods = [parse(text) for text in frame["period"]]
    within = pl.Series([p.frequency != 1 for p in periods])
    refuse_row(
        "demography", frame, within, "a year (YYYY) is expected; demography counts whole years", "unit", "period"
    )
    refuse_duplicates("demography", frame, "unit", "period")
    holes = gaps(periods)
    if holes:
        raise BadInput(
            f"demography: no unit has a row for {holes[0]}; every year from {min(periods)} to {max(periods)} is needed (all units "
            "would seem to rest in it), add its rows or give the years after it alone"
        )
    absent = {"size": pl.lit(None, pl.Float64), "predecessor": pl.lit(None, pl.String)}
    full = frame.with_columns(**{name: value for name, value in absent.items() if name not in frame.columns})
    refuse_row("demography", full, full["size"] < 0, "column size: persons employed are below zero", "unit", "period")
    return full
