"""ESS quality indicators by hand, and what stays empty."""

from datetime import date

import polars as pl
import pytest

from etl.methods.quality import comparable_length, completeness, process_quality, timeliness
from etl.methods.tabular import BadInput, run_table, table_methods

UNITS = pl.DataFrame(
    [("responded", 1.0, 10.0, "reported"), ("responded", 1.0, 10.0, "reported"), ("responded", 2.0, 20.0, "edited"),
     ("responded", 1.0, 5.0, "imputed"), ("responded", 1.0, None, None), ("responded", 4.0, 10.0, "reported"),
     ("nonresponse", 2.0, 40.0, "imputed"), ("nonresponse", 2.0, None, None), ("out_of_scope", 3.0, None, None),
     ("unresolved", 1.0, None, None)],
    schema=["status", "weight", "value", "flag"], orient="row",
)  # fmt: skip


def test_by_hand() -> None:
    found = process_quality(UNITS)
    assert found.over_coverage_rate == pytest.approx(1 / 9) and found.unresolved_rate == pytest.approx(0.1)
    assert found.unit_nonresponse_rate == pytest.approx(1 - 6 / (8 + 8 / 9))
    eligible = 14 + 14 / 17
    assert found.unit_nonresponse_rate_weighted == pytest.approx(1 - 10 / eligible)
    assert found.item_nonresponse_rate == pytest.approx(2 / 6)
    assert found.imputation_rate == pytest.approx(2 / 6) and found.editing_rate == pytest.approx(1 / 6)
    assert found.imputation_rate_of_value == pytest.approx(85 / 185)
    assert found.editing_rate_of_value == pytest.approx(40 / 185)


def test_nothing_to_divide_by_is_empty() -> None:
    none = process_quality(UNITS.filter(pl.col("status") == "unresolved"))
    assert none.over_coverage_rate is None and none.imputation_rate is None and none.item_nonresponse_rate is None
    assert none.unit_nonresponse_rate == 1.0


def test_days_and_completeness_and_length() -> None:
    found = timeliness(date(2025, 12, 31), date(2026, 3, 31), None, date(2026, 3, 28))
    assert (found.first_results_days, found.final_results_days, found.punctuality_days) == (90, None, 3)
    expected = pl.DataFrame({"district": ["a", "b", "c", "d"], "period": ["2025"] * 4})
    delivered = expected.head(3).with_columns(obs_status=pl.Series(["A", "M", "E"]))
    assert completeness(delivered, expected) == 0.5
    years = [str(y) for y in range(2019, 2026)]
    assert comparable_length([], years) == 7 and comparable_length(["2021", "2023"], years) == 3


def test_the_runner_refuses_what_it_cannot_read() -> None:
    runner = table_methods()["quality_indicators"]
    frame = UNITS.with_columns(pl.col("weight", "value").cast(pl.String), unit=pl.int_range(pl.len()).cast(pl.String))
    assert run_table(runner, frame, {}).result["units"] == 10
    assert run_table(runner, frame.drop("weight"), {}).rows["units"].sum() == 10
    for bad, said in (
        (frame.with_columns(status=pl.lit("gone")), "not one of"), (frame.with_columns(flag=pl.lit(None, pl.String)), "no flag"),
        (pl.concat([frame, frame]), "twice"), (frame.with_columns(weight=-pl.col("weight").cast(pl.Float64)), "weight is below zero"),
        (frame.with_columns(flag=pl.lit("reported")), "line 8, unit 6: it did not respond"),
    ):  # fmt: skip
        with pytest.raises(BadInput, match=said):
            run_table(runner, bad, {})


def test_what_is_out_of_scope_has_no_part_in_imputation() -> None:
    """As in the nightly indicators: imputed values are by values in scope."""
    outside = UNITS.filter(pl.col("status") == "out_of_scope").with_columns(
        value=pl.lit(100.0), flag=pl.lit("reported")
    )
    assert process_quality(pl.concat([UNITS.filter(pl.col("status") != "out_of_scope"), outside])) == process_quality(
        UNITS
    )
