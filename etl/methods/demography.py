"""Business demography (企业人口统计): births, deaths, reactivations, survival, high growth, gazelles.

Definitions of the *Eurostat-OECD Manual on Business Demography Statistics* (2007): a birth is a combination of production
factors where no other enterprise is involved; a unit that comes back within two years is reactivated, not born; a unit that
continues another one (merger, take-over, change of code or legal form, move) is neither born, nor is the other one dead.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from etl.methods.registry import method
from etl.methods.tabular import BadInput, Column, MethodResult, Parameter, table_method

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


def unit_events(active: pl.DataFrame, links: pl.DataFrame) -> pl.DataFrame:
    """Events of every unit in every year it was active.

    Parameters
    ----------
    active
        ``unit, year (Int64), size (persons, nullable)``: one row a unit and year in which it had turnover or employment.
    links
        ``predecessor, successor, year``: the successor carries on the predecessor's business from that year on.

    Returns
    -------
    pl.DataFrame
        ``unit, year, size, entry (birth | continuation | reactivation | first_years | null), exit (death | continued | null),
        exit_is_provisional``. ``first_years``: the unit is there at the start of the observation, when nobody can say
        whether it was before. A death of the last two years may yet turn into a dormancy: provisional; in the last year
        observed nothing is known.
    """
    first, last = int(active["year"].min() or 0), int(active["year"].max() or 0)  # type: ignore[arg-type]
    by_heir = links.select(pl.col("successor").alias("unit"), "year", pl.lit(True).alias("has_predecessor")).unique()
    gone = links.group_by(pl.col("predecessor").alias("unit")).agg(pl.col("year").max().alias("continued_in"))
    near = _with_neighbours(active).join(by_heir, on=["unit", "year"], how="left").join(gone, on="unit", how="left")
    came = pl.col("year").eq(pl.col("year").min().over("unit"))
    entry = (
        pl.when(pl.col("at-1")).then(None)
        .when(pl.col("at-2")).then(pl.lit("reactivation"))
        .when(pl.col("has_predecessor").fill_null(False) & came).then(pl.lit("continuation"))
        .when(pl.col("year") < first + REACTIVATION_YEARS).then(pl.lit("first_years"))
        .otherwise(pl.lit("birth"))
    )  # fmt: skip
    left = ~pl.col("at+1") & ~pl.col("at+2") & (pl.col("year") < last)
    goes_on = (pl.col("continued_in") >= pl.col("year")) & (pl.col("continued_in") <= pl.col("year") + 1)
    exits = pl.when(left & goes_on.fill_null(False)).then(pl.lit("continued")).when(left).then(pl.lit("death"))
    return near.select(
        "unit", "year", "size", entry=entry, exit=exits,
        exit_is_provisional=pl.when(left).then(pl.col("year") > last - REACTIVATION_YEARS),
    ).sort("unit", "year")  # fmt: skip


def _survivors(events: pl.DataFrame, links: pl.DataFrame) -> pl.DataFrame:
    """Births by year and how many of them (or of the units that took them over) are active n years later."""
    heirs = dict(links.sort("year").select("predecessor", "successor").iter_rows())
    active = set(events.select("unit", "year").iter_rows())
    last = int(events["year"].max() or 0)  # type: ignore[arg-type]

    def alive(unit: str, year: int) -> bool:
        seen: set[str] = set()
        while unit not in seen:
            if (unit, year) in active:
                return True
            seen.add(unit)
            unit = heirs.get(unit, unit)
        return False

    rows = []
    for year, members in (
        events.filter(pl.col("entry") == "birth").group_by("year", maintain_order=True).agg("unit").iter_rows()
    ):
        cohort: dict[str, int | None] = {"year": year}
        for n in range(1, SURVIVAL_YEARS + 1):
            known = year + n <= last
            cohort[f"survivors_{n}"] = sum(alive(u, year + n) for u in members) if known else None
        rows.append(cohort)
    schema = {"year": pl.Int64, **{f"survivors_{n}": pl.Int64 for n in range(1, SURVIVAL_YEARS + 1)}}
    return pl.DataFrame(rows, schema=schema)


def high_growth(events: pl.DataFrame, threshold: float) -> pl.DataFrame:
    """Units whose employment grew by more than ``threshold`` a year over three years, from ten persons at least.

    Returns ``unit, year (end of the three years), is_gazelle``: gazelles were born four or five years before the end (those
    born in the first of the three years are left out: their growth is that of a partial year).
    """
    start = events.select("unit", (pl.col("year") + GROWTH_YEARS).alias("year"), pl.col("size").alias("size_start"))
    born = events.filter(pl.col("entry") == "birth").group_by("unit").agg(pl.col("year").max().alias("born"))
    grown = events.join(start, on=["unit", "year"]).join(born, on="unit", how="left")
    annual = (pl.col("size") / pl.col("size_start")) ** (1 / GROWTH_YEARS) - 1
    young = (pl.col("year") - pl.col("born")).is_between(GROWTH_YEARS + 1, GROWTH_YEARS + 2).fill_null(False)
    new = (pl.col("born") == pl.col("year") - GROWTH_YEARS).fill_null(False)
    return grown.filter(
        (pl.col("size_start") >= SMALLEST_HIGH_GROWTH) & (annual > threshold + 1e-12) & ~new
    ).select("unit", "year", is_gazelle=young)  # fmt: skip


@method("demography.events")
def demography(active: pl.DataFrame, links: pl.DataFrame, *, high_growth_threshold: float = 0.2) -> Demography:
    r"""Events of units and the yearly account of the population.

    .. math:: A_t = A_{t-1} + \text{entries}_t - \text{exits}_{t-1}

    where entries are births, continuations, reactivations, and exits deaths, continued units and dormancies.

    Parameters
    ----------
    active, links
        As for :func:`unit_events`.
    high_growth_threshold
        Average annual growth of employment above which a unit is of high growth: 0.2 (OECD 2007), 0.1 (EU since 2012).

    Returns
    -------
    Demography
        ``years``: counts are null where they cannot be known: births in the first two years, deaths in the last one,
        survival beyond the last one, high growth before the fourth year. Rates are shares (0.1 is 10 %): births and deaths by
        active units of the year, survivors by births, high growth by units with ten persons at least three years before.
    """
    events = unit_events(active, links)
    first, last = int(events["year"].min() or 0), int(events["year"].max() or 0)  # type: ignore[arg-type]
    fast = high_growth(events, high_growth_threshold)
    eligible = events.filter(pl.col("size") >= SMALLEST_HIGH_GROWTH).group_by(
        (pl.col("year") + GROWTH_YEARS).alias("year")
    )
    counts = {
        "births": pl.col("entry") == "birth", "continuations": pl.col("entry") == "continuation",
        "reactivations": pl.col("entry") == "reactivation", "deaths": pl.col("exit") == "death",
        "continued_by_others": pl.col("exit") == "continued",
    }  # fmt: skip
    years = (
        events.group_by("year").agg(active=pl.len(), **{k: v.fill_null(False).sum() for k, v in counts.items()})
        .join(_survivors(events, links), on="year", how="left")
        .join(fast.group_by("year").agg(high_growth=pl.len(), gazelles=pl.col("is_gazelle").sum()), on="year", how="left")
        .join(eligible.agg(ten_persons_before=pl.len()), on="year", how="left")
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
            "承接自 / unit whose business it continues from that year",
            required=False,
            nullable=True,
        ),
    ],
    [Parameter("high_growth_threshold", "number", "年均增速界限 / average annual growth (0.2 OECD, 0.1 EU)", 0.2)],
)
def run_demography(frame: pl.DataFrame, parameters: Mapping[str, Any]) -> MethodResult:
    """Rows: one a year, as :class:`Demography` ``years`` with ``period`` for the year; result: years and units seen."""
    if frame["period"].str.contains("[-Q]").any():
        raise BadInput("demography: column period: years (YYYY) are expected; demography counts whole years")
    if frame.select(pl.struct("unit", "period").is_duplicated().any()).item():
        raise BadInput("demography: a unit stands twice in one period; one row a unit and period is expected")
    size = pl.col("size") if "size" in frame.columns else pl.lit(None, pl.Float64).alias("size")
    active = frame.filter("active").select("unit", pl.col("period").cast(pl.Int64).alias("year"), size)
    if active.height == 0:
        raise BadInput("demography: no active unit in any period")
    links = pl.DataFrame(schema={"predecessor": pl.String, "successor": pl.String, "year": pl.Int64})
    if "predecessor" in frame.columns:
        links = frame.drop_nulls("predecessor").select(
            "predecessor", pl.col("unit").alias("successor"), pl.col("period").cast(pl.Int64).alias("year")
        )
    found = demography(active, links, high_growth_threshold=float(parameters["high_growth_threshold"]))
    rows = found.years.rename({"year": "period"}).with_columns(pl.col("period").cast(pl.String))
    return MethodResult({"periods": rows.height, "units": active["unit"].n_unique()}, rows)
