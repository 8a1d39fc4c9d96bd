"""Turn linked units into contributions to each indicator: reported where reported, modelled where not (GSBPM 5.4-5.7)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from etl.link import SURVEY_BRANCHES, residual_leaf
from etl.methods.stratum import StratumRatio, ratio_by_strata
from warehouse.catalogue import Indicator

PROBABILITY_BANDS = (0.1, 0.3, 0.5, 0.7, 0.9, 0.97)
MIN_RESPONDENTS = 10
MONEY = pl.Decimal(20, 2)
KEY = ["uscc", "ref_year"]
ATOM = ["ai_class", "district", "size"]


@dataclass(frozen=True)
class Strata:
    """Stratum labels of every unit, finest first (one tuple of lists, each of length n)."""

    labels: tuple[list[str], ...]

    def ratio(self, numerator: pl.Series, denominator: pl.Series) -> StratumRatio:
        """Ratio of ``numerator`` to ``denominator`` (float, null where unknown) by stratum with fall-back."""
        return ratio_by_strata(_floats(numerator), _floats(denominator), self.labels, min_respondents=MIN_RESPONDENTS)


def _floats(series: pl.Series) -> np.ndarray:
    return series.cast(pl.Float64).fill_null(np.nan).to_numpy().astype(np.float64)


def membership_strata(units: pl.DataFrame) -> Strata:
    """Bands of the model's probability × size × year, falling back to band × size, band, everything."""
    band = np.digitize(units["p_ai"].fill_null(0.0).to_numpy(), PROBABILITY_BANDS).astype(str)
    size = units["size"].to_list()
    year = units["ref_year"].cast(pl.String).to_list()
    by_size = [f"{b}|{s}" for b, s in zip(band, size, strict=True)]
    by_year = [f"{h}|{y}" for h, y in zip(by_size, year, strict=True)]
    return Strata((by_year, by_size, list(band), ["all"] * units.height))


def structure_strata(units: pl.DataFrame) -> Strata:
    """Branch × size × year, falling back to branch × size, size, everything."""
    branch = units["leaf"].str.slice(0, 1).to_list()
    size = units["size"].to_list()
    year = units["ref_year"].cast(pl.String).to_list()
    by_size = [f"{b}|{s}" for b, s in zip(branch, size, strict=True)]
    by_year = [f"{h}|{y}" for h, y in zip(by_size, year, strict=True)]
    return Strata((by_year, by_size, size, ["all"] * units.height))


def with_membership(units: pl.DataFrame) -> pl.DataFrame:
    """Add ``membership``: R30 for signed returns, else the respondents' rate in the unit's probability stratum.

    The rate replaces the model's own probability, so the count is corrected for misclassification (DESIGN §5).
    """
    ones = pl.Series("one", np.ones(units.height))
    rate = membership_strata(units).ratio(units["member"], ones).ratio
    return units.with_columns(
        membership=pl.coalesce("member", pl.Series("rate", rate).fill_nan(None)), is_signed=pl.col("responded")
    )


def _variable(units: pl.DataFrame, variable: str, auxiliary: str | None) -> tuple[pl.Series, pl.Series]:
    """Values of a variable with gaps filled by the ratio to ``auxiliary`` in the stratum, and where it was reported."""
    known = units["staff_known" if variable == "employed_persons" else variable]
    if variable == "operating_revenue_cny":
        known = units["revenue_known"]
    reported = known.is_not_null()
    if auxiliary is None:
        return known.cast(pl.Float64), reported
    base = units["staff_known" if auxiliary == "employed_persons" else auxiliary].cast(pl.Float64)
    ratio = structure_strata(units).ratio(known, base).ratio
    filled = known.cast(pl.Float64).fill_null(pl.Series(ratio).fill_nan(None) * base)
    return filled, reported


def _long(units: pl.DataFrame, ai_class: pl.Series, value: pl.Series, observed: pl.Series) -> pl.DataFrame:
    rows = units.select(*KEY, "contributor", "district", "size").with_columns(
        ai_class=ai_class, value=value.round(2).cast(MONEY), observed=observed
    )
    return rows.filter(pl.col("value").is_null() | (pl.col("value") != 0))


def enterprise_view(units: pl.DataFrame, indicator: Indicator) -> pl.DataFrame:
    """Σ membership × y: counts of, and magnitudes at, AI enterprises."""
    if indicator.variable is None:
        return _long(units, units["leaf"], units["membership"], units["is_signed"])
    value, reported = _variable(units, indicator.variable, indicator.auxiliary)
    return _long(units, units["leaf"], units["membership"] * value, units["is_signed"] & reported)


def activity_view(units: pl.DataFrame, indicator: Indicator) -> pl.DataFrame:
    """Σ share × y by branch: AI activity of every unit, member or not; unsurveyed units by the stratum's share."""
    prefix = str(indicator.variable).removesuffix("_cny")
    signed = units.filter("responded")
    residual = residual_leaf()
    parts = []
    for name, branch in SURVEY_BRANCHES.items():
        leaf = (
            signed.select(
                pl.when(pl.col("leaf").str.starts_with(branch)).then("leaf").otherwise(pl.lit(residual[branch]))
            )
            .to_series()
            .alias("ai_class")
        )
        parts.append(_long(signed, leaf, signed[f"{prefix}_{name}_cny"].cast(pl.Float64), signed["is_signed"]))
    rest = units.filter(~pl.col("responded"))
    base, _ = _variable(units, "operating_revenue_cny", "employed_persons")
    ratio = membership_strata(units).ratio(
        units.select(pl.when("responded").then(pl.col(f"{prefix}_cny"))).to_series(),
        units.select(pl.when("responded").then(pl.col("main_revenue_cny"))).to_series(),
    )
    modelled = (pl.Series(ratio.ratio).fill_nan(None) * base).filter(~units["responded"])
    parts.append(_long(rest, rest["leaf"], modelled, rest["is_signed"]))
    return pl.concat(parts)


def contributions(units: pl.DataFrame, indicators: Sequence[Indicator]) -> pl.DataFrame:
    """Every unit's contribution to every protected indicator.

    Columns ``indicator, ref_year, uscc, contributor, ai_class (leaf), district, size, value Decimal(20,2), observed``;
    several rows per unit where its AI revenue falls in several branches. A gap no stratum could fill stays null.
    Atoms are quantised here, once; every published total is an exact sum of them.
    """
    units = with_membership(units)
    parts = []
    for indicator in indicators:
        view = activity_view if indicator.view == "activity" else enterprise_view
        parts.append(view(units, indicator).with_columns(indicator=pl.lit(indicator.id)))
    columns = ["indicator", "ref_year", "uscc", "contributor", *ATOM, "value", "observed"]
    return pl.concat(parts).select(columns).sort(columns[:3] + ATOM)
