"""Quarterly city totals from cumulated returns: single quarters, raised by the annual weights, benchmarked to annual totals (GSBPM 5-6).

Only returns that give the whole year so far are used. What they do not cover is carried by the annual accounts: within
strata of branch and size by the ratio of the annual total to that of the units that returned, then by proportional Denton
benchmarking, so that the quarters of a year add up to the published annual total.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etl.clearing import clear_table
from etl.methods.benchmark.denton import denton
from etl.methods.disclosure import Certificate, RuleSet
from etl.methods.growth.rates import RateRow, growth_rates
from etl.methods.periods import Period, parse
from etl.release_ledger import Place, withdraw

FloatArray = NDArray[np.float64]
MIN_RETURNS: Final = 5
POOL: Final = "*"
MONEY: Final = pl.Decimal(20, 2)


@dataclass(frozen=True)
class Quarters:
    """One series. ``values`` shape ``(t,)``, yuan; ``indicator``: before benchmarking; ``ratio``: value by indicator.

    ``returns``: units behind each quarter; ``shown``: whether the quarter may be published, with its year's certificate in
    ``certificates``. ``extrapolated``: the quarters after the last annual total.
    """

    periods: tuple[Period, ...]
    values: FloatArray
    indicator: FloatArray
    ratio: FloatArray
    returns: tuple[int, ...]
    shown: tuple[bool, ...]
    extrapolated: tuple[bool, ...]
    certificates: Mapping[int, Certificate]

    @property
    def rates(self) -> list[RateRow]:
        """同比, 环比, 累计, 累计同比 of every quarter."""
        return growth_rates(dict(zip(self.periods, self.values.tolist(), strict=True)))


def single_quarters(returns: pl.DataFrame, column: str) -> pl.DataFrame:
    """``uscc, period, year, quarter, ytd, value``: amounts of the quarter alone.

    ``returns`` has ``uscc, ref_period (2025-Q3)`` and the cumulated ``column``. A quarter whose predecessor in the year is
    not there (or empty) is left out: the difference would hold more than one quarter.
    """
    rows = returns.drop_nulls(column).select(
        "uscc", period="ref_period", year=pl.col("ref_period").str.slice(0, 4).cast(pl.Int64),
        quarter=pl.col("ref_period").str.slice(6, 1).cast(pl.Int64), ytd=pl.col(column),
    )  # fmt: skip
    before = rows.select("uscc", "year", (pl.col("quarter") + 1).alias("quarter"), pl.col("ytd").alias("ytd_before"))
    both = rows.join(before, on=["uscc", "year", "quarter"], how="left")
    own = pl.when(pl.col("quarter") == 1).then(pl.col("ytd")).otherwise(pl.col("ytd") - pl.col("ytd_before"))
    return both.with_columns(value=own).drop_nulls("value").drop("ytd_before").sort("period", "uscc")


def raised(quarters: pl.DataFrame, annual: pl.DataFrame) -> pl.DataFrame:
    """``period, indicator, returns``: returns of each quarter raised to all units of the frame.

    Parameters
    ----------
    quarters
        As :func:`single_quarters` returns them.
    annual
        ``uscc, year, weight, stratum``: the unit's annual amount of the same statistic (membership and model included). A
        year without annual accounts takes those of the last year that has them.

    Notes
    -----
    With annual amounts :math:`v` and amounts of the quarter :math:`x`, summed over stratum :math:`h` and the units
    :math:`r` that returned: :math:`I = \\sum_h x_{rh} \\, v_h / v_{rh}`. Strata with fewer than five returns are pooled.
    """
    last = int(annual["year"].max())  # type: ignore[arg-type]
    basis = pl.min_horizontal(pl.col("year"), pl.lit(last)).alias("basis")
    own = quarters.with_columns(basis).join(
        annual.rename({"year": "basis"}), on=["uscc", "basis"], how="inner"
    ).filter(pl.col("weight") > 0)  # fmt: skip
    few = pl.len().over("period", "stratum") < MIN_RETURNS
    own = own.with_columns(cell=pl.when(few).then(pl.lit(POOL)).otherwise("stratum"))
    cells = own.group_by("period", "basis", "cell").agg(x=pl.col("value").sum(), v=pl.col("weight").sum(), n=pl.len())
    named = own.select("period", "stratum", "cell").unique()
    periods = own.select("period", "basis").unique()
    whole = periods.join(annual.rename({"year": "basis"}), on="basis").join(named, on=["period", "stratum"], how="left")
    whole = whole.group_by("period", pl.col("cell").fill_null(POOL)).agg(total=pl.col("weight").sum())
    joined = cells.join(whole, on=["period", "cell"], how="left").with_columns(
        term=pl.col("x").cast(pl.Float64) * pl.col("total").cast(pl.Float64) / pl.col("v").cast(pl.Float64)
    )
    found = joined.group_by("period").agg("term", returns=pl.col("n").sum()).sort("period")
    # Money adds up exactly and few terms by fsum, so that the order in which rows come makes no difference.
    indicator = [math.fsum(terms) for terms in found["term"].to_list()]
    return found.select("period", pl.Series("indicator", indicator, dtype=pl.Float64), "returns")


def quarter_place(column: str, year: int) -> Place:
    """Where the quarters of a statistic and year stand in the ledger of releases."""
    return Place(f"quarter/{column}", str(year))


def safe_years(
    quarters: pl.DataFrame, contributors: pl.DataFrame, column: str, limits: RuleSet, seed: int
) -> dict[int, tuple[bool, Certificate]]:
    """Year → (all its quarters may be shown, certificate): the returns of the quarters of a year, protected and audited.

    The year's total is published elsewhere, so one unsafe quarter withholds the year. Amounts below zero (a correction of
    an earlier quarter) count by their size. ``column``: the statistic, which names the tables in the ledger of releases.
    """
    rows = quarters.join(contributors, on="uscc", how="left").select(
        "year", quarter=pl.format("Q{}", "quarter"), contributor=pl.coalesce("contributor", "uscc"),
        value=pl.col("value").abs().cast(MONEY), observed=pl.lit(True),
    )  # fmt: skip
    found = {}
    for year in sorted(rows["year"].unique().to_list()):
        own = rows.filter(pl.col("year") == year)
        codes: dict[str, str | None] = dict.fromkeys(sorted(own["quarter"].unique().to_list()))
        place = quarter_place(column, year)
        cleared = clear_table(own, {"quarters": ("quarter",)}, {"quarter": codes}, limits, seed, place=place)
        open_cells = bool(cleared.frame["status"].is_in(["published", "empty"]).all())
        found[year] = (cleared.certificate.passed and open_cells, cleared.certificate)
    return found


def safe_periods(rows: pl.DataFrame, limits: RuleSet, seed: int) -> set[str]:
    """Periods whose total may be known: ``period, contributor, value`` (money or whole numbers), each period by itself.

    For ratios of city totals (growth of the same units, margins): they are given only where the levels behind could be.
    """
    found = set()
    typed = rows.select(
        "contributor", "period", value=pl.col("value").cast(MONEY).abs(), observed=pl.lit(True)
    ).drop_nulls()
    for (period,), own in typed.group_by("period", maintain_order=True):
        cleared = clear_table(own, {"total": ("period",)}, {"period": {str(period): None}}, limits, seed)
        if cleared.frame["status"].is_in(["published"]).all() and cleared.certificate.passed:
            found.add(str(period))
    return found


def quarterly(
    returns: pl.DataFrame, column: str, annual: pl.DataFrame, contributors: pl.DataFrame, totals: Mapping[int, float],
    open_years: Sequence[int], limits: RuleSet, seed: int,
) -> Quarters | None:  # fmt: skip
    """The quarterly series of a statistic, or None when no year has all its quarters and an annual total.

    Parameters
    ----------
    returns, column
        As for :func:`single_quarters`.
    annual, contributors
        As for :func:`raised`; ``uscc, contributor``.
    totals
        Annual city totals (yuan).
    open_years
        Years whose annual total is published; the quarters of any other year with a total are withheld.
    """
    quarters = single_quarters(returns, column)
    quarters = quarters.filter(pl.col("year") >= min(totals, default=0))
    if quarters.height == 0 or annual.height == 0:
        return None
    series = raised(quarters, annual)
    periods = [parse(p) for p in series["period"].to_list()]
    where = {p: i for i, p in enumerate(periods)}
    blocks, benchmarks = [], []
    for year, total in sorted(totals.items()):
        own = [where[p] for p in periods if p.year == year]
        if len(own) == 4:
            blocks.append((own[0], own[-1] + 1))
            benchmarks.append(total)
    indicator = np.asarray(series["indicator"].to_numpy(), dtype=np.float64)
    if not blocks or not (indicator > 0).all():
        return None
    found = denton(indicator, blocks, np.asarray(benchmarks), variant="proportional")
    last = max(totals)
    safe = safe_years(quarters, contributors, column, limits, seed)
    shown = {p.year for p in periods if safe[p.year][0] and (p.year > last or p.year in open_years)}
    for year in set(safe) - shown:
        withdraw(quarter_place(column, year))
    return Quarters(
        periods=tuple(periods), values=found.value, indicator=indicator, ratio=found.ratio,
        returns=tuple(int(n) for n in series["returns"].to_list()),
        shown=tuple(p.year in shown for p in periods),
        extrapolated=tuple(p.year > last for p in periods),
        certificates={year: certificate for year, (_, certificate) in safe.items()},
    )  # fmt: skip
