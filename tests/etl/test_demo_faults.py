"""Faults of the further sources: each logged one is in its file, and the readers treat it as the log says."""

from collections import Counter
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from etl.collect import Collected, collect_source
from etl.contract import list_contracts, load_contract
from etl.demo.adoption import adoption_frame
from etl.demo.city import City
from etl.demo.fault_kinds import WRITERS, fits
from etl.demo.faults import DUPLICATE, DUPLICATE_UNIT, LATE, FaultPlanner, due_date, fault_specs
from etl.demo.further import truth_further, write_further
from etl.demo.generate import true_accounts, truth_accounts
from etl.demo.scenario import load_scenario, stream
from etl.demo.units import build_units
from etl.demo.writer import DemoWriter

SEED = 23
ANNUAL = ("register", "ai_survey_annual", "finance_annual", "labour_annual")
FURTHER = sorted(s for s in fault_specs() if s not in ANNUAL)


@pytest.fixture(scope="module")
def city() -> City:
    scenario = load_scenario("small")
    units = build_units(scenario, SEED)
    return City(scenario, SEED, units, true_accounts(units, scenario, SEED))


@pytest.fixture(scope="module")
def written(city: City, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DemoWriter]:
    folder = tmp_path_factory.mktemp("faults")
    writer = DemoWriter(folder / "inbox", SEED)
    write_further(writer, city, lambda _: None)
    return folder, writer


@pytest.fixture(scope="module")
def log(written: tuple[Path, DemoWriter]) -> pl.DataFrame:
    return written[1].truth()["faults"]


@pytest.fixture(scope="module")
def collected(written: tuple[Path, DemoWriter]) -> dict[str, Collected]:
    folder = written[0]
    return {s: collect_source(load_contract(s), folder / "inbox" / s, folder / "quarantine") for s in FURTHER}


def test_every_source_with_numbers_has_faults_that_its_contract_knows() -> None:
    numeric = {
        c.id for c in list_contracts()
        if c.synthetic_in_demo and any(x.type in ("int", "decimal") for x in c.columns)
    }  # fmt: skip
    assert numeric - set(fault_specs()) == {"experiments"}, "two rows in all"
    kinds = {spec.kind for specs in fault_specs().values() for spec in specs}
    assert kinds <= {*WRITERS, DUPLICATE, DUPLICATE_UNIT, LATE}
    wanted = {"unit_error_in_yuan", "unit_error_in_10k", "thousand_fold", "transposed_digits", "sign_error", "missing_item",
              "late_return", "corrected_return", "wrong_gbt_code", "duplicate_unit", "broken_uscc", "text_in_number"}  # fmt: skip
    assert wanted <= kinds


@pytest.mark.parametrize("source", FURTHER)
def test_the_readers_set_aside_what_the_log_says_and_take_the_rest(
    collected: dict[str, Collected], log: pl.DataFrame, source: str
) -> None:
    rows = log.filter(pl.col("source_id") == source).unique("fault_id")
    shows = Counter(rows.filter(pl.col("expected_outcome") == "quarantine")["file"])
    for receipt in collected[source].receipts:
        assert receipt.status == "accepted", receipt.message
        assert receipt.rows_quarantined == shows[receipt.file], receipt.file
    wrong_first = rows.filter(pl.col("kind") == "corrected_return").height
    if load_contract(source).file.same_key == "first_wins":
        assert collected[source].superseded.height == wrong_first


def test_what_is_to_be_edited_is_in_the_accepted_rows_as_written(
    collected: dict[str, Collected], log: pl.DataFrame
) -> None:
    edits = log.filter((pl.col("expected_outcome") == "edit") & (pl.col("source_id") == "finance_quarterly"))
    assert {"unit_error_in_yuan", "unit_error_in_10k", "thousand_fold", "missing_item"} <= set(edits["kind"])
    frame = collected["finance_quarterly"].frame
    for fault in edits.iter_rows(named=True):
        period = fault["file"].removeprefix("finance_quarterly_").removesuffix(".csv").replace("Q", "-Q")
        (value,) = frame.filter((pl.col("uscc") == fault["uscc"]) & (pl.col("ref_period") == period))[fault["column"]]
        expected = None if fault["written"] == "" else round(float(fault["written"]) * 1000, 2)
        assert (None if value is None else float(value)) == expected


def test_no_row_has_two_faults_and_shares_are_as_set(log: pl.DataFrame, written: tuple[Path, DemoWriter]) -> None:
    rows = log.unique("fault_id")
    assert not rows.select(pl.struct("file", "key").is_duplicated().any()).item()
    for source, specs in fault_specs().items():
        if source in ANNUAL or source in ("investment", "scenarios", "applications"):
            continue
        n = written[1].rows[source]
        found = rows.filter(pl.col("source_id") == source).height
        assert abs(found - n * sum(s.rate for s in specs)) <= len(specs), source


def test_unit_errors_turn_the_whole_row_and_thousand_fold_one_number(log: pl.DataFrame) -> None:
    numbers = log.filter(pl.col("kind").is_in(["unit_error_in_yuan", "unit_error_in_10k", "thousand_fold"]))
    numbers = numbers.with_columns(factor=pl.col("written").cast(pl.Float64) / pl.col("original").cast(pl.Float64))
    in_1000 = numbers.filter(pl.col("source_id").is_in(["finance_quarterly", "ai_survey_quarterly", "rnd_annual"]))
    assert in_1000.filter(pl.col("kind") == "unit_error_in_yuan")["factor"].round(6).unique().to_list() == [1000.0]
    assert in_1000.filter(pl.col("kind") == "unit_error_in_10k")["factor"].round(6).unique().to_list() == [0.1]
    statements = in_1000.filter((pl.col("source_id") == "finance_quarterly") & (pl.col("kind") == "unit_error_in_yuan"))
    assert statements.group_by("fault_id").len()["len"].min() >= 4, "six amounts, but for those of zero"
    assert numbers.filter(pl.col("kind") == "thousand_fold").group_by("fault_id").len()["len"].max() == 1


def test_late_returns_are_only_in_the_later_file_after_the_due_day(
    collected: dict[str, Collected], log: pl.DataFrame
) -> None:
    assert due_date("finance_quarterly", 2025, 4) == date(2026, 1, 20)
    late = log.filter((pl.col("kind") == "late_return") & (pl.col("source_id") == "finance_quarterly"))
    assert late.height > 100 and (late["written"] > late["original"]).all() and late["corrected_in"].null_count() == 0
    frame = collected["finance_quarterly"].frame
    quarter, period = "finance_quarterly_2024Q2.csv", "2024-Q2"
    here = late.filter(pl.col("file") == quarter)
    rows = frame.filter((pl.col("ref_period") == period) & pl.col("uscc").is_in(here["uscc"].implode()))
    assert rows.height == here.height > 0
    assert rows.select((pl.col("submitted_on") > due_date("finance_quarterly", 2024, 2)).all()).item()


def test_corrected_returns_bring_the_true_amounts(
    city: City, collected: dict[str, Collected], log: pl.DataFrame
) -> None:
    found, year = collected["finance_quarterly"], city.years[0]
    fixed = log.filter((pl.col("kind") == "corrected_return") & (pl.col("file") == f"finance_quarterly_{year}Q4.csv"))
    assert found.superseded.height > 0 and fixed.height > 0
    rows = found.frame.filter(pl.col("ref_period") == f"{year}-Q4").join(fixed.select("uscc").unique(), on="uscc")
    rows = rows.join(city.alive(year).select("uscc", "operating_revenue"), on="uscc")
    assert rows.height == fixed["uscc"].n_unique()
    assert (rows["operating_revenue_ytd_cny"].cast(pl.Int64) // 1000 - rows["operating_revenue"]).abs().max() <= 1


def test_systematic_counts_do_not_depend_on_how_rows_are_cut_into_files() -> None:
    """After any number of rows of a source an entry has its rate times the rows, to within one."""
    frame = pl.DataFrame({
        "round_id": [f"R{i}" for i in range(900)], "uscc": ["91440399M00000000X"] * 900,
        "closed_on": ["2025-01-02"] * 900, "stage": ["1"] * 900, "amount_cny": [120] * 900,
    })  # fmt: skip
    planner, kinds = FaultPlanner(), Counter[str]()
    for start in range(0, 900, 30):
        part = frame.slice(start, 30)
        faults = planner.plan(stream(1, f"{start}"), "investment", part)
        assert len({f.row for f in faults}) == len(faults)
        kinds.update(f.kind for f in faults)
    for spec in fault_specs()["investment"]:
        assert abs(kinds[spec.kind] - 900 * spec.rate) <= 1


def test_a_row_is_judged_by_its_contract() -> None:
    contract = load_contract("finance_annual")
    row = {"uscc": "x", "operating_revenue_cny": 900, "total_assets_cny": 50}
    assert fits(contract, row, {"total_assets_cny": 50_000}) and fits(contract, row, {"total_assets_cny": None})
    assert not fits(contract, row, {"total_assets_cny": -50}) and not fits(contract, row, {"total_assets_cny": "约50"})
    survey = load_contract("ai_survey_quarterly")
    row = {"main_revenue_ytd_cny": 900, "ai_revenue_ytd_cny": 800}
    assert not fits(survey, row, {"main_revenue_ytd_cny": 90}) and fits(survey, row, {"main_revenue_ytd_cny": 9000})
    turned = WRITERS["transposed_digits"](np.random.default_rng(1), survey, row, "main_revenue_ytd_cny")
    assert turned == {"main_revenue_ytd_cny": 90}


def test_quarters_and_sources_add_up_to_the_year(city: City, written: tuple[Path, DemoWriter]) -> None:
    truth = truth_further(city, adoption_frame(city))
    quarters = truth["quarters"].filter(pl.col("indicator") == "ai_revenue")
    assert quarters["period"].to_list()[0] == "2019-Q1" and quarters["period"].to_list()[-1] == "2026-Q3"
    by_year = quarters.group_by(pl.col("period").str.slice(0, 4).cast(pl.Int64)).agg(pl.col("value").sum())
    totals = truth_accounts(city.accounts)["totals"].filter(pl.col("indicator") == "ai_revenue")
    year = dict(by_year.iter_rows())
    assert [year[y] for y in city.years] == totals.sort("ref_year")["value"].to_list()
    sums = written[1].truth()["source_totals"].filter(pl.col("column") == "capacity_pflops").sort("period")
    assert sums["total"].to_list() == pytest.approx(truth["compute"].sort("period")["capacity_pflops"].to_list())


def test_true_adoption_is_of_the_population_and_only_rises(city: City) -> None:
    truth = adoption_frame(city).truth()
    whole = truth.filter(pl.col("stratum") == "_T").sort("ref_year")
    assert whole["ref_year"].to_list() == [2023, 2024, 2025] and whole["rate"].is_sorted()
    strata = truth.filter(pl.col("stratum") != "_T").group_by("ref_year").agg(pl.col("units", "users").sum())
    assert strata.sort("ref_year").select("units", "users").rows() == whole.select("units", "users").rows()
    living = city.units.filter((pl.col("unit_kind") == "1") & pl.col("closing_date").is_null())
    assert set(whole["units"]) == {living.height}


def test_those_asked_either_answer_or_are_logged_as_silent(city: City) -> None:
    silent = truth_further(city, adoption_frame(city))["nonresponse"]
    survey = silent.filter(pl.col("source_id") == "ai_survey_annual").group_by("period").len().sort("period")
    asked = city.accounts.filter("asked").group_by("ref_year").agg(pl.len(), pl.col("in_survey").sum()).sort("ref_year")
    assert survey["len"].to_list() == (asked["len"] - asked["in_survey"]).to_list()
    share = silent.filter(pl.col("source_id") == "ai_survey_annual").group_by("size").len()
    everyone = city.accounts.filter("asked").group_by("size").len(name="all").join(share, on="size")
    rate = dict(everyone.select("size", pl.col("len") / pl.col("all")).iter_rows())
    assert rate["W"] > rate["S"] > rate["M"], "small units answer less often"
