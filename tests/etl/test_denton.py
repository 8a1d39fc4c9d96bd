"""Denton's benchmarking against published results, and what it promises for any series."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.methods.benchmark.denton import denton
from etl.methods.tabular import BadInput, run_table, table_methods

# IMF, Quarterly National Accounts Manual (2001), example 6.2: indicator 1998-2000, totals of 1998 and 1999.
INDICATOR = np.array([98.2, 100.8, 102.2, 100.8, 99.0, 101.6, 102.7, 101.5, 100.5, 103.0, 103.5, 101.5])
TOTALS = np.array([4000.0, 4161.4])
PUBLISHED = [969.8, 998.4, 1018.3, 1013.4, 1007.2, 1042.9, 1060.3, 1051.0, 1040.6, 1066.5, 1071.7, 1051.0]
YEARS = [(0, 4), (4, 8), (8, 12)]


def test_the_example_of_the_quarterly_national_accounts_manual() -> None:
    found = denton(INDICATOR, YEARS[:2], TOTALS)
    assert found.value == pytest.approx(PUBLISHED, abs=0.06)  # printed with one digit, from rounded intermediate steps
    assert found.error < 1e-9
    assert found.ratio[8:] == pytest.approx(np.full(4, found.ratio[7]))  # the current year carries the last ratio on


def test_dentons_own_example_as_stata_computes_it() -> None:
    """Denton (1971): indicator 50, 100, 150, 100 a year, totals 500 to 500; proportional first differences.

    The eight digits are those of Stata's denton module (Baum and Hristakeva), also in the tests of statsmodels.
    """
    expected = [
        64.334796, 127.80616, 187.82379, 120.03526, 56.563894, 105.97568, 147.50144, 89.958987, 40.547201, 74.445963,
        108.34473, 76.66211, 42.763347, 94.14664, 153.41596, 109.67405, 58.290761, 122.62556, 190.41409, 128.66959,
    ]  # fmt: skip
    blocks = [(4 * k, 4 * k + 4) for k in range(5)]
    found = denton(np.tile([50.0, 100.0, 150.0, 100.0], 5), blocks, np.array([500.0, 400.0, 300.0, 400.0, 500.0]))
    assert found.value == pytest.approx(expected, rel=1e-7)


def test_an_index_is_benchmarked_to_annual_means() -> None:
    """IMF, Quarterly National Accounts Manual (2017), example 8.8: quarterly chain Fisher index, columns 2, 4 and 6."""
    index = np.array([100.74, 100.66, 100.74, 101.07, 101.25, 101.31, 101.90, 102.99, 103.77, 104.32, 104.26, 104.08])
    expected = [100.73, 100.65, 100.72, 101.04, 101.19, 101.24, 101.82, 102.91, 103.71, 104.27, 104.21, 104.04]
    found = denton(index, YEARS, np.array([100.79, 101.79, 104.06]), aggregation="mean")
    assert found.value == pytest.approx(expected, abs=0.0151)  # inputs and printed result are rounded to 0.01


def test_the_enhanced_variant_follows_the_drift_of_the_ratio() -> None:
    found = denton(INDICATOR, YEARS[:2], TOTALS, variant="enhanced", tail=(8, 12))
    annual = TOTALS / np.array([INDICATOR[:4].sum(), INDICATOR[4:8].sum()])
    assert found.ratio_forecast == pytest.approx(annual[1] ** 2 / annual[0])  # one more step of the same growth
    assert found.value[8:].sum() / INDICATOR[8:].sum() == pytest.approx(found.ratio_forecast)
    assert found.error < 1e-9 and found.value[8:].sum() > sum(PUBLISHED[8:])
    given_ratio = denton(INDICATOR, YEARS[:2], TOTALS, variant="enhanced", tail=(8, 10), ratio_forecast=10.5)
    assert given_ratio.value[8:10].sum() == pytest.approx(10.5 * INDICATOR[8:10].sum())
    assert denton(INDICATOR, YEARS[:2], TOTALS, variant="enhanced", tail=(8, 12), ratio_forecast=10.0).value[8] < 1040.6
    for options, said in (
        ({"tail": None}, "after the last benchmark"),
        ({"tail": (8, 12), "aggregation": "last"}, "after the last benchmark"),
    ):
        with pytest.raises(ValueError, match=said):
            denton(INDICATOR, YEARS[:2], TOTALS, variant="enhanced", **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="two benchmarks"):
        denton(INDICATOR, YEARS[:1], TOTALS[:1], variant="enhanced", tail=(4, 8))


def test_the_start_of_the_original_is_tied_to_the_indicator() -> None:
    """Additive, one year, by hand: corrected spreads the difference evenly; tied, it grows in steps of 4, 3, 2, 1."""
    indicator, total = np.full(4, 100.0), np.array([440.0])
    assert denton(indicator, YEARS[:1], total, variant="additive").value == pytest.approx([110.0] * 4)
    tied = denton(indicator, YEARS[:1], total, variant="additive_original").value - 100
    steps = np.diff(tied, prepend=0.0)  # first-order condition: step k is proportional to the sum of what comes after
    assert steps / steps[-1] == pytest.approx([4.0, 3.0, 2.0, 1.0])
    ratio = denton(indicator, YEARS[:1], total, variant="proportional_original").ratio
    assert ratio == pytest.approx(1 + tied / 100)


SERIES = st.lists(st.floats(0.5, 2000), min_size=12, max_size=12)


@settings(deadline=None)
@given(SERIES, st.lists(st.floats(1, 1e7), min_size=3, max_size=3), st.sampled_from(["sum", "mean", "last"]))
def test_benchmarks_are_met_and_movements_kept(indicator: list[float], totals: list[float], aggregation: str) -> None:
    series, benchmarks = np.array(indicator), np.array(totals)
    for variant in ("proportional", "additive", "proportional_original", "additive_original"):
        found = denton(series, YEARS, benchmarks, variant=variant, aggregation=aggregation)  # type: ignore[arg-type]
        assert found.error <= 1e-9 * max(1.0, float(np.abs(found.value).max()))
    if aggregation == "sum":  # benchmarks that fit already change nothing; a constant ratio stays constant
        fit = series.reshape(3, 4).sum(axis=1)
        assert denton(series, YEARS, fit).value == pytest.approx(series, rel=1e-9)
        assert denton(series, YEARS, 3.5 * fit).value == pytest.approx(3.5 * series, rel=1e-9)
        best = denton(series, YEARS, benchmarks)
        pro_rata = (benchmarks / fit).repeat(4)
        assert np.square(np.diff(best.ratio)).sum() <= np.square(np.diff(pro_rata)).sum() * (1 + 1e-6) + 1e-12


@pytest.mark.parametrize(
    ("indicator", "blocks", "totals", "said"),
    [
        (np.zeros(4), YEARS[:1], TOTALS[:1], "variant=additive"),
        (np.ones(4), YEARS[:1], TOTALS, "one each"),
        (np.ones(4), [], np.array([]), "at least one"),
        (np.array([1.0, np.nan, 1.0, 1.0]), YEARS[:1], TOTALS[:1], "missing"),
    ],
)
def test_what_cannot_be_benchmarked_is_refused(indicator, blocks, totals, said) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=said):
        denton(indicator, blocks, totals)


def long_table(*, named: bool = True) -> pl.DataFrame:
    low = [("low", str(1998 + k), str(v)) for k, v in enumerate(TOTALS)]
    high = [("high", f"{1998 + k // 4}Q{k % 4 + 1}", str(v)) for k, v in enumerate(INDICATOR)]
    frame = pl.DataFrame([*high, *low], schema=["series", "period", "value"], orient="row")
    return frame if named else frame.drop("series")


def test_series_of_any_two_names_are_told_apart_by_their_periods() -> None:
    renamed = long_table().with_columns(pl.col("series").replace({"low": "A", "high": "Q"}))
    found = run_table(table_methods()["denton"], renamed, {})
    assert found.rows["value"].to_list() == pytest.approx(PUBLISHED, abs=0.06)


@pytest.mark.parametrize("named", [True, False])
def test_the_command_takes_both_series_in_one_long_table(named: bool) -> None:
    found = run_table(table_methods()["denton"], long_table(named=named), {})
    assert found.rows["value"].to_list() == pytest.approx(PUBLISHED, abs=0.06)
    assert found.rows["period"][0] == "1998-Q1" and found.rows["extrapolated"].to_list() == [False] * 8 + [True] * 4
    ahead = run_table(table_methods()["denton"], long_table(named=named), {"variant": "enhanced"})
    assert ahead.result["ratio_forecast"] > 10.4 and ahead.rows["value"][11] > 1051


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"ratio_forecast": "10.4"}, "for variant=enhanced alone, found variant=proportional"),
        ({"ratio_forecast": "10.4", "variant": "additive"}, "for variant=enhanced alone, found variant=additive"),
        ({"ratio_forecast": "-1", "variant": "enhanced"}, "ratio_forecast -1 is not above zero"),
    ],
)
def test_a_forecast_of_the_ratio_counts_or_is_refused(parameters: dict[str, str], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        run_table(table_methods()["denton"], long_table(), parameters)


def test_proportional_values_below_zero_do_not_go_without_a_word() -> None:
    below = long_table().with_columns(
        pl.when(pl.col("period") == "1999").then(pl.lit("-50")).otherwise("value").alias("value")
    )
    found = run_table(table_methods()["denton"], below, {})
    assert found.rows["value"].min() < 0 and "the total of 1999 is not above zero" in found.result["note"]  # type: ignore[operator]
    assert run_table(table_methods()["denton"], below, {"variant": "additive"}).result["note"] is None
    assert run_table(table_methods()["denton"], long_table(), {}).result["note"] is None
    steep = long_table().with_columns(
        pl.when(pl.col("period") == "1999").then(pl.lit("100")).otherwise("value").alias("value")
    )
    assert "totals change too much" in run_table(table_methods()["denton"], steep, {}).result["note"]


def test_months_to_quarters() -> None:
    rows = [("low", "2024-Q1", "30"), ("low", "2024-Q2", "60"), *(("high", f"2024-{m:02d}", "5") for m in range(1, 7))]
    frame = pl.DataFrame(rows, schema=["series", "period", "value"], orient="row")
    for table in (frame, frame.drop("series")):
        values = run_table(table_methods()["denton"], table, {}).rows["value"]
        assert values[:3].sum() == pytest.approx(30) and values[3:].sum() == pytest.approx(60) and values.is_sorted()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (pl.lit("other").alias("series"), "neither low nor high"),
        (pl.lit("low").alias("series"), "both series are needed"),
        (pl.col("period").str.replace("1998Q2", "2005Q2"), "no value for 1998-Q2"),
        (pl.col("period").str.replace("^1999$", "2001"), "does not cover the total of 2001"),
    ],
)
def test_bad_tables_are_refused(change: pl.Expr, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        run_table(table_methods()["denton"], long_table().with_columns(change), {})
