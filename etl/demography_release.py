"""Business demography cleared for release: counts of events with their complements, and rates (GSBPM phase 6)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from etl.clearing import clear_beside
from etl.demography import AI, ALL, GROWING, GROWTH, active, pooled
from etl.dissemination import HIDDEN, TOTAL
from etl.methods.demography import GROWTH_YEARS, SURVIVAL_YEARS
from etl.methods.disclosure import Pattern, RuleSet, build_table, protect
from etl.methods.disclosure.beside import Earlier
from etl.methods.disclosure.linked import Audited, audit_beside
from etl.release_ledger import Place, withdraw

ROUNDED: Final = 10
"""Active units are given to the nearest ten: exact stocks of two years and the flows that are shown would give the few away
that are withheld (stock = stock before + entries - exits)."""
YES, NO = "1", "0"
EVENTS: Final = ("births", "continuations", "deaths", "continued_by_others")
SCHEMA: Final = {
    "population": pl.String, "metric": pl.String, "period": pl.String, "value": pl.Float64, "obs_status": pl.String,
    "conf_status": pl.String,
}  # fmt: skip
Row = tuple[str, str, str, float | None, str, str]
Counts = dict[str, tuple[int, bool]]


def demography_place(population: str, what: str, period: str) -> Place:
    """Where counts stand in the ledger of releases; ``what``: events, survival, growth or moves."""
    return Place(f"demography/{population}_{what}", period)


def _flags(year: int) -> dict[str, pl.Expr]:
    born, gone = pl.col("opened") == year, (pl.col("closed") == year).fill_null(False)
    return {
        "births": born & ~pl.col("is_continuation"), "continuations": born & pl.col("is_continuation"),
        "deaths": gone & ~pl.col("is_continued"), "continued_by_others": gone & pl.col("is_continued"),
    }  # fmt: skip


def _count(units: pl.DataFrame) -> int:
    return int(units["n"].sum())


def cleared_counts(
    micro: pl.DataFrame,
    metrics: Sequence[str],
    limits: RuleSet,
    seed: int,
    place: Place | None = None,
    *,
    known: bool = True,
) -> Counts:
    """Metric → (count, may be shown): how many units a flag is true for, protected with its complement and audited.

    ``micro`` has ``contributor``, ``n`` units and a Boolean column a metric. A metric is withheld where too few units are
    behind it, or too few are *not*. All are when no pattern passes. ``place``: where they stand in the ledger of releases.
    ``known``: the number of units itself is known to readers, whatever an earlier release withheld.
    """
    rows = pooled(micro, metrics).select(
        "contributor", pl.col("n").alias("value"), *[pl.when(m).then(pl.lit(YES)).otherwise(pl.lit(NO)).alias(m) for m in metrics],
        observed=pl.lit(True),
    )  # fmt: skip
    tables, codes = {m: (m,) for m in metrics}, {m: {YES: None, NO: None} for m in metrics}

    def protected(earlier: Earlier) -> tuple[Pattern, Audited]:
        table = build_table(rows, tables, codes, "value", "contributor", "observed", "count", rules=limits)
        cells = table.problem.cells
        whole = cells.filter(pl.all_horizontal(pl.col(m) == TOTAL for m in metrics))["variable"].unique().to_list()
        pattern = protect(table, limits, [v for v in whole if known and v >= 0], earlier=earlier)
        return pattern, audit_beside(pattern, limits, seed, earlier)

    cleared = clear_beside(place, "counts", (rows, tables, limits, seed, known), protected)
    passed = cleared.certificate.passed and cleared.certificate.certified
    if place is not None and not passed:
        withdraw(place)
    statuses = {m: cleared.frame.filter((pl.col("table") == m) & (pl.col(m) == YES))["status"].item() for m in metrics}
    return {m: (_count(micro.filter(m)), passed and status not in HIDDEN) for m, status in statuses.items()}


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


@dataclass(frozen=True)
class _Release:
    """One population on its way to readers."""

    population: str
    limits: RuleSet
    seed: int

    def enough(self, units: pl.DataFrame) -> bool:
        """Whether any figure of these units may be given."""
        return units["contributor"].n_unique() >= self.limits.min_contributors

    def counts(self, units: pl.DataFrame, metrics: Sequence[str], what: str, period: str) -> Counts:
        """As :func:`cleared_counts`; of too few units none is shown (and the ledger says so), of none all are zero."""
        if not metrics or units.is_empty():
            return dict.fromkeys(metrics, (0, True))
        known = self.enough(units)
        place = demography_place(self.population, what, period)
        found = cleared_counts(units, metrics, self.limits, self.seed, place, known=known)
        return found if known else dict.fromkeys(metrics, (0, False))

    def cohort(self, units: pl.DataFrame, year: int, last: int) -> Iterator[Row]:
        """Events of a year, and how its births survived: rates only where the births may be known."""
        here = units.filter(active(year)).with_columns(**_flags(year))
        counts = self.counts(here, EVENTS, "events", str(year))
        yield from self.events(here, counts, year)
        yield from self.survival(units, counts["births"], year, last)

    def events(self, here: pl.DataFrame, counts: Counts, year: int) -> Iterator[Row]:
        """Active units, births, deaths and their rates."""
        whole = ROUNDED * ((_count(here) + ROUNDED // 2) // ROUNDED), self.enough(here) or here.height == 0
        yield from _counted(self.population, year, {"active": whole, **counts})
        yield _rate(self.population, "birth_rate", year, counts["births"], whole)
        yield _rate(self.population, "death_rate", year, counts["deaths"], whole)
        both = counts["births"][0] + counts["deaths"][0], counts["births"][1] and counts["deaths"][1]
        yield _rate(self.population, "churn_rate", year, both, whole)

    def survival(self, units: pl.DataFrame, births: tuple[int, bool], year: int, last: int) -> Iterator[Row]:
        """How many of the births of a year are still active one to five years later."""
        born = units.filter((pl.col("opened") == year) & ~pl.col("is_continuation"))
        steps = {f"survivors_{n}": year + n for n in range(1, SURVIVAL_YEARS + 1) if year + n <= last}
        flags = {name: pl.col("ended").is_null() | (pl.col("ended") >= y) for name, y in steps.items()}
        counts = self.counts(born.with_columns(**flags), list(steps), "survival", str(year))
        yield from _counted(self.population, year, counts)
        for n in range(1, SURVIVAL_YEARS + 1):
            yield _rate(self.population, f"survival_rate_{n}", year, counts.get(f"survivors_{n}"), births)

    def growth(self, units: pl.DataFrame, year: int) -> Iterator[Row]:
        """High growth by the staff of labour returns; known from the fourth year on."""
        counts = self.counts(units, GROWING, "growth", str(year))
        whole = units.height, self.enough(units)
        yield from _counted(self.population, year, {"ten_persons_before": whole, **counts})
        for name in GROWTH:
            yield _rate(self.population, f"{name}_rate", year, counts[name], whole)

    def moves(self, units: pl.DataFrame, year: int) -> Iterator[Row]:
        """Units that went to another district by the month the changes go up to: each month has a place of its own, as it adds up."""
        upto = units["upto"].max() or ""
        yield from _counted(self.population, year, self.counts(units, ("moves",), "moves", str(upto)))


def demography_rows(
    counts: Mapping[str, pl.DataFrame], years: Sequence[int], limits: RuleSet, seed: int
) -> pl.DataFrame:
    """The table ``meta_demography``: ``population, metric, period, value, obs_status, conf_status``.

    ``counts`` as :func:`etl.demography.demography_counts` returns them. Populations: ``legal_units`` of the register,
    ``ai_enterprises`` (:func:`etl.demography.ai_units`). Counts ``active, births, continuations, deaths, continued_by_others,
    survivors_n, ten_persons_before, high_growth_10, high_growth_20, gazelles, moves``; rates (0-1) ``birth_rate, death_rate,
    churn_rate, survival_rate_n, high_growth_10_rate, high_growth_20_rate``. ``active`` is rounded (:data:`ROUNDED`), and rates are by
    the rounded number. Survivors stand at the year of birth. ``C``: withheld; ``M``: cannot be known yet.
    """
    rows: list[Row] = []
    for population in (ALL, AI):
        release = _Release(population, limits, seed)
        lives, moving = (counts[name].filter(pl.col("population") == population) for name in ("lives", "moving"))
        for year in years:
            rows += release.cohort(lives, year, years[-1])
        for year in counts["moving"]["year"].unique().sort().to_list():
            rows += release.moves(moving.filter(pl.col("year") == year), year)
    growing = counts["growing"]
    for year in years[GROWTH_YEARS:]:
        rows += _Release(AI, limits, seed).growth(growing.filter(pl.col("year") == year), year)
    return pl.DataFrame(rows, schema=SCHEMA, orient="row").sort("population", "metric", "period")
