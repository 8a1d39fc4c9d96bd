"""Growth, demography, quarters, quality and revisions through the whole pipeline on the small demo city."""

import json
from pathlib import Path

import polars as pl
import pytest

from etl.waterfall import TOLERANCE
from tests.conftest import AS_OF, aistat
from warehouse.read import Release, open_current

STAYING = ("continuing", "listed", "delisted", "succession")
PARTS = ("staying", "entry", "exit", "reclassification", "revision")


@pytest.fixture(scope="module")
def release(demo_home: Path) -> Release:
    return open_current(demo_home)


def headline(release: Release, indicator: str) -> dict[str, float]:
    rows = release.cube_frame("core_leaf_year").filter(
        (pl.col("ai_class") == "_T") & (pl.col("indicator") == indicator)
    )
    return {p: float(v) for p, v in rows.select("period", "value").iter_rows() if v is not None}


@pytest.mark.parametrize("indicator", ["ai_revenue", "ai_enterprises"])
def test_the_waterfall_leads_from_one_published_total_to_the_next(release: Release, indicator: str) -> None:
    published = headline(release, indicator)
    own = release.table("meta_growth").filter((pl.col("indicator") == indicator) & (pl.col("ai_class") == "_T"))
    assert own["period"].n_unique() == len(published) - 1
    for (period,), rows in own.group_by("period"):
        found = {r["component"]: r["value"] for r in rows.iter_rows(named=True)}
        before = str(int(str(period)) - 1)
        assert found["current"] == pytest.approx(published[str(period)], rel=1e-12)
        assert found["previous"] == pytest.approx(published[before], rel=1e-12), "no earlier release, no revision"
        if all(found[p] is not None for p in PARTS):
            assert abs(found["total"] - sum(found[p] for p in PARTS)) <= TOLERANCE * found["current"]
        if all(found[p] is not None for p in (*STAYING, "staying")):
            assert abs(found["staying"] - sum(found[p] for p in STAYING)) <= TOLERANCE * found["current"]
    shown = own.filter(pl.col("component").is_in(["listed", "delisted"]) & (pl.col("conf_status") == "F"))
    assert shown["value"].null_count() == 0, "the city has the list of every year: withheld or a figure, never missing"


def test_quarters_of_a_year_add_up_to_the_published_year(release: Release) -> None:
    cells = release.cube_frame("core_quarter")
    assert release.dataset("core_quarter").frequency == "Q"
    for quarter, annual in (("ai_revenue_quarter", "ai_revenue"), ("operating_revenue_quarter", "operating_revenue")):
        own = cells.filter((pl.col("indicator") == quarter) & (pl.col("adjustment") == "N"))
        sums = own.group_by(pl.col("period").str.slice(0, 4)).agg(pl.col("value").sum().cast(pl.Float64), n=pl.len())
        whole = {y: v for y, v, n in sums.iter_rows() if n == 4}
        published = headline(release, annual)
        assert len(whole) >= 4 and whole == pytest.approx({y: published[y] for y in whole}, rel=1e-9)
    assert max(cells["period"]) < AS_OF[:4] + "-Q1", "a quarter that is not over at the vintage is not released"
    diagnostics = release.table("meta_series")
    for series in ("ai_revenue", "operating_revenue"):
        items = set(diagnostics.filter(pl.col("series") == series)["item"])
        assert "refused" in items or {"method", "q", "qs_seasonally_adjusted"} <= items


def test_the_number_of_births_is_that_of_the_register(demo_home: Path, release: Release) -> None:
    rows = release.table("meta_demography").filter(pl.col("population") == "legal_units")
    assert set(rows["conf_status"]) <= {"F", "C"}
    assert rows.filter((pl.col("conf_status") == "C") & pl.col("value").is_not_null()).height == 0
    shown = rows.filter(pl.col("metric").is_in(["births", "deaths"]))["value"].drop_nulls()
    assert shown.len() >= 6 and shown.filter((shown > 0) & (shown < 3)).len() == 0


def test_quality_is_on_the_command_line_as_text_and_json(demo_home: Path) -> None:
    said = aistat("quality", "--source", "ai_survey_annual", home=demo_home).stdout
    assert "unit_nonresponse_rate" in said and "%" in said
    body = json.loads(aistat("quality", "--json", "--period", "2025", home=demo_home).stdout)
    assert body["is_synthetic"] is True
    rates = [r for r in body["indicators"] if r["indicator"] == "unit_nonresponse_rate"]
    assert {r["source"] for r in rates} == {"ai_survey_annual", "finance_annual", "labour_annual"}
    assert all(0 <= r["value"] <= 1 for r in body["indicators"] if r["unit"] == "share")
    wrong = aistat("quality", "--source", "nobody", home=demo_home, check=False)
    assert wrong.returncode == 2 and "ai_survey_annual" in wrong.stderr


def test_a_first_release_has_stages_and_no_revisions(release: Release) -> None:
    rows = release.table("meta_revision")
    assert rows["revision"].null_count() == rows.height and release.table("meta_revision_summary").height == 0
    newest = rows.filter(pl.col("period") == "2025")["stage"].unique().to_list()
    assert len(newest) == 1 and newest[0] in {"flash", "preliminary"}
