"""Three quantities of a unit, kept apart: ``member`` (rule R30), ``ai_share`` by branch, ``domain`` shares (GSBPM 5.4-5.7)."""

import numpy as np
import polars as pl

from etl.contract import MONEY_FACTORS, load_contract
from etl.link import SURVEY_BRANCHES
from etl.methods.membership import R30, THRESHOLDS, membership, membership_rate
from etl.methods.share import Shares, best_evidence, rounded_share, stratum_share
from etl.strata import (
    MIN_RESPONDENTS,
    classifier_strata,
    floats,
    membership_strata,
    model_strata,
    staff_estimate,
    structure_strata,
    variable,
)
from etl.years import YEAR, by_year
from taxonomy.ladder import rung_number
from taxonomy.scheme import load_scheme

SURVEY = "ai_survey_annual"
ARTICLES = ("R39", "R40", "R41")
BASE = "main_revenue_estimate"


def half_unit() -> float:
    """Half of the amount (yuan) to which the survey form rounds AI revenue."""
    return MONEY_FACTORS[str(load_contract(SURVEY).column("ai_revenue_cny").unit)] / 2


def domain_columns() -> dict[str, str]:
    """Domain code (R391 …) → column of the return, in the order of the catalogue."""
    scheme = load_scheme("ai_industry_2026")
    codes = [c.code for c in scheme.codes if c.parent in ARTICLES]
    return {code: f"domain_{code.lower()}_cny" for code in codes}


def membership_name(threshold: float) -> str:
    """Column of the membership at a threshold; plain ``membership`` is rule R30."""
    return "membership" if threshold == R30 else f"membership_{round(100 * threshold)}"


def signed_share(units: pl.DataFrame) -> pl.Series:
    """AI share of a signed return, at most 1 (the form lets AI revenue exceed main revenue by its rounding); else null."""
    return units.select(pl.when("responded").then(pl.col("ai_share").clip(0.0, 1.0))).to_series()


def _memberships(units: pl.DataFrame) -> list[pl.Series]:
    share, strata = floats(signed_share(units)), membership_strata(units).labels
    columns = []
    for threshold in THRESHOLDS:
        rate = membership_rate(share, strata, threshold=threshold, min_respondents=MIN_RESPONDENTS)
        found = membership(share, rate, threshold=threshold)
        columns.append(pl.Series(membership_name(threshold), found.value).fill_nan(None))
        if threshold == R30:
            columns.append(pl.Series("member_status", found.status.tolist(), dtype=pl.String))
    return columns


def answers(units: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """AI revenue and main revenue of signed returns (float, shape ``(n,)``), ``nan`` for all other units."""
    signed = units.select(
        pl.when("responded").then("ai_revenue_cny").alias("y"), pl.when("responded").then("main_revenue_cny").alias("x")
    )
    return floats(signed["y"]), floats(signed["x"])


def _shares(units: pl.DataFrame) -> Shares:
    """Best evidence of each unit; rungs 2-4 have no source yet (``taxonomy/rules/evidence_ladder.yaml``)."""
    part, whole = answers(units)
    return best_evidence(
        [
            rounded_share(part, whole, half_unit=half_unit(), rung=rung_number("survey")),
            stratum_share(part, whole, model_strata(units).labels, rung=rung_number("model"),
                          min_respondents=MIN_RESPONDENTS),
            stratum_share(part, whole, structure_strata(units).labels, rung=rung_number("coefficient"),
                          min_respondents=MIN_RESPONDENTS),
        ],
        last_rung=rung_number("none"),
    )  # fmt: skip


def _branch_profile(units: pl.DataFrame) -> dict[str, np.ndarray]:
    """Part of AI revenue that falls in each branch, by what the classifier says: ``nan`` where respondents are too few."""
    strata, total = classifier_strata(units), units.select(pl.when("responded").then("ai_revenue_cny")).to_series()
    parts = {
        name: strata.ratio(units.select(pl.when("responded").then(f"ai_revenue_{name}_cny")).to_series(), total).ratio
        for name in SURVEY_BRANCHES
    }
    whole = np.sum(list(parts.values()), axis=0)
    return {
        name: np.where(whole > 0, part / np.where(whole > 0, whole, np.nan), np.nan) for name, part in parts.items()
    }


def _branch_shares(units: pl.DataFrame, share: np.ndarray) -> list[pl.Series]:
    """``ai_share_{branch}_estimate``: the return's own split where signed, else the share times the profile."""
    profile, main = _branch_profile(units), floats(units["main_revenue_cny"])
    signed = units["responded"].to_numpy()
    columns = []
    for name in SURVEY_BRANCHES:
        own = floats(units[f"ai_revenue_{name}_cny"]) / np.where(main > 0, main, np.nan)
        value = np.where(signed, own, share * profile[name])
        columns.append(pl.Series(f"ai_share_{name}_estimate", value).fill_nan(None))
    return columns


def main_to_operating(units: pl.DataFrame) -> float:
    """Main-business revenue as a part of operating revenue, from returns that state both; 1 where none does."""
    both = units.select(
        pl.when("responded").then("main_revenue_cny").alias("y"), pl.col("operating_revenue_cny").alias("x")
    ).drop_nulls()
    total = float(both["x"].cast(pl.Float64).sum())
    return float(both["y"].cast(pl.Float64).sum()) / total if both.height >= MIN_RESPONDENTS and total > 0 else 1.0


def _base(units: pl.DataFrame) -> pl.Series:
    """Main-business revenue: reported, else from operating revenue, else from staff; null where neither is known."""
    operating, _ = variable(units, "operating_revenue_cny", "employed_persons")
    modelled = operating * main_to_operating(units)
    return units["main_revenue_cny"].cast(pl.Float64).fill_null(modelled).alias(BASE)


def with_quantities(units: pl.DataFrame) -> pl.DataFrame:
    """Add the three quantities to the rows of :func:`etl.link.unit_year`, those of a year from it and the years before.

    ``membership`` (R30), ``membership_10``, ``membership_50`` with ``member_status`` (confirmed | imputed | unknown);
    ``ai_share_rung``, ``ai_share_estimate``, ``ai_share_lower``, ``ai_share_upper`` and ``ai_share_{branch}_estimate``;
    ``main_revenue_estimate`` (yuan, what the share is a share of); ``domain_answered``. Only a signed return confirms.
    ``staff_known`` is given anew (:func:`etl.strata.staff_estimate`). Sorted by ``uscc, ref_year``.
    """
    return by_year("quantities", units, _of_year).sort("uscc", YEAR)


def _of_year(units: pl.DataFrame, year: int) -> pl.DataFrame:
    units = units.with_columns(staff_estimate(units))
    shares = _shares(units)
    answered = pl.col("responded") & pl.any_horizontal(pl.col(list(domain_columns().values())).is_not_null())
    return units.with_columns(
        *_memberships(units),
        pl.Series("ai_share_rung", shares.rung),
        pl.Series("ai_share_estimate", shares.share),
        pl.Series("ai_share_lower", shares.lower),
        pl.Series("ai_share_upper", shares.upper),
        *_branch_shares(units, shares.share),
        _base(units),
        domain_answered=answered,
        is_signed=pl.col("responded"),
    ).filter(pl.col(YEAR) == year)
