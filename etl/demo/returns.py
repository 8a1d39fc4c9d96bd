"""Which units send which return, and the rows of each file (columns named as in the contracts)."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from etl.demo.domains import domain_cells
from etl.demo.scenario import Scenario, common, stream
from etl.demo.units import AI, LOOK
from taxonomy.size import size_class_expr

SURVEY = [
    "main_revenue", "ai_revenue", "ai_revenue_hardware", "ai_revenue_software", "ai_revenue_application",
    "ai_revenue_integration", "ai_rd_expenditure",
]  # fmt: skip
FINANCE = [
    "operating_revenue", "operating_cost", "taxes_and_surcharges", "total_profit", "payroll", "depreciation",
    "vat_payable", "total_assets",
]  # fmt: skip
LABOUR = ["employed_persons", "average_employed_persons", "female_persons", "rd_staff_persons"]


def with_size(accounts: pl.DataFrame) -> pl.DataFrame:
    """Add the size class ``size`` (L, M, S, W) from true staff and revenue."""
    size = size_class_expr(pl.col("gbt_code"), pl.col("employed_persons"), pl.col("operating_revenue") * 1000)
    return accounts.with_columns(size=size.fill_null("W"))


def _persistent(rng: np.random.Generator, accounts: pl.DataFrame, persistence: float) -> np.ndarray:
    """Uniform numbers, mostly the same in all years of one unit (who answers once tends to answer again)."""
    years = accounts["ref_year"].n_unique()
    own = np.repeat(rng.random(accounts.height // years), years)
    return np.where(rng.random(accounts.height) < persistence, own, rng.random(accounts.height))


def choose_responses(accounts: pl.DataFrame, scenario: Scenario, seed: int) -> pl.DataFrame:
    """Add ``asked``, ``above_scale`` (alive and in the survey, the statements), ``in_survey``, ``in_finance`` (and answering)."""
    rng = stream(seed, "responses")
    years = len(scenario.years)
    n = accounts.height
    asked_unit = np.repeat(rng.random(n // years), years) < scenario["lookalikes_surveyed"]
    role = accounts["role"].to_numpy()
    asked = (role == AI) | ((role == LOOK) & asked_unit)
    rate = accounts["size"].replace_strict(scenario["response"], return_dtype=pl.Float64).to_numpy()
    answers = _persistent(rng, accounts, scenario["response_persistence"]) < rate
    limits = scenario["above_scale_cny"]
    industry = accounts["gbt_code"].str.slice(0, 2).cast(pl.Int64).is_between(6, 46).to_numpy()
    floor = np.where(industry, limits["industry"], limits["services"])
    large = accounts["operating_revenue"].to_numpy() * 1000 >= floor
    reports = rng.random(n) < scenario["above_scale_response"]
    alive = accounts["alive"].to_numpy()
    return accounts.with_columns(
        asked=pl.Series(alive & asked), above_scale=pl.Series(alive & large),
        in_survey=pl.Series(alive & asked & answers), in_finance=pl.Series(alive & large & reports),
    )  # fmt: skip


def _money(names: list[str]) -> list[pl.Expr]:
    return [pl.col(name).alias(f"{name}_cny") for name in names]


def yearly_returns(accounts: pl.DataFrame, year: int) -> Mapping[str, pl.DataFrame]:
    """Rows of the three yearly files of one year, by source id, sorted by code; money in thousand yuan."""
    rows = accounts.filter(pl.col("ref_year") == year).sort("uscc")
    survey, finance = rows.filter("in_survey"), rows.filter("in_finance")
    labour = rows.filter(pl.col("in_survey") | pl.col("in_finance"))
    return {
        "ai_survey_annual": survey.select(
            "uscc", "name", *_money(SURVEY[:-1]), "share_basis", *_money(SURVEY[-1:]), "ai_employed_persons",
            *domain_cells(),
        ),
        "finance_annual": finance.select("uscc", "name", *_money(FINANCE)),
        "labour_annual": labour.select("uscc", "name", *LABOUR, *_money(["payroll"])),
    }  # fmt: skip


def register_rows(units: pl.DataFrame, accounts: pl.DataFrame, scenario: Scenario, seed: int) -> pl.DataFrame:
    """Rows of the monthly register, sorted by code; registered capital in 万元."""
    rng = stream(seed, "register")
    n = units.height
    last = accounts.filter("alive").group_by("uscc").agg(pl.col("employed_persons").sort_by("ref_year").last())
    units = units.join(last, on="uscc", how="left", maintain_order="left")
    noise = pl.Series(rng.uniform(0.85, 1.1, n))
    small = pl.Series(np.maximum(np.rint(5 * np.exp(rng.normal(0, 1.0, n))), 1))
    small = pl.select(pl.when(pl.lit(units["unit_kind"]) == "3").then(small.clip(1, 6)).otherwise(small)).to_series()
    capital = np.rint(np.exp(rng.normal(4.6, 1.3, n)) / 10) * 10 + 10
    types = np.array(common()["registration_types"])[rng.integers(0, len(common()["registration_types"]), n)]
    is_sole = pl.col("unit_kind") == "3"
    staff = (pl.col("employed_persons") * noise).round(0).clip(1, None)
    return units.with_columns(
        employed_persons=pl.coalesce(staff, small).cast(pl.Int64),
        registered_capital_cny=pl.when(pl.col("unit_kind") == "1").then(pl.Series(capital).cast(pl.Int64)),
        registration_type=pl.when(is_sole).then(pl.lit("个体工商户")).otherwise(pl.Series(types)),
    ).select(
        "uscc", "name", "unit_kind", "gbt_code", "business_scope", "main_products", "registered_district",
        "operating_district", "registered_capital_cny", "registration_type", "employed_persons",
        pl.col("opening_date", "closing_date").dt.to_string("%Y-%m-%d"), "group_uscc",
    ).sort("uscc")  # fmt: skip
