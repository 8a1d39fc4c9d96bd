"""The synthetic city: the same each time, as large as said, consistent, and never a real company."""

import csv
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest
import yaml

from aistat.demo_cmd import build_demo
from aistat.errors import UserError
from etl.collect import collect_source
from etl.contract import list_contracts, load_contract
from etl.demo.generate import generate
from etl.demo.scenario import LABEL, activities, forbidden_names, load_scenario
from etl.demo.units import alive_at_end, build_units
from etl.uscc import valid
from taxonomy.classifier.normalize import fold_text
from taxonomy.scheme import load_scheme

ROOT = Path(__file__).resolve().parents[2]
SEED = 7
RETURNS = ("ai_survey_annual", "finance_annual", "labour_annual")
YEARS = range(2019, 2026)


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo")
    generate(root / "inbox", root / "truth", "small", SEED)
    return root


def sheet_rows(path: Path) -> list[list[Any]]:
    book = openpyxl.load_workbook(path, read_only=True)
    rows = [list(row) for row in book.worksheets[0].iter_rows(values_only=True)]
    book.close()
    return rows


def table(city: Path, source: str, year: int) -> pl.DataFrame:
    """One file as text by identifier, read without the project's readers; titles and footnote cut off."""
    contract = load_contract(source)
    names = {c.header: c.to for c in contract.columns}
    if contract.file.format == "csv":
        name = f"{source}_{year}-12.csv" if source == "register" else f"{source}_{year}.csv"
        with (city / "inbox" / source / name).open(encoding="gb18030", newline="") as file:
            head, *rows = list(csv.reader(file))
    else:
        cells = sheet_rows(city / "inbox" / source / f"{source}_{year}.xlsx")
        depth = contract.file.header_rows
        head = heads(cells[2 : 2 + depth])
        rows = [["" if v is None else str(v) for v in row] for row in cells[2 + depth : -1]]
    return pl.DataFrame(rows, schema={names[h]: pl.String for h in head}, orient="row")


def heads(rows: list[list[Any]]) -> list[str]:
    """Joined head names: an empty upper cell continues the one before it."""
    above, result = None, []
    for place, upper in enumerate(rows[0]):
        above = upper or above
        below = rows[1][place] if len(rows) == 2 else None
        result.append(f"{above}/{below}" if below else str(above))
    return result


def faults(city: Path) -> pl.DataFrame:
    return pl.read_parquet(city / "truth" / "faults.parquet")


def file_name(source: str, year: int) -> str:
    return load_contract(source).file.name(year, month=12)


def clean(city: Path, source: str, year: int) -> pl.DataFrame:
    """Rows of a file without those that hold a logged fault, numbers as integers."""
    logged = faults(city).filter(pl.col("file") == file_name(source, year))
    bad = {*logged["uscc"], *logged.filter(pl.col("kind") == "broken_uscc")["written"]}
    frame = table(city, source, year).filter(~pl.col("uscc").is_in(list(bad)))
    numbers = [c.to for c in load_contract(source).columns if c.type in ("int", "decimal") and source != "register"]
    return frame.with_columns(pl.col(numbers).replace("", None).cast(pl.Int64))


def test_the_same_seed_gives_the_same_files_and_another_seed_others(city: Path, tmp_path: Path) -> None:
    generate(tmp_path / "inbox", tmp_path / "truth", "small", SEED)
    files = sorted(p.relative_to(city) for p in city.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file())
    assert {p.parts[1] for p in files if p.parts[0] == "inbox"} == {
        c.id for c in list_contracts() if c.synthetic_in_demo
    }
    truth = {p.stem for p in files if p.parts[0] == "truth"}
    assert truth == {
        "unit", "unit_year", "totals", "faults", "links", "experiment_effects", "domains", "quarters", "compute",
        "adoption", "nonresponse", "source_totals",
    }  # fmt: skip
    for file in files:
        if file.suffix == ".csv":
            assert (city / file).read_bytes() == (tmp_path / file).read_bytes(), file
        elif file.suffix == ".xlsx":
            assert sheet_rows(city / file) == sheet_rows(tmp_path / file), file
        else:
            assert pl.read_parquet(city / file).equals(pl.read_parquet(tmp_path / file)), file
    scenario = load_scenario("small")
    assert build_units(scenario, SEED)["name"].to_list() != build_units(scenario, SEED + 1)["name"].to_list()


def test_counts_follow_the_scenario(city: Path) -> None:
    register = table(city, "register", 2025)
    twice = pl.col("kind").is_in(["duplicate_row", "duplicate_unit"])
    doubled = faults(city).filter((pl.col("source_id") == "register") & twice)
    assert register.height == 3000 + doubled.height
    years = pl.read_parquet(city / "truth" / "unit_year.parquet")
    members = years.filter("member").group_by("ref_year").len().sort("ref_year")["len"].to_list()
    assert members[-1] == 300
    assert all(1.10 < b / a < 1.30 for a, b in pairwise(members))
    totals = pl.read_parquet(city / "truth" / "totals.parquet")
    revenue = dict(totals.filter(pl.col("indicator") == "ai_revenue").select("ref_year", "value").iter_rows())
    assert revenue[2024] == pytest.approx(330e8, rel=1e-3)
    asked = years.filter("member")
    assert 0.80 < asked["responded"].mean() < 0.90


@pytest.mark.slow
def test_the_large_city_has_three_thousand_enterprises_among_three_hundred_thousand_units() -> None:
    scenario = load_scenario("city")
    units = build_units(scenario, SEED)
    assert units.height == 300_000
    assert units["uscc"].n_unique() == units["name"].n_unique() == 300_000
    assert valid(units["uscc"]).all()
    assert not set(units["name"]) & forbidden_names()
    enterprises = units.filter(pl.col("role") == "ai")
    alive = alive_at_end(enterprises, scenario.years).sum(axis=0)
    assert alive[-1] == 3000
    assert [b / a - 1 for a, b in pairwise(alive)] == pytest.approx(scenario["ai_growth"][1:], abs=0.01)
    assert 4_300 < units["role"].is_in(["ai", "look"]).sum() < 4_800
    grouped = enterprises["group_uscc"].is_not_null().mean()
    assert 0.08 < grouped < 0.14


def test_codes_are_valid_and_unique_except_where_a_fault_is_logged(city: Path) -> None:
    register = table(city, "register", 2025)
    logged = faults(city).filter((pl.col("file") == "register_2025-12.csv") & (pl.col("column") == "uscc"))
    broken = logged.filter(pl.col("kind") == "broken_uscc")
    assert broken.height > 0
    second = logged.filter(pl.col("kind") == "duplicate_unit")
    assert valid(second["written"]).all() and set(second["written"]) <= set(register["uscc"])
    assert set(second["uscc"]) <= set(register["uscc"]), "the unit stands there under both codes"
    wrong = register.filter(~valid(register["uscc"]))
    assert set(wrong["uscc"]) == set(broken["written"])
    doubled = register.filter(pl.col("uscc").is_duplicated())["uscc"].unique()
    assert set(doubled) == set(logged.filter(pl.col("kind") == "duplicate_row")["uscc"])
    groups = register.filter(pl.col("group_uscc") != "")["group_uscc"]
    assert valid(groups).all()
    assert set(groups) <= set(pl.read_parquet(city / "truth" / "unit.parquet")["uscc"])
    assert (register["uscc"].str.slice(0, 2) == "92").equals((register["unit_kind"] == "3").alias("uscc"))


def test_every_fault_of_the_returns_stands_in_its_file(city: Path) -> None:
    log = faults(city).filter(pl.col("source_id").is_in(["register", *RETURNS]))
    assert log.height > 200
    for (source, file), rows in log.group_by("source_id", "file"):
        frame = table(city, str(source), int(str(file).split("_")[-1][:4]))
        for fault in rows.iter_rows(named=True):
            mine = frame.filter(pl.col("uscc") == fault["uscc"])
            if fault["kind"] == "duplicate_row":
                assert mine.height == 2
            elif fault["kind"] == "late_return":
                assert mine.is_empty() and fault["corrected_in"] == str(file).replace(".", "_更正1.")
            elif fault["column"] == "uscc":
                assert fault["written"] in frame["uscc"].to_list() and fault["written"] != fault["original"]
            else:
                assert mine[fault["column"]].to_list() == [fault["written"]] != [fault["original"]]


@pytest.mark.parametrize("source", ["register", *RETURNS])
def test_readers_quarantine_exactly_the_rows_whose_fault_shows_in_the_row(
    city: Path, tmp_path: Path, source: str
) -> None:
    collected = collect_source(load_contract(source), city / "inbox" / source, tmp_path)
    log = faults(city).filter(pl.col("source_id") == source)
    shows = log.filter(pl.col("expected_outcome") == "quarantine").unique("fault_id")
    logged = dict(shows.group_by("file").len().iter_rows())
    assert collected.receipts
    for receipt in collected.receipts:
        assert receipt.status == "accepted"
        assert receipt.rows_quarantined == logged.get(receipt.file, 0)
    shown = set(collected.quarantine["value"].cast(pl.String))
    for written in shows.filter(pl.col("kind") != "duplicate_row")["written"]:
        assert any(written in value for value in shown), written
    assert collected.superseded.height == log.filter(pl.col("kind") == "corrected_return")["fault_id"].n_unique()


@pytest.mark.parametrize("year", YEARS)
def test_returns_hold_the_identities_of_their_contracts(city: Path, year: int) -> None:
    survey, finance = clean(city, "ai_survey_annual", year), clean(city, "finance_annual", year)
    labour = clean(city, "labour_annual", year)
    assert survey.height > 100
    branches = [c for c in survey.columns if c.startswith("ai_revenue_") and c != "ai_revenue_cny"]
    assert len(branches) == 4
    assert (survey.select(pl.sum_horizontal(branches)).to_series() == survey["ai_revenue_cny"]).all()
    assert (survey["ai_revenue_cny"] <= survey["main_revenue_cny"]).all()
    assert survey.select(pl.min_horizontal(branches).min()).item() >= 0
    assert (labour["female_persons"] <= labour["employed_persons"]).all()
    assert (labour["rd_staff_persons"] <= labour["employed_persons"]).all()
    assert finance.select(pl.col("total_profit_cny").min()).item() < 0
    both = survey.join(finance, on="uscc")
    assert both.height > 30
    assert (both["main_revenue_cny"] <= both["operating_revenue_cny"]).all()
    staff = survey.join(labour, on="uscc")
    assert (staff["ai_employed_persons"] <= staff["employed_persons"]).all()


@pytest.mark.parametrize("year", YEARS)
def test_domains_of_use_are_part_of_ai_revenue_and_some_leave_the_block_blank(city: Path, year: int) -> None:
    survey = clean(city, "ai_survey_annual", year).filter(pl.col("ai_revenue_cny") > 0)
    domains = [c for c in survey.columns if c.startswith("domain_")]
    assert len(domains) == 18
    inside = survey.select(pl.sum_horizontal(domains)).to_series()
    assert (inside <= survey["ai_revenue_cny"]).all()
    assert survey.select(pl.min_horizontal(domains).min()).item() >= 0
    blank = survey.select(pl.all_horizontal(pl.col(domains).is_null())).to_series()
    assert 0 < blank.sum() < 0.15 * survey.height
    filled = survey.filter(~blank).select(pl.sum_horizontal(pl.col(domains) > 0)).to_series()
    assert set(filled) <= {0, 1, 2, 3} and (filled == 0).any(), "an answer of none is zeros, not blanks"


def test_true_domains_add_up_to_true_ai_revenue(city: Path) -> None:
    domains = pl.read_parquet(city / "truth" / "domains.parquet")
    assert set(domains["label"]) == {LABEL} and domains["domain"].n_unique() == 19
    summed = domains.group_by("ref_year").agg(pl.col("value").sum()).sort("ref_year")["value"]
    totals = pl.read_parquet(city / "truth" / "totals.parquet").filter(pl.col("indicator") == "ai_revenue")
    assert summed.to_list() == totals.sort("ref_year")["value"].to_list()


def test_truth_agrees_with_the_returns(city: Path) -> None:
    years = pl.read_parquet(city / "truth" / "unit_year.parquet")
    survey = clean(city, "ai_survey_annual", 2024).join(years.filter(pl.col("ref_year") == 2024), on="uscc")
    assert survey.height == clean(city, "ai_survey_annual", 2024).height
    assert (survey["ai_revenue_cny"] * 1000 == survey["ai_revenue_cny_right"]).all()
    share = survey["ai_revenue_cny"] / survey["main_revenue_cny"]
    assert ((share >= 0.3) == survey["member"]).all()
    assert survey["alive"].all()
    assert not survey["member"].all(), "look-alikes answer too"


def test_register_uses_only_codes_that_exist(city: Path) -> None:
    register, gbt = table(city, "register", 2025), load_scheme("gbt4754_2017")
    logged = faults(city).filter((pl.col("source_id") == "register") & (pl.col("kind") == "unknown_gbt_code"))
    known = {c for c in register["gbt_code"].unique() if c in gbt and gbt.get(c).level_name == "class"}
    assert set(register["gbt_code"]) - known == set(logged["written"])
    districts = {c.code for c in load_scheme("district_sz").codes}
    assert set(register["operating_district"]) | set(register["registered_district"]) <= districts
    assert set(register["operating_district"]) & {"SZ-QH", "SZ-HT", "SZ-GMSC"} == set()
    filled = (register["main_products"] != "").mean()
    assert 0.5 < filled < 0.7


def test_no_unit_bears_the_name_of_a_listed_or_filing_company(city: Path) -> None:
    filings = ROOT / "etl" / "sources" / "algorithm_filings" / "data" / "algorithm_filings.csv"
    names = table(city, "register", 2025)["name"]
    assert names.n_unique() >= 2990
    if filings.exists():
        companies = set(pl.read_csv(filings, infer_schema_length=0)["company"].drop_nulls())
        assert companies <= forbidden_names()
        assert not set(names) & companies


def texts_of(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value.strip()
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from texts_of(key)
            yield from texts_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts_of(inner)


def training_texts() -> set[str]:
    """Every text the classifier may have been trained on."""
    found: set[str] = set()
    for file in [
        *(ROOT / "taxonomy" / "schemes").glob("*.yaml"),
        *(ROOT / "taxonomy" / "phrases").glob("*.yaml"),
    ]:
        found |= set(texts_of(yaml.safe_load(file.read_text(encoding="utf-8"))))
    for file in [
        *(ROOT / "taxonomy" / "schemes").glob("*.csv"),
        *(ROOT / "taxonomy" / "phrases").glob("*.csv"),
    ]:
        with file.open(encoding="utf-8-sig", newline="") as handle:
            found |= {cell.strip() for row in csv.reader(handle) for cell in row}
    return {fold_text(text) for text in found}


def test_phrase_pools_share_no_phrase_with_the_training_texts() -> None:
    training = training_texts()
    assert len(training) > 2000
    own = {(a.id, phrase) for a in activities() for phrase in (*a.scope, *a.products)}
    common = yaml.safe_load((ROOT / "etl/demo/phrases/common.yaml").read_text(encoding="utf-8"))
    own |= {(key, p) for key in ("side", "licensed", "vague_scope", "weak_scope") for p in common[key]}
    assert sorted((where, phrase) for where, phrase in own if fold_text(phrase) in training) == []


def test_every_core_leaf_has_a_pool_of_its_own() -> None:
    leaves = {c.code for c in load_scheme("ai_industry_2026").at_level(3) if not c.code.startswith("R")}
    pools = {a.id: a for a in activities() if a.kind == "ai"}
    assert set(pools) == leaves
    assert all(len(a.scope) >= 6 for a in pools.values())
    assert sum(a.kind == "ordinary" for a in activities()) >= 40
    gbt = load_scheme("gbt4754_2017")
    codes = {code for a in activities() for code in a.gbt}
    assert [c for c in sorted(codes) if c not in gbt or gbt.get(c).level_name != "class"] == []


def test_every_workbook_says_that_it_is_simulated_in_title_and_footnote(city: Path) -> None:
    for source in ("ai_survey_annual", "finance_annual"):
        for year in YEARS:
            rows = sheet_rows(city / "inbox" / source / f"{source}_{year}.xlsx")
            assert f"（{LABEL}）" in rows[0][0]
            assert "千元" in rows[1][0]
            assert rows[-1][0].startswith("注：")
            assert LABEL in rows[-1][0]
    assert set(pl.read_parquet(city / "truth" / "totals.parquet")["label"]) == {LABEL}
    assert pl.read_parquet_metadata(city / "truth" / "unit.parquet")["label"] == LABEL


def test_build_demo_marks_the_home_and_leaves_nothing_aside(tmp_path: Path) -> None:
    lines: list[str] = []
    build_demo(tmp_path, "small", SEED, lines.append)
    assert (tmp_path / "demo.json").read_text() == '{"size": "small", "seed": 7}\n'
    assert (tmp_path / "inbox" / "register" / "register_2025-12.csv").stat().st_size > 100_000
    assert (tmp_path / "truth" / "unit_year.parquet").exists()
    assert lines
    assert not list(tmp_path.glob(".*"))


def test_an_interrupted_build_leaves_no_synthetic_file_in_an_unmarked_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(inbox: Path) -> None:
        assert any(inbox.rglob("*.csv"))
        raise KeyboardInterrupt

    monkeypatch.setattr("etl.sources.copy_public_data", fail)
    with pytest.raises(KeyboardInterrupt):
        build_demo(tmp_path, "small", SEED)
    assert not (tmp_path / "demo.json").exists()
    assert not (tmp_path / "inbox").exists()


def test_synthetic_files_never_join_real_ones(tmp_path: Path) -> None:
    real = tmp_path / "inbox" / "register" / "register_2025-12.csv"
    real.parent.mkdir(parents=True)
    real.write_text("real")
    with pytest.raises(UserError, match="already holds files"):
        build_demo(tmp_path, "small", SEED)
    assert real.read_text() == "real"
    assert not (tmp_path / "demo.json").exists()


def test_an_unknown_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected one of small, city"):
        generate(tmp_path, tmp_path, "mega", SEED)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
