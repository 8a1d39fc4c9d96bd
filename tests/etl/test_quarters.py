"""Quarterly totals: differences of cumulated returns, raising, benchmarking, what is withheld, adjusted or refused."""

import numpy as np
import polars as pl
import pytest

from etl.methods.disclosure import RuleSet
from etl.methods.periods import of
from etl.monitor import (
    climate_rows,
    diagnostic_rows,
    growth_of,
    profit_margin,
    quarter_cells,
    seasonal,
    staff_growth,
)
from etl.quarters import Quarters, quarterly, raised, single_quarters
from warehouse.catalogue import load_yaml

LIMITS = RuleSet()
SEASON = (0.2, 0.24, 0.26, 0.3)
GROUPS = pl.DataFrame({"uscc": [f"u{i:02d}" for i in range(40)], "contributor": [f"u{i:02d}" for i in range(40)]})


def returns(years: range, units: int = 30, growth: float = 0.1, last_quarter: int = 4) -> pl.DataFrame:
    """Cumulated AI revenue and staff of ``units`` units; unit i has 1,000,000 + 10,000 i in the first year."""
    rows = []
    for year in years:
        for i in range(units):
            annual, so_far = (1_000_000 + 10_000 * i) * (1 + growth) ** (year - years[0]), 0.0
            for quarter, share in enumerate(SEASON, 1):
                so_far += annual * share
                if year < years[-1] or quarter <= last_quarter:
                    rows.append(
                        (f"u{i:02d}", f"{year}-Q{quarter}", round(so_far), 10 + year - years[0], round(so_far / 10))
                    )
    names = ["uscc", "ref_period", "ytd", "ai_employed_persons", "total_profit_ytd_cny"]
    return pl.DataFrame(rows, schema=names, orient="row").with_columns(
        pl.col("ytd").cast(pl.Decimal(20, 2)), operating_revenue_ytd_cny=pl.col("ytd")
    )


def annual(years: range, units: int = 40, growth: float = 0.1) -> pl.DataFrame:
    rows = [
        (f"u{i:02d}", y, (1_000_000 + 10_000 * i) * (1 + growth) ** (y - years[0]), "A" if i % 2 else "B")
        for y in years
        for i in range(units)
    ]
    return pl.DataFrame(rows, schema=["uscc", "year", "weight", "stratum"], orient="row")


def totals(years: range) -> dict[int, float]:
    return {y: float(v) for y, v in annual(years).group_by("year").agg(pl.col("weight").sum()).iter_rows()}


def made(years: range = range(2021, 2026), later: int = 0, frame: pl.DataFrame | None = None) -> Quarters:
    span = range(years[0], years[-1] + 1 + bool(later))
    rows = returns(span, last_quarter=later or 4) if frame is None else frame
    found = quarterly(rows, "ytd", annual(years), GROUPS, totals(years), list(years), LIMITS, 1)
    assert found is not None
    return found


def test_cumulated_amounts_are_differenced_and_a_gap_is_not_two_quarters() -> None:
    rows = pl.DataFrame(
        {"uscc": ["a"] * 4 + ["b"] * 3, "ref_period": ["2025-Q1", "2025-Q2", "2025-Q3", "2025-Q4", "2025-Q1", "2025-Q3", "2025-Q4"],
         "ytd": [10.0, 25.0, 25.0, 20.0, 5.0, 30.0, 41.0]}
    )  # fmt: skip
    found = {(r["uscc"], r["period"]): r["value"] for r in single_quarters(rows, "ytd").iter_rows(named=True)}
    assert [found["a", f"2025-Q{q}"] for q in (1, 2, 3, 4)] == [10.0, 15.0, 0.0, -5.0]
    assert ("b", "2025-Q3") not in found and found["b", "2025-Q4"] == 11.0


def test_returns_are_raised_to_the_frame_by_stratum() -> None:
    years = range(2024, 2025)
    found = raised(single_quarters(returns(years), "ytd"), annual(years))
    whole = totals(years)[2024]
    assert found["indicator"].to_list() == pytest.approx([whole * s for s in SEASON], rel=1e-5)
    assert found["returns"].to_list() == [30] * 4


def test_a_stratum_with_few_returns_is_carried_by_the_pool() -> None:
    years = range(2024, 2025)
    frame = annual(years).with_columns(
        stratum=pl.when(pl.col("uscc") == "u00").then(pl.lit("rare")).otherwise("stratum")
    )
    found = raised(single_quarters(returns(years), "ytd"), frame)
    assert found["indicator"].to_list() == pytest.approx([totals(years)[2024] * s for s in SEASON], rel=0.002)


def test_quarters_add_up_to_the_annual_totals_and_the_year_under_way_goes_on_with_the_last_ratio() -> None:
    years = range(2021, 2026)
    found = made(years, later=3)
    sums = {y: sum(v for p, v in zip(found.periods, found.values, strict=True) if p.year == y) for y in years}
    assert sums == pytest.approx(totals(years), rel=1e-12)
    assert found.extrapolated == (False,) * 20 + (True,) * 3 and all(found.shown)
    assert found.ratio[-3:] == pytest.approx([found.ratio[19]] * 3, rel=1e-9)
    rates = {r.period: r for r in found.rates}
    assert rates[of(4, 2026, 3)].yoy.ratio == pytest.approx(0.1, abs=1e-4)
    assert rates[of(4, 2026, 3)].cumulated_yoy.ratio == pytest.approx(0.1, abs=1e-4)


def test_a_year_in_which_one_group_dominates_is_withheld_with_its_growth_and_not_adjusted() -> None:
    years = range(2021, 2026)
    big = (pl.col("uscc") == "u03") & pl.col("ref_period").str.starts_with("2023")
    rows = returns(years).with_columns(
        ytd=pl.when(big).then(pl.col("ytd") * 3000).otherwise("ytd").cast(pl.Decimal(20, 2))
    )
    found = made(years, frame=rows)
    assert [p.year for p, s in zip(found.periods, found.shown, strict=True) if not s] == [2023] * 4
    adjusted = seasonal(found)
    assert adjusted.adjusted is None and "保密" in adjusted.items[0][2]
    cells = quarter_cells({"ai_revenue": found}, {"ai_revenue": adjusted})
    hidden = cells.filter(pl.col("period").str.starts_with("2023"))
    assert set(hidden["conf_status"]) == {"C"} and hidden["value"].null_count() == hidden.height
    after = cells.filter((pl.col("period") == "2024-Q1") & (pl.col("indicator") == "ai_revenue_quarter"))
    assert after["value"].item() is not None and after["yoy_ratio"].item() is None
    step = cells.filter((pl.col("period") == "2024-Q1") & (pl.col("indicator") == "ai_revenue_qoq"))
    assert step["conf_status"].item() == "C"
    assert set(growth_of(found)) == {f"{y}-Q{q}" for y in (2022, 2025) for q in (1, 2, 3, 4)}


def test_an_adjusted_series_has_its_diagnostics_and_its_rates() -> None:
    rng = np.random.default_rng(5)
    found = made(range(2016, 2026))
    noisy = Quarters(**{**found.__dict__, "values": found.values * np.exp(rng.normal(0, 0.01, found.values.size))})
    adjusted = seasonal(noisy)
    assert adjusted.adjusted is not None
    items = {item: value for item, value, _, _ in adjusted.items}
    assert {"method", "model", "holiday", "m1", "q", "qs_original", "qs_seasonally_adjusted"} <= set(items)
    assert float(items["q"] or 9) < 1
    spread = [np.ptp(np.diff(np.log(x))) for x in (noisy.values, adjusted.adjusted)]
    assert spread[1] < spread[0] / 3, "the season is out of it"
    cells = quarter_cells({"ai_revenue": noisy}, {"ai_revenue": adjusted})
    own = cells.filter((pl.col("adjustment") == "S") & (pl.col("indicator") == "ai_revenue_qoq")).sort("period")
    assert float(own["value"][-1]) == pytest.approx(
        100 * (adjusted.adjusted[-1] / adjusted.adjusted[-2] - 1), abs=0.005
    )
    assert diagnostic_rows({"ai_revenue": adjusted}).height == len(adjusted.items)


def test_a_short_series_is_published_unadjusted_with_the_reason() -> None:
    adjusted = seasonal(made(range(2024, 2026)))
    assert adjusted.adjusted is None and adjusted.items[0][0] == "refused" and "12" in adjusted.items[0][3]
    cells = quarter_cells({"ai_revenue": made(range(2024, 2026))}, {"ai_revenue": adjusted})
    assert set(cells["adjustment"]) == {"N"}


def test_no_series_without_a_year_that_is_complete() -> None:
    rows = returns(range(2025, 2026), last_quarter=3)
    years = range(2025, 2026)
    assert quarterly(rows, "ytd", annual(years), GROUPS, totals(years), [2025], LIMITS, 1) is None


def test_components_of_the_index_rest_on_levels_that_may_be_known() -> None:
    rows = returns(range(2024, 2026))
    assert staff_growth(rows, GROUPS, LIMITS, 1) == pytest.approx({f"2025-Q{q}": 10.0 for q in (1, 2, 3, 4)})
    one = pl.DataFrame({"uscc": GROUPS["uscc"], "contributor": ["holding"] * 40})
    assert staff_growth(rows, one, LIMITS, 1) == {}
    assert profit_margin(rows, GROUPS, LIMITS, 1)["2025-Q1"] == pytest.approx(10.0, abs=0.01)
    assert profit_margin(rows, GROUPS.head(2), LIMITS, 1) == {}


def components() -> dict[str, dict[str, float]]:
    periods = [f"{y}-Q{q}" for y in range(2022, 2027) for q in (1, 2, 3, 4)]
    rng = np.random.default_rng(3)
    return {
        name: dict(zip(periods, 10 + rng.normal(0, 3, 20), strict=True)) for name in load_yaml("climate")["components"]
    }  # type: ignore[union-attr,call-overload]


def test_the_index_is_the_weighted_mean_of_its_components_and_has_its_range_and_back_test() -> None:
    settings = load_yaml("climate")
    found = climate_rows(components(), settings)
    index = {r["period"]: r["value"] for r in found.filter(pl.col("measure") == "index").iter_rows(named=True)}
    parts = found.filter(pl.col("measure") == "contribution").group_by("period").agg(pl.col("value").sum())
    assert dict(parts.iter_rows()) == pytest.approx(index)
    base = [v for p, v in index.items() if "2022-Q1" <= p <= "2025-Q4"]
    assert np.mean(base) == pytest.approx(100.0)
    low = {r["period"]: r["value"] for r in found.filter(pl.col("measure") == "low").iter_rows(named=True)}
    assert all(low[p] <= v for p, v in index.items())
    weights = found.filter(pl.col("measure") == "weight")
    assert weights["value"].sum() == pytest.approx(1.0) and set(weights["component"]) == set(settings["components"])  # type: ignore[call-overload]
    events = found.filter(pl.col("measure") == "events")["value"].unique().to_list()
    assert events == [float(sum(v < 95 for v in index.values()))]


def test_without_a_component_there_is_no_index_but_a_reason_and_the_other_lamps() -> None:
    values = components()
    values["profit_margin"] = {}
    found = climate_rows(values, load_yaml("climate"))
    assert found.filter(pl.col("measure") == "index").height == 0
    assert found.filter(pl.col("measure") == "refused")["text_zh"].item()
    lamps = found.filter(pl.col("measure") == "lamp")
    assert set(lamps["component"]) == set(values) - {"profit_margin"}
    states = lamps.filter(pl.col("component") == "ai_revenue_yoy")
    by_hand = {p: 1 + sum(v >= b for b in (0, 8, 20, 30)) for p, v in values["ai_revenue_yoy"].items()}
    assert dict(states.select("period", "value").iter_rows()) == by_hand
