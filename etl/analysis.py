"""Turn linked units into contributions to each indicator: reported where reported, modelled where not (GSBPM 5.4-5.7)."""

from collections.abc import Sequence

import polars as pl

from etl.in_order import added
from etl.link import SURVEY_BRANCHES, residual_leaf
from etl.quantities import BASE
from etl.strata import member_part, variable
from etl.years import YEAR, by_year
from warehouse.catalogue import Indicator

MONEY = pl.Decimal(20, 2)
VARIABLE = "ai_revenue_cny"
ROUNDING = 1e-9
KEY = ["uscc", "ref_year"]
ATOM = ["ai_class", "district", "size"]
COLUMNS = ["indicator", "ref_year", "uscc", "contributor", *ATOM, "value", "observed"]


def _long(units: pl.DataFrame, ai_class: pl.Series, value: pl.Series, observed: pl.Series) -> pl.DataFrame:
    rows = units.select(*KEY, "contributor", "district", "size").with_columns(
        ai_class=ai_class, value=value.round(2).cast(MONEY), observed=observed
    )
    return rows.filter(pl.col("value").is_null() | (pl.col("value") != 0))


def enterprise_view(units: pl.DataFrame, indicator: Indicator) -> pl.DataFrame:
    """Σ membership × y: counts of, and magnitudes at, AI enterprises."""
    if indicator.variable is None:
        return _long(units, units["leaf"], units["membership"], units["is_signed"])
    value, reported = variable(units, indicator.variable, indicator.auxiliary)
    part = member_part(units, indicator.variable, value, reported)
    return _long(units, units["leaf"], part * value, units["is_signed"] & reported)


def activity_view(units: pl.DataFrame, indicator: Indicator) -> pl.DataFrame:
    """Σ share × y by branch: AI activity of every unit, member or not.

    Signed returns enter with the amounts they state; the others with share × main-business revenue, split over the
    branches as respondents like them are. What no profile could be given for stays in the unit's own leaf.

    Raises
    ------
    ValueError
        For a variable whose branches the survey does not ask.
    """
    if indicator.variable != VARIABLE:
        raise ValueError(
            f"{indicator.id}: the activity view is there for {VARIABLE}, not for {indicator.variable}; "
            "use the enterprise view, or extend the survey by its branches"
        )
    residual = residual_leaf()
    parts = []
    for name, branch in SURVEY_BRANCHES.items():
        leaf = pl.when(pl.col("leaf").str.starts_with(branch)).then("leaf").otherwise(pl.lit(residual[branch]))
        value = (
            pl.when("responded")
            .then(pl.col(f"ai_revenue_{name}_cny").cast(pl.Float64))
            .otherwise(pl.col(f"ai_share_{name}_estimate").fill_null(0.0) * pl.col(BASE))
        )
        parts.append(_long(units, units.select(leaf).to_series(), units.select(value).to_series(), units["is_signed"]))
    placed = added(pl.col(f"ai_share_{name}_estimate").fill_null(0.0) for name in SURVEY_BRANCHES)
    rest = units.filter(~pl.col("responded")).with_columns(left=pl.col("ai_share_estimate") - placed)
    rest = rest.filter(pl.col("left") > ROUNDING)
    parts.append(_long(rest, rest["leaf"], rest["left"] * rest[BASE], rest["is_signed"]))
    return pl.concat(parts)


def contributions(units: pl.DataFrame, indicators: Sequence[Indicator]) -> pl.DataFrame:
    """Every unit's contribution to every protected indicator.

    ``units`` as :func:`etl.quantities.with_quantities` gives them. Columns ``indicator, ref_year, uscc, contributor, ai_class (leaf), district, size, value Decimal(20,2), observed``;
    several rows per unit where its AI revenue falls in several branches. A gap no stratum could fill stays null.
    Atoms are quantised here, once; every published total is an exact sum of them. Those of a year rest on units of it
    and of the years before.
    """

    def of_year(known: pl.DataFrame, year: int) -> pl.DataFrame:
        parts = []
        for indicator in indicators:
            view = activity_view if indicator.view == "activity" else enterprise_view
            rows = view(known, indicator).filter(pl.col(YEAR) == year)
            parts.append(rows.with_columns(indicator=pl.lit(indicator.id)))
        return pl.concat(parts).select(COLUMNS)

    return by_year("contributions", units, of_year, lambda _: [repr(i) for i in indicators]).sort(COLUMNS[:3] + ATOM)
