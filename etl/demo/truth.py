"""What the demo city truly is besides its accounts: quarters, computing capacity, and who was asked and did not answer."""

import polars as pl

from etl.demo.administrative import compute_centres
from etl.demo.adoption import AdoptionFrame
from etl.demo.city import City
from etl.demo.quarterly import cumulated_share, revenue_so_far
from etl.demo.scenario import LABEL
from etl.demo.units import AI, LOOK

INTELLIGENT = "1"
"""Centre type 智算中心."""


def truth_quarters(city: City) -> pl.DataFrame:
    """``period, indicator, value (of the quarter), value_ytd`` in yuan: AI and main revenue of all units that have any."""
    rows = []
    for year, quarter in city.quarters():
        units = city.alive(year).filter(pl.col("role").is_in([AI, LOOK]))
        share = cumulated_share(city, units, year, quarter, "ai")
        for name in ("ai_revenue", "main_revenue"):
            rows.append((year, quarter, name, float(revenue_so_far(units[name], share).sum()) * 1000))
    frame = pl.DataFrame(rows, schema=["year", "quarter", "indicator", "value_ytd"], orient="row")
    before = pl.col("value_ytd").shift(1, fill_value=0).over("indicator", "year", order_by="quarter")
    return frame.sort("indicator", "year", "quarter").select(
        pl.format("{}-Q{}", "year", "quarter").alias("period"), "indicator",
        value=pl.col("value_ytd") - before, value_ytd="value_ytd", label=pl.lit(LABEL),
    )  # fmt: skip


def truth_compute(city: City) -> pl.DataFrame:
    """``period`` (month), PFLOPS installed, of intelligent computing centres, available; energy in kWh."""
    parts = [
        file.frame.select(
            pl.lit(f"{file.year}-{file.part['month']:02d}").alias("period"),
            centres=pl.len().cast(pl.Int64),
            capacity_pflops=pl.col("capacity_pflops").sum(),
            intelligent_pflops=pl.col("capacity_pflops").filter(pl.col("centre_type") == INTELLIGENT).sum(),
            available_pflops=pl.col("available_pflops").sum(),
            energy_kwh=pl.col("energy_kwh").sum(),
            renewable_kwh=pl.col("renewable_kwh").sum(),
            label=pl.lit(LABEL),
        )
        for file in compute_centres(city)
    ]
    return pl.concat(parts)


def truth_nonresponse(city: City, adoption: AdoptionFrame) -> pl.DataFrame:
    """Every unit asked that did not answer: ``source_id, period, uscc, size``.

    ``size`` is L, M, S, W, in the adoption survey 大, 中, 小. A return lost to a fault is not non-response.
    """
    parts = [adoption.silent().select(pl.lit("adoption_survey").alias("source_id"), "period", "uscc", "size")]
    annual = {"ai_survey_annual": ("asked", "in_survey"), "finance_annual": ("above_scale", "in_finance")}
    for source, (asked, answered) in annual.items():
        silent = city.accounts.filter(pl.col(asked) & ~pl.col(answered))
        year = pl.col("ref_year").cast(pl.String)
        parts.append(silent.select(pl.lit(source).alias("source_id"), year.alias("period"), "uscc", "size"))
        for y, quarter in city.quarters():
            rows = city.alive(y).filter(pl.col(asked) & ~pl.col(answered))
            named = pl.lit(source.replace("annual", "quarterly")).alias("source_id")
            parts.append(rows.select(named, pl.lit(f"{y}-Q{quarter}").alias("period"), "uscc", "size"))
    return pl.concat(parts).sort("source_id", "period", "uscc")
