"""Revisions: by hand, against an independent implementation of the HAC error, and under simulation."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.methods.revision import hac_standard_error, newey_west_lags, revision_summary, triangle
from etl.methods.tabular import BadInput, MethodResult, run_table, table_methods

P, L = np.array([2.0, 3.0, 1.0, 4.0]), np.array([2.4, 2.8, 1.5, 4.1])


def test_by_hand() -> None:
    found = revision_summary(P, L, lags=0)
    assert found.mean_revision == pytest.approx(0.2) and found.mean_absolute_revision == pytest.approx(0.3)
    assert found.relative_mean_absolute_revision == pytest.approx(1.2 / 10.8)
    r = np.array([0.4, -0.2, 0.5, 0.1])
    assert found.hac_standard_error == pytest.approx(r.std(ddof=1) / 2)
    assert (found.share_positive, found.share_negative, found.minimum, found.maximum) == (
        0.75, 0.25, pytest.approx(-0.2), pytest.approx(0.5),
    )  # fmt: skip


@pytest.mark.parametrize("lags", [0, 1, 3, 6])
def test_the_hac_error_is_that_of_statsmodels(lags: int) -> None:
    import statsmodels.api as sm

    values = np.cumsum(np.random.default_rng(4).normal(size=40)) * 0.3
    fit = sm.OLS(values, np.ones(40)).fit(cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": True})
    assert hac_standard_error(values, lags) == pytest.approx(fit.bse[0], rel=1e-10)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=3, max_size=30), st.floats(0.01, 100))
def test_scaling_changes_sizes_not_the_test(pairs: list[tuple[float, float]], factor: float) -> None:
    earlier, later = (np.array(x) for x in zip(*pairs, strict=True))
    one, many = revision_summary(earlier, later), revision_summary(earlier * factor, later * factor)
    assert many.mean_revision == pytest.approx(one.mean_revision * factor, rel=1e-6, abs=1e-6)
    assert abs(one.mean_revision) <= one.mean_absolute_revision + 1e-9 <= one.root_mean_square + 1e-6
    if math.isfinite(one.p_value) and one.hac_standard_error > 1e-6:
        assert many.p_value == pytest.approx(one.p_value, abs=1e-4)


def test_the_test_keeps_its_level_and_finds_a_bias() -> None:
    rng = np.random.default_rng(20261125)
    rejected = {0.0: 0, 0.5: 0}
    for shift in rejected:
        for _ in range(400):
            r = rng.normal(shift, 1.0, 60)
            rejected[shift] += revision_summary(np.zeros(60), r).p_value < 0.05
    assert rejected[0.0] / 400 < 0.11 and rejected[0.5] / 400 > 0.9


def test_too_few_periods_give_no_test() -> None:
    two = revision_summary(P[:2], L[:2])
    assert math.isnan(two.p_value) and two.mean_absolute_revision == pytest.approx(0.3)
    assert math.isnan(revision_summary(np.zeros(4), np.ones(4)).p_value), "all equal: no error to compare with"
    with pytest.raises(ValueError, match="same periods"):
        revision_summary(P, L[:3])
    assert newey_west_lags(3) == 1 and newey_west_lags(100) == 4


TABLE = pl.DataFrame(
    [(p, v, x) for p, row in {"2024-Q1": [None, "2.0", "2.4"], "2024-Q2": ["3", "2.9", "2.8"], "2024-Q3": [None, None, "9"]}.items()
     for v, x in zip(("2024-08-01", "2024-11-01", "2025-02-01"), row, strict=True)],
    schema=["period", "vintage", "value"], orient="row",
)  # fmt: skip


def test_the_triangle_counts_releases_from_the_first_value() -> None:
    found = run_table(table_methods()["revision"], TABLE, {})
    assert found.rows.select("period", "release", pl.col("revision").round(6), pl.col("total_revision").round(6)).rows() == [
        ("2024-Q1", 1, None, 0.0), ("2024-Q1", 2, 0.4, 0.4), ("2024-Q2", 1, None, 0.0), ("2024-Q2", 2, -0.1, -0.1),
        ("2024-Q2", 3, -0.1, -0.2), ("2024-Q3", 1, None, 0.0),
    ]  # fmt: skip
    assert found.result["periods"] == 2 and found.result["mean_revision"] == pytest.approx(0.1)
    second = run_table(table_methods()["revision"], TABLE, {"from_release": "2"})
    assert second.result["periods"] == 1 and second.result["mean_revision"] == pytest.approx(-0.1)
    assert triangle(TABLE.with_columns(pl.col("value").cast(pl.Float64))).height == 6


def revisions(rows: list[tuple[str, str, str | None]], **parameters: str) -> MethodResult:
    frame = pl.DataFrame(rows, schema=["period", "vintage", "value"], orient="row", infer_schema_length=None)
    return run_table(table_methods()["revision"], frame.cast(pl.String), parameters)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("9", "10"), ("9.0", "10.0"), ("2024-9", "2024-10"), ("30.09.2024", "01.10.2024"), ("T+30", "T+100"), ("2024-9-30", "2024-10-1"),
        ("2024/9/30", "2024/10/01"), ("2024年9月", "2024年10月"), ("第9次", "第10次"), ("v9", "V10"), ("2024-Q3", "2024-Q4"),
        ("20240930", "20241001"), ("2024-09-30T08:00", "2024-09-30T10:00"),
    ],
)  # fmt: skip
def test_releases_are_in_the_order_of_their_numbers_and_dates(earlier: str, later: str) -> None:
    for rows in ([("2023", earlier, "5"), ("2023", later, "7")], [("2023", later, "7"), ("2023", earlier, "5")]):
        found = revisions(rows)
        assert found.result["mean_revision"] == 2.0
        assert found.rows["vintage"].to_list() == [earlier, later] and found.rows["revision"].to_list() == [None, 2.0]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("preliminary", "final"), ("2024-09", "2024-10-31"), ("09/30/2024", "10/01/2024"), ("30.09.2024", "09.30.2024"), ("1.9", "1.10"),
        ("202409", "20240930"), ("T-30", "T-10"), ("Sep 2024", "Oct 2024"),
    ],
)  # fmt: skip
def test_releases_without_an_order_are_refused(one: str, two: str) -> None:
    with pytest.raises(BadInput, match=r"'.*' and '.*' cannot be put in order; write when each was published"):
        revisions([("2023", one, "5"), ("2023", two, "7")])


def test_two_spellings_are_one_period_and_one_release() -> None:
    found = revisions([("202201", "2024-9", "5"), ("2022-01", "2024-10", "7"), ("2022-02", "2024-09", "1")])
    assert found.result["periods"] == 1 and found.rows["period"].to_list() == ["2022-01", "2022-01", "2022-02"]
    with pytest.raises(BadInput, match="period 2022-01, vintage 2024-9 is there 2 times"):
        revisions([("202201", "2024-9", "5"), ("2022-01", "2024-09", "7"), ("2022-01", "2024-10", "7")])


def test_years_and_quarters_are_not_averaged() -> None:
    with pytest.raises(BadInput, match="line 3, period 2023-Q1: is of another length than 2023"):
        revisions([("2023", "1", "5"), ("2023-Q1", "1", "2"), ("2023", "2", "6"), ("2023-Q1", "2", "1")])


def test_a_table_without_a_value_is_refused() -> None:
    with pytest.raises(BadInput, match="column value is empty in every row"):
        revisions([("2023", "1", None), ("2023", "2", "")])


@pytest.mark.parametrize(
    ("parameters", "said"),
    [({"from_release": "0"}, "from_release"), ({"to_release": "1"}, "must come after"), ({"from_release": "3"}, r"the most is 3 \(period 2024-Q2\)"),
     ({"lags": "9"}, "lags need"), ({"lags": "-5"}, "-1 .automatic."), ({"from_release": "0"}, "is 1 or more"), ({"to_release": "-2"}, "is 1 or more")],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused(parameters: dict[str, str], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        run_table(table_methods()["revision"], TABLE, parameters)
