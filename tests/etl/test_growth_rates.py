"""Growth rates by the Chinese conventions, on figures a reader can check by hand, and contributions that add up."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.methods.growth.contributions import contributions
from etl.methods.growth.rates import Rate, growth_rates, mean_growth, percentage_points, two_year_average
from etl.methods.periods import Period, gaps, of, parse, series
from etl.methods.tabular import BadInput, run_table, table_methods


def months(values: dict[str, float]) -> dict[Period, float]:
    return {parse(k): v for k, v in values.items()}


FLOWS = months(
    {
        "2024-01": 10.0, "2024-02": 20.0, "2024-03": 30.0, "2024-04": 40.0,
        "2025-01": 16.0, "2025-02": 17.0, "2025-03": 36.0, "2025-04": 38.0,
    }
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said", "frequency"),
    [("2025", "2025", 1), ("2025Q3", "2025-Q3", 4), ("2025-q3", "2025-Q3", 4), ("202509", "2025-09", 12)],
)
def test_periods_are_read_and_written(text: str, said: str, frequency: int) -> None:
    assert str(parse(text)) == said and parse(text).frequency == frequency
    assert str(parse("2025-12").shift(1)) == "2026-01" and str(parse("2025-Q1").shift(-1)) == "2024-Q4"


def test_a_series_has_one_frequency_and_no_period_twice() -> None:
    assert [str(p) for p in gaps(series(["2024-11", "2025-02"]))] == ["2024-12", "2025-01"]
    for texts, said in (
        (["2025", "2025-01"], "frequency"),
        (["2025-01", "202501"], "twice"),
        (["2025-13"], "not a period"),
    ):
        with pytest.raises(ValueError, match=said):
            series(texts)


def test_january_and_february_together_have_one_rate_and_none_on_the_period_before() -> None:
    rows = {str(r.period): r for r in growth_rates(FLOWS, january_february="combined")}
    assert list(rows) == ["2024-02", "2024-03", "2024-04", "2025-02", "2025-03", "2025-04"]
    both = rows["2025-02"]
    assert (both.label, both.value, both.cumulated) == ("2025年1—2月", 33.0, 33.0)
    assert both.yoy.ratio == pytest.approx(33 / 30 - 1)  # apart they would be +60 % and -15 %
    assert both.change == Rate(None, "combined_period") == rows["2025-03"].change
    assert rows["2025-04"].change.ratio == pytest.approx(38 / 36 - 1)
    assert rows["2025-03"].cumulated_yoy.ratio == pytest.approx(69 / 60 - 1)
    # 累计同比 is not the mean of monthly 同比: here 15 % against 10 % and 20 %.
    assert rows["2025-03"].points.ratio == pytest.approx(20.0 - 10.0)
    assert rows["2025-04"].yoy.ratio == pytest.approx(-0.05) and rows["2025-04"].points.ratio == pytest.approx(-25.0)
    assert rows["2024-03"].yoy == Rate(None, "missing")


def test_apart_every_month_has_its_rates() -> None:
    rows = {str(r.period): r for r in growth_rates(FLOWS)}
    assert rows["2025-01"].yoy.ratio == pytest.approx(0.6) and rows["2025-02"].yoy.ratio == pytest.approx(-0.15)
    assert rows["2025-02"].change.ratio == pytest.approx(1 / 16) and rows["2025-02"].cumulated == 33.0


@pytest.mark.parametrize("january_february", ["combined", "separate"])
def test_amounts_since_january_give_the_same_rates(january_february: str) -> None:
    since: dict[Period, float] = {}
    for period, value in FLOWS.items():
        since[period] = value + (since[period.shift(-1)] if period.within > 1 else 0.0)
    options = {"january_february": january_february}
    direct, differenced = growth_rates(FLOWS, **options), growth_rates(since, cumulated=True, **options)  # type: ignore[arg-type]
    assert direct == differenced


def test_a_published_combined_figure_without_a_january_is_taken_as_it_is() -> None:
    published = months({"2024-02": 30.0, "2024-03": 60.0, "2025-02": 33.0, "2025-03": 69.0})
    rows = {str(r.period): r for r in growth_rates(published, cumulated=True, january_february="combined")}
    assert rows["2025-02"].value == 33.0 and rows["2025-03"].value == 36.0
    assert rows["2025-03"].yoy.ratio == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("left_out", "lost"), [("2024-01", {"2024-02", "2025-02"}), ("2025-01", {"2025-02"})], ids=["first month", "a gap"]
)
def test_a_february_is_not_both_months_where_others_have_their_january(left_out: str, lost: set[str]) -> None:
    """One month of the two was taken for both: +65 % and -43 % where the truth, of full rows, is +10 %."""
    frame = pl.DataFrame({"period": [str(p) for p in FLOWS], "value": [str(v) for v in FLOWS.values()]})
    found = run_table(table_methods()["growth_rates"], frame.filter(pl.col("period") != left_out), {})
    rows = {row["period"]: row for row in found.rows.to_dicts()}
    assert {p for p in rows if p.endswith("-02") and rows[p]["yoy_reason"] == "missing"} == lost | {"2024-02"}
    assert rows["2025-03"]["cumulated_yoy_reason"] == "missing" and rows["2025-03"]["yoy"] == pytest.approx(0.2)
    assert left_out in found.result["missing_periods"]


def test_a_january_without_a_row_is_said() -> None:
    frame = pl.DataFrame({"period": ["2024-12", "2025-01"], "value": ["1", "2"]})
    for amounts in ("current", "cumulated"):
        found = run_table(table_methods()["growth_rates"], frame, {"amounts": amounts})
        assert found.rows["period"].to_list() == ["2024-12"] and found.result["missing_periods"] == ["2025-02"]
    apart = run_table(table_methods()["growth_rates"], frame, {"january_february": "separate"})
    assert apart.rows.height == 2 and apart.result["missing_periods"] == []


def test_prices_that_cannot_be_are_refused_with_the_period() -> None:
    frame = pl.DataFrame({"period": ["2024", "2025"], "value": ["1", "2"], "deflator": ["100", "0"]})
    with pytest.raises(BadInput, match="line 3, period 2025: the price index is not above zero"):
        run_table(table_methods()["growth_rates"], frame, {})
    with pytest.raises(BadInput, match="growth_rates: the base of the price index is -1"):
        run_table(table_methods()["growth_rates"], frame.head(1), {"deflator_base": "-1"})


def test_percentage_points_say_why_there_are_none() -> None:
    rows = growth_rates({of(1, 2023): 0.0, of(1, 2024): 2.0, of(1, 2025): 3.0})
    assert [r.points.reason for r in rows] == ["missing", "base_zero", "base_zero"]


def test_missing_is_not_zero() -> None:
    rows = {str(r.period): r for r in growth_rates(months({"2025-01": 1.0, "2025-02": math.nan, "2025-03": 3.0}))}
    assert math.isnan(rows["2025-03"].cumulated) and rows["2025-01"].cumulated == 1.0
    assert rows["2025-03"].change.reason == "missing"


def test_two_year_average_of_the_national_accounts() -> None:
    """国家统计局 2021: first half of 2021 12.7 % on a year before, two-year average 5.3 % (2020 first half -1.6 %)."""
    assert mean_growth([-0.016, 0.127]).ratio == pytest.approx(0.053, abs=5e-4)
    assert two_year_average(121.0, 100.0).ratio == pytest.approx(0.1)
    assert two_year_average(-1.0, 100.0) == Rate(None, "current_negative")
    assert (
        two_year_average(1.0, 0.0).reason == "base_zero" and two_year_average(1.0, -1.0).reason == "base_not_positive"
    )
    assert mean_growth([]).reason == "missing" and mean_growth([0.1, -1.5]).reason == "current_negative"
    assert percentage_points(Rate(0.054, None), Rate(0.049, None)).ratio == pytest.approx(0.5)


def test_two_years_before_in_a_series() -> None:
    years = {of(1, 2023): 100.0, of(1, 2024): 90.0, of(1, 2025): 121.0}
    last = growth_rates(years)[-1]
    assert last.two_year_average.ratio == pytest.approx(0.1) and last.label == "2025年"


def test_constant_prices_by_the_command() -> None:
    frame = pl.DataFrame({"period": ["2024-Q1", "2025-Q1"], "value": ["100", "110"], "deflator": ["100", "104"]})
    found = run_table(table_methods()["growth_rates"], frame, {"deflator_name": "PPI 2024Q1=100"})
    assert found.rows["yoy"][1] == pytest.approx(110 / 104 - 1) and found.result["prices"] == "constant"
    assert found.result["deflator"] == "PPI 2024Q1=100"
    with pytest.raises(BadInput, match="deflator_name: there is no column deflator"):
        run_table(table_methods()["growth_rates"], frame.rename({"deflator": "price_index"}), {"deflator_name": "PPI"})
    with pytest.raises(BadInput, match="amounts=current"):
        run_table(table_methods()["growth_rates"], frame, {"amounts": "cumulated"})
    with pytest.raises(BadInput, match="twice"):
        run_table(table_methods()["growth_rates"], pl.DataFrame({"period": ["2024", "2024"], "value": ["1", "2"]}), {})


AMOUNT = st.decimals(-(10**9), 10**9, places=2).map(float)


@settings(deadline=None)
@given(st.lists(st.tuples(AMOUNT, AMOUNT), min_size=1, max_size=40))
def test_contributions_add_up_to_the_growth_of_the_total(parts: list[tuple[float, float]]) -> None:
    now, before = (np.array(column) for column in zip(*parts, strict=True))
    found = contributions(now, before)
    if found.total.ratio is None:
        assert np.isnan(found.points).all() and found.total.reason in ("base_zero", "base_not_positive")
        return
    size = 100 * (np.abs(now).sum() + np.abs(before).sum()) / math.fsum(before)
    assert math.fsum(found.points) == pytest.approx(100 * found.total.ratio, abs=1e-12 * (1 + size))


def test_a_quarter_may_be_written_with_a_small_q_in_tables_too() -> None:
    small, plain = (
        run_table(table_methods()["growth_rates"], pl.DataFrame({"period": p, "value": ["100", "110"]}), {}).rows
        for p in (["2024q1", "2025-q1"], ["2024Q1", "2025-Q1"])
    )
    assert small.equals(plain) and small["yoy"][1] == pytest.approx(0.1)


def test_contributions_by_hand() -> None:
    found = contributions(np.array([60.0, 55.0]), np.array([50.0, 50.0]))
    assert found.points.tolist() == [10.0, 5.0] and found.share.tolist() == [10 / 15, 5 / 15]
    with pytest.raises(ValueError, match="missing in one period"):
        contributions(np.array([math.nan]), np.array([1.0]))
    frame = pl.DataFrame({"id": ["a", "b"], "value": ["60", "55"], "value_prev": ["50", "50"]})
    ran = run_table(table_methods()["contributions"], frame, {})
    assert ran.result["points"] == pytest.approx(15.0) and ran.rows["points"].to_list() == [10.0, 5.0]


def test_rounding_errors_are_no_change_and_no_base() -> None:
    """0.1 + 0.2 - 0.3 is 3e-17 in binary: shares of +7e15 and -7e15 came out, growth of 2e17."""
    still = contributions(np.array([0.1, 0.2]), np.array([0.3, 0.0]))
    assert np.isnan(still.share).all() and still.points == pytest.approx([-200 / 3, 200 / 3])
    empty = contributions(np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.2, -0.3]))
    assert empty.total.reason == "base_zero" and np.isnan(empty.points).all()
    small = contributions(np.array([1e9, 0.02]), np.array([1e9, 0.01]))
    assert small.share == pytest.approx([0, 1])


def test_a_part_that_stands_twice_is_refused() -> None:
    frame = pl.DataFrame({"id": ["a", "b", "a"], "value": ["1", "2", "3"], "value_prev": ["1", "1", "1"]})
    with pytest.raises(BadInput, match="id a is there 2 times"):
        run_table(table_methods()["contributions"], frame, {})


def test_a_total_among_the_parts_is_said() -> None:
    frame = pl.DataFrame({"id": ["合计", "a", "b"], "value": ["0.3", "0.1", "0.2"], "value_prev": ["20", "10", "10"]})
    runner = table_methods()["contributions"]
    assert "合计 is the sum of all other parts" in run_table(runner, frame, {}).result["note"]
    assert run_table(runner, frame.with_columns(value_prev=pl.Series(["21", "10", "10"])), {}).result["note"] is None
