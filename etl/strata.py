"""Strata within which respondents stand for those who did not answer, and values filled by their ratios."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from etl.methods.stratum import FloatArray, StratumRatio, ratio_by_strata

PROBABILITY_BANDS = (0.1, 0.3, 0.5, 0.7, 0.9, 0.97)
MIN_RESPONDENTS = 10
OTHER_BRANCH = "E"


@dataclass(frozen=True)
class Strata:
    """Stratum labels of every unit, finest first (one tuple of lists, each of length n)."""

    labels: tuple[list[str], ...]

    def ratio(self, numerator: pl.Series, denominator: pl.Series) -> StratumRatio:
        """Ratio of ``numerator`` to ``denominator`` (float, null where unknown) by stratum with fall-back."""
        return ratio_by_strata(floats(numerator), floats(denominator), self.labels, min_respondents=MIN_RESPONDENTS)


def floats(series: pl.Series) -> FloatArray:
    """Values as float64, shape ``(n,)``, null as ``nan``."""
    return series.cast(pl.Float64).fill_null(np.nan).to_numpy().astype(np.float64)


def _crossed(first: list[str], units: pl.DataFrame) -> tuple[list[str], list[str]]:
    """``first`` × size, and that × year."""
    by_size = [f"{b}|{s}" for b, s in zip(first, units["size"].to_list(), strict=True)]
    years = units["ref_year"].cast(pl.String).to_list()
    return by_size, [f"{h}|{y}" for h, y in zip(by_size, years, strict=True)]


def membership_strata(units: pl.DataFrame) -> Strata:
    """Bands of the model's probability × size × year, falling back to band × size, band, everything."""
    band = [str(b) for b in np.digitize(units["p_ai"].fill_null(0.0).to_numpy(), PROBABILITY_BANDS)]
    by_size, by_year = _crossed(band, units)
    return Strata((by_year, by_size, band, ["all"] * units.height))


def model_strata(units: pl.DataFrame) -> Strata:
    """:func:`membership_strata` without the last level, which no longer uses the model."""
    return Strata(membership_strata(units).labels[:-1])


def structure_strata(units: pl.DataFrame) -> Strata:
    """Branch × size × year, falling back to branch × size, size, everything."""
    by_size, by_year = _crossed(units["leaf"].str.slice(0, 1).to_list(), units)
    return Strata((by_year, by_size, units["size"].to_list(), ["all"] * units.height))


def classifier_strata(units: pl.DataFrame) -> Strata:
    """Branch the classifier thinks best × size, falling back to that branch, everything.

    Not the branch of the return: respondents then show where units that the classifier puts in a branch really earn.
    """
    branch = units["candidate_leaves"].list.drop_nulls().list.first().str.slice(0, 1).fill_null(OTHER_BRANCH).to_list()
    return Strata((_crossed(branch, units)[0], branch, ["all"] * units.height))


def variable(units: pl.DataFrame, name: str, auxiliary: str | None) -> tuple[pl.Series, pl.Series]:
    """Values of a variable with gaps filled by the ratio to ``auxiliary`` in the stratum, and where it was reported."""
    known = units["staff_known" if name == "employed_persons" else name]
    if name == "operating_revenue_cny":
        known = units["revenue_known"]
    reported = known.is_not_null()
    if "imputed_items" in units.columns:
        reported &= ~units["imputed_items"].str.split(" ").list.contains(name)
    if auxiliary is None:
        return known.cast(pl.Float64), reported
    base = units["staff_known" if auxiliary == "employed_persons" else auxiliary].cast(pl.Float64)
    ratio = structure_strata(units).ratio(known, base).ratio
    filled = known.cast(pl.Float64).fill_null(pl.Series(ratio).fill_nan(None) * base)
    return filled, reported
