"""How far the pipeline's totals are from the truth of a demo city, by level: ``frame_estimates.py HOME`` after ``aistat run``.

Prints one table: bias (of the sum over years and cells) and root mean squared error, both in percent of the truth. The
estimators are chosen and judged with it; the demo city is synthetic, so its figures are no quality statement.
"""

import json
import sys
from pathlib import Path

import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from etl.analysis import contributions
from etl.assets.analyse import core_indicators
from etl.assets.process import UNIT_YEAR
from etl.demo.accounts import THOUSAND
from etl.demo.generate import true_accounts
from etl.demo.scenario import load_scenario
from etl.demo.units import build_units
from etl.link import SURVEY_BRANCHES
from etl.quantities import with_quantities
from warehouse.write import WorkStore

LEVELS = {"city": (), "branch": ("branch",), "district": ("district",), "size": ("size",)}
OF_MEMBERS = {
    "ai_enterprises": pl.lit(1.0), "operating_revenue": pl.col("operating_revenue") * float(THOUSAND),
    "employed_persons": pl.col("employed_persons"), "rd_staff": pl.col("rd_staff_persons"),
}  # fmt: skip


def truth(home: Path) -> pl.DataFrame:
    """``indicator, ref_year, branch, district, size, value`` as they truly are."""
    said = json.loads((home / "demo.json").read_text(encoding="utf-8"))
    scenario = load_scenario(said["size"])
    units = build_units(scenario, said["seed"])
    accounts = true_accounts(units, scenario, said["seed"]).filter("alive")
    key = {"ref_year": pl.col("ref_year"), "district": pl.col("operating_district"), "size": pl.col("size")}
    parts = [
        accounts.select(
            **key, branch=pl.lit(branch), indicator=pl.lit("ai_revenue"),
            value=pl.col(f"ai_revenue_{name}") * float(THOUSAND),
        )
        for name, branch in SURVEY_BRANCHES.items()
    ]  # fmt: skip
    members = accounts.filter("member")
    parts += [
        members.select(**key, branch=pl.col("activity").str.slice(0, 1), indicator=pl.lit(i), value=v.cast(pl.Float64))
        for i, v in OF_MEMBERS.items()
    ]
    return pl.concat(parts)


def estimates(home: Path) -> pl.DataFrame:
    """The same columns as the pipeline estimates them."""
    units = with_quantities(WorkStore(home).read(UNIT_YEAR))
    rows = contributions(units, core_indicators()).drop_nulls("value")
    return rows.select(
        "indicator", "ref_year", "district", "size", branch=pl.col("ai_class").str.slice(0, 1), value=pl.col("value").cast(pl.Float64)
    )  # fmt: skip


def compared(home: Path) -> pl.DataFrame:
    """``level, indicator, bias_pct, rmse_pct``."""
    true, found, parts = truth(home), estimates(home), []
    for level, keys in LEVELS.items():
        key = ["indicator", "ref_year", *keys]
        sides = [f.group_by(key).agg(pl.col("value").sum().alias(n)) for f, n in ((true, "true"), (found, "found"))]
        both = sides[0].join(sides[1], on=key, how="left").with_columns(pl.col("found").fill_null(0.0))
        error = pl.col("found") - pl.col("true")
        parts.append(
            both.group_by("indicator").agg(
                bias_pct=100 * error.sum() / pl.col("true").sum(), rmse_pct=100 * (error**2).mean().sqrt() / pl.col("true").mean()
            ).select(pl.lit(level).alias("level"), pl.all()).sort("indicator")
        )  # fmt: skip
    return pl.concat(parts)


if __name__ == "__main__":
    for row in compared(Path(sys.argv[1])).iter_rows():
        print(f"{row[0]:10}{row[1]:20}{row[2]:+8.2f}{row[3]:8.2f}")
