"""Strata within which respondents stand for those who did not answer, and values filled by their ratios."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from etl.methods.stratum import FloatArray, StratumRatio, ratio_by_strata

PROBABILITY_BANDS = (0.1, 0.3, 0.5, 0.7, 0.9, 0.97)
MIN_RESPONDENTS = 10
OTHER_BRANCH = "E"
SIZE_VARIABLES = ("employed_persons", "operating_revenue_cny")
"""What the size class is made of: within a stratum of size, members and others differ little in it."""


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


def staff_estimate(units: pl.DataFrame) -> pl.Series:
    """``staff_known``: persons employed of every unit, by its labour return, else by the register's ratio estimate.

    The register knows everybody's staff, but of another day and by another definition. Units that returned say what a
    registered person stands for in their stratum and year; where too few did, the register stands as it is. So the staff
    of a stratum adds up to the register's total times one ratio: calibrated to the register, unit by unit.
    """
    returned, register = units["employed_persons"], units["register_employed_persons"].cast(pl.Float64)
    counted = pl.select(pl.when(_returned(units, "employed_persons")).then(returned)).to_series()
    ratio = pl.Series(structure_strata(units).ratio(counted, register).ratio).fill_nan(None).fill_null(1.0)
    return returned.cast(pl.Float64).fill_null(ratio * register).alias("staff_known")


def _returned(units: pl.DataFrame, name: str, column: str = "") -> pl.Series:
    """Where a return brought the variable (it stands in ``column``, if not under its name), and editing did not fill it in."""
    there = units[column or name].is_not_null()
    if "imputed_items" in units.columns:
        there &= ~units["imputed_items"].str.split(" ").list.contains(name)
    return there


def member_part(units: pl.DataFrame, name: str, value: pl.Series, reported: pl.Series) -> pl.Series:
    """What part of a variable of each unit counts as a member's: its membership, or the part members have of units like it.

    A signed unit is a member or not. For the others the rate of members among respondents (band of the model's
    probability × size × year) holds for what the size class is made of. Of any other variable members may have more or
    less than units of their size that are none: there the members' part of the respondents' total stands in.
    """
    if name in SIZE_VARIABLES:
        return units["membership"]
    answered = units["responded"] & reported
    both = pl.DataFrame({"answered": answered, "value": value, "member": units["member"]})
    whole = both.select(pl.when("answered").then("value")).to_series()
    part = both.select(pl.when("answered").then(pl.col("value") * pl.col("member"))).to_series()
    rate = pl.Series(membership_strata(units).ratio(part, whole).ratio).fill_nan(None)
    frame = units.select("responded", "membership").with_columns(rate=rate)
    return frame.select(
        pl.when("responded").then("membership").otherwise(pl.coalesce("rate", "membership"))
    ).to_series()


def variable(units: pl.DataFrame, name: str, auxiliary: str | None) -> tuple[pl.Series, pl.Series]:
    """Values of a variable with gaps filled by the ratio to ``auxiliary`` in the stratum, and where it was reported.

    A unit whose signed return makes it a member is filled by the ratio of such units, any other by that of all who reported.
    """
    known = units["staff_known" if name == "employed_persons" else name]
    if name == "operating_revenue_cny":
        known = units["revenue_known"]
    reported = _returned(units, name, "revenue_known" if name == "operating_revenue_cny" else name)
    if auxiliary is None:
        return known.cast(pl.Float64), reported
    base = units["staff_known" if auxiliary == "employed_persons" else auxiliary].cast(pl.Float64)
    member = units.select((pl.col("responded") & (pl.col("member") == 1)).fill_null(False)).to_series()
    of_members = pl.select(pl.when(member).then(known)).to_series()
    strata = structure_strata(units)
    everybody, members = strata.ratio(known, base).ratio, strata.ratio(of_members, base).ratio
    ratio = np.where(member.to_numpy() & ~np.isnan(members), members, everybody)
    return known.cast(pl.Float64).fill_null(pl.Series(ratio).fill_nan(None) * base), reported
