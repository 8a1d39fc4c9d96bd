"""Process quality of the surveys by hand, and on the command line of a release that has none."""

import argparse
from datetime import date
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from aistat import quality_cmd
from aistat.errors import UserError
from etl.contract import load_contract
from etl.process_quality import process_rows
from tests.warehouse.sample_release import sample_release

SURVEY = load_contract("ai_survey_annual")
QUARTERLY = load_contract("ai_survey_quarterly")


def unit(uscc: str, main: int | None, ai: int | None) -> dict[str, object]:
    money = {"main_revenue_cny": main, "ai_revenue_cny": ai}
    return {"uscc": uscc, "ref_year": 2025, "responded": bool(main) and ai is not None, **money}


#: Ten of the frame: six answer, one of them without AI business, one leaves the item empty; three do not answer.
UNITS = pl.DataFrame(
    [unit(f"u{i}", 100, 40) for i in range(5)] + [unit("out", 100, 0), unit("gap", 100, None)] + [unit(f"n{i}", None, None) for i in range(3)]
)  # fmt: skip
VALUES = [(f"u{i}", 40, True) for i in range(5)] + [("gap", 20, False)] + [(f"n{i}", 10, False) for i in range(3)]
CONTRIBUTIONS = pl.DataFrame(
    {
        "indicator": ["ai_revenue"] * 9, "ref_year": [2025] * 9, "uscc": [u for u, _, _ in VALUES],
        "value": [Decimal(v) for _, v, _ in VALUES], "observed": [o for _, _, o in VALUES],
    }
)  # fmt: skip
QUANTITIES = pl.DataFrame(
    {"metric": ["ai_revenue"], "scope": [""], "period": ["2025"], "value": [250.0], "lower": [245.1], "upper": [254.9]}
)


def receipts(source: str, period: str) -> pl.DataFrame:
    rows = {"source_id": [source] * 2, "ref_period": [period] * 2, "rows_in": [80, 20], "rows_accepted": [78, 20]}
    return pl.DataFrame({**rows, "rows_quarantined": [2, 0], "status": ["accepted"] * 2})


def found() -> dict[tuple[str, str, str, str], float]:
    came = [date(2025, 10, 10), date(2025, 10, 20), date(2025, 11, 30)]
    rows = process_rows(
        [SURVEY, QUARTERLY],
        {SURVEY.id: receipts(SURVEY.id, "2025"), QUARTERLY.id: receipts(QUARTERLY.id, "2025-Q3")},
        {QUARTERLY.id: pl.DataFrame({"ref_period": ["2025-Q3"] * 7})},
        {QUARTERLY.id: pl.DataFrame({"ref_period": ["2025-Q3"] * 3, "submitted_on": came})},
        UNITS, CONTRIBUTIONS, QUANTITIES,
        pl.DataFrame({"indicator": ["ai_revenue"], "period": ["2025"], "model_share": [0.2]}),
        {"core_leaf_year": ("2025", "2026-04-05")}, {"core_leaf_year": 90}, {(SURVEY.id, "2025"): 0.03},
    )  # fmt: skip
    return {(r["source"], r["period"], r["variable"], r["indicator"]): r["value"] for r in rows.iter_rows(named=True)}


def test_response_and_imputation_of_a_survey_by_hand() -> None:
    own = {k[3]: v for k, v in found().items() if k[:3] == ("ai_survey_annual", "2025", "ai_revenue_cny")}
    assert own["coverage_rate"] == pytest.approx(7 / 10)
    assert own["over_coverage_rate"] == pytest.approx(1 / 10)
    assert own["unit_nonresponse_rate"] == pytest.approx(3 / 9), "of the units in scope"
    assert own["item_nonresponse_rate"] == pytest.approx(1 / 6), "of those that answered and are in scope"
    assert own["imputation_rate"] == pytest.approx(4 / 9) and own["imputation_rate_of_value"] == pytest.approx(50 / 250)
    assert found()[SURVEY.id, "2025", "", "editing_rate"] == 0.03


def test_what_a_unit_that_is_no_member_reported_is_no_gap() -> None:
    """Six return the statement: two members, two that are none, two leave the item empty; two more return nothing."""
    revenue, assets = [10, 20, 30, 40, None, None, None, None], [1, 1, 1, 1, 1, 1, None, None]
    units = pl.DataFrame(
        {
            "uscc": [f"u{i}" for i in range(8)], "ref_year": [2025] * 8, "responded": [True] * 8,
            "operating_revenue_cny": revenue, "total_assets_cny": assets, "operating_cost_cny": assets,
            "total_profit_cny": assets,
        }
    )  # fmt: skip
    values = pl.DataFrame(
        {
            "indicator": ["operating_revenue"] * 3, "ref_year": [2025] * 3, "uscc": ["u0", "u1", "u4"],
            "value": [Decimal(10), Decimal(20), Decimal(30)], "observed": [True, False, False],
        }
    )  # fmt: skip
    finance = load_contract("finance_annual")
    rows = process_rows(
        [finance], {finance.id: receipts(finance.id, "2025")}, {}, {}, units, values, QUANTITIES.clear(),
        pl.DataFrame(schema={"indicator": pl.String, "period": pl.String, "model_share": pl.Float64}), {}, {}, {},
    )  # fmt: skip
    own = {r["indicator"]: r["value"] for r in rows.filter(pl.col("variable") != "").iter_rows(named=True)}
    assert own["item_nonresponse_rate"] == pytest.approx(2 / 6) and own["unit_nonresponse_rate"] == pytest.approx(2 / 8)
    assert own["imputation_rate"] == pytest.approx(1 / 5) and own["imputation_rate_of_value"] == pytest.approx(30 / 60)


def test_receipts_accuracy_and_dates_by_hand() -> None:
    rows = found()
    assert rows["ai_survey_quarterly", "2025-Q3", "", "quarantine_rate"] == pytest.approx(0.02)
    assert rows["ai_survey_quarterly", "2025-Q3", "", "correction_rate"] == pytest.approx(7 / 98)
    assert rows["ai_survey_quarterly", "2025-Q3", "", "return_days"] == 20.0
    assert rows["ai_survey_annual", "2025", "ai_revenue_cny", "cv"] == pytest.approx(
        9.8 / (2 * 1.959964 * 250), rel=1e-6
    )
    assert rows["core_leaf_year", "2025", "", "first_results_days"] == 95.0
    assert rows["core_leaf_year", "2025", "", "punctuality_days"] == 5.0
    assert rows["ai_revenue", "2025", "", "model_share"] == 0.2


def test_the_command_says_what_to_do_with_an_older_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AISTAT_HOME", str(tmp_path))
    arguments = argparse.Namespace(source=None, period=None, release=None, json=False)
    with pytest.raises(UserError, match="aistat run"):
        quality_cmd.run(arguments)
    sample_release(tmp_path)
    with pytest.raises(UserError, match="before quality was measured"):
        quality_cmd.run(arguments)
