"""Indicators of the further sources on the small demo city: against the rows received, and nothing withheld in the release."""

import json
import shutil
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from etl.assets.sources import received_sources, source_clusters
from etl.source_release import CELLS
from tests.conftest import AS_OF
from warehouse.catalogue import load_datasets
from warehouse.read import Release, open_current
from warehouse.write import WorkStore

HIDDEN = ("primary", "secondary")
DIMENSIONS = {d for dataset in load_datasets().values() for d in dataset.dimension_ids}


@pytest.fixture(scope="module")
def release(demo_home: Path) -> Release:
    return open_current(demo_home)


@pytest.fixture(scope="module")
def cells(demo_home: Path) -> pl.DataFrame:
    return WorkStore(demo_home).read(CELLS)


def rows(home: Path, source: str) -> pl.DataFrame:
    return WorkStore(home).read(f"collect_{source}__rows_received")


def total(release: Release, dataset: str, indicator: str, period: str) -> float | None:
    """City total of an indicator as released."""
    frame = release.cube_frame(dataset).filter(indicator=indicator, period=period)
    frame = frame.filter(pl.all_horizontal(pl.col(d) == "_T" for d in release.dataset(dataset).dimension_ids))
    assert frame.height == 1, (dataset, indicator, period)
    value = frame["value"][0]
    return None if value is None else float(value)


def test_every_source_is_published(release: Release) -> None:
    there = {d.id for d in release.datasets()}
    for cluster in source_clusters().values():
        assert {d.id for d in cluster.datasets} <= there, cluster.source


def test_totals_equal_the_rows_received(release: Release, demo_home: Path) -> None:
    data = rows(demo_home, "public_data").filter(ref_period="2025-Q4")
    assert total(release, "public_data_domain_quarter", "data_opened", "2025-Q4") == data["datasets_opened"].sum()
    share = 100 * data["datasets_opened"].sum() / data["datasets_catalogued"].sum()
    assert total(release, "public_data_department_quarter", "data_opened_share", "2025-Q4") == round(share, 2)
    scenarios = rows(demo_home, "scenarios")
    in_2024 = scenarios.filter(pl.col("published_on").dt.year() == 2024)
    assert total(release, "scenarios_domain_year", "scenarios_published", "2024") == in_2024.height
    talent = rows(demo_home, "talent_programmes").filter(ref_year=2025)
    assert total(release, "talent_district_year", "talent_admitted", "2025") == talent["admitted_persons"].sum()
    centres = rows(demo_home, "compute_centres")
    months = centres.filter(pl.col("ref_period").is_in(["2025-10", "2025-11", "2025-12"]))
    energy = total(release, "compute_type_quarter", "compute_energy", "2025-Q4")
    assert energy == float(months["energy_kwh"].sum())
    december = centres.filter(ref_period="2025-12").select(
        pl.col("available_pflops", "utilisation_pct").cast(pl.Float64)
    )
    mean = (december["available_pflops"] * december["utilisation_pct"]).sum() / december["available_pflops"].sum()
    assert total(release, "compute_type_quarter", "compute_utilisation", "2025-Q4") == pytest.approx(mean, abs=0.006)
    asked = rows(demo_home, "adoption_survey").filter((pl.col("ref_year") == 2025) & pl.col("uses_ai").is_not_null())
    weight = asked.select("uses_ai", pl.col("design_weight").cast(pl.Float64))
    rate = 100 * weight.filter(uses_ai="1")["design_weight"].sum() / weight["design_weight"].sum()
    assert total(release, "adoption_band_year", "adoption_rate", "2025") == pytest.approx(rate, abs=0.006)


def test_nothing_after_the_vintage_and_no_part_of_a_quarter(release: Release) -> None:
    assert release.periods("compute_type_quarter")[-1] == "2026-Q1"
    assert release.periods("plan_kind_quarter")[-1] == "2026-Q1"
    assert release.periods("funding_stage_year")[-1] == "2025"
    unfinished = release.cube_frame("scenarios_domain_year").filter(obs_status="P")
    assert set(unfinished["period"]) <= {"2025", "2026"} and unfinished["yoy_ratio"].null_count() == unfinished.height


def test_withheld_cells_are_empty_in_the_release_and_their_values_nowhere(
    release: Release, cells: pl.DataFrame, demo_home: Path
) -> None:  # fmt: skip
    hidden = cells.filter(pl.col("status").is_in(HIDDEN))
    assert hidden.height > 300
    for (name,), own in hidden.partition_by("dataset", as_dict=True).items():
        key = [*release.dataset(str(name)).dimension_ids, "period", "indicator"]
        found = own.select(key).join(release.cube_frame(str(name)), on=key, how="left")
        assert found["conf_status"].to_list() == ["C"] * found.height, name
        assert found.select(pl.col("value", "yoy_ratio", "model_share").is_null().all()).row(0) == (True, True, True), (
            name
        )
    published = set(cells.filter(~pl.col("status").is_in(HIDDEN))["value"].to_list())
    secret = {f"{v:.2f}" for v in hidden["value"].drop_nulls() if v >= 10_000 and v not in published}
    assert len(secret) > 100
    files = sorted((demo_home / "releases" / release.info.release_id / "files").glob("disseminate_*.parquet"))
    for file in files:
        values = pl.read_parquet(file)["value"].drop_nulls()
        assert not secret & {f"{v:.2f}" for v in values}, file.name
    texts = [p.read_text() for p in (demo_home / "releases" / release.info.release_id).glob("*.json")]
    assert not any(v in text for text in texts for v in secret)


def test_each_protected_cube_has_a_passed_certificate(release: Release, demo_home: Path) -> None:
    folder = demo_home / "releases" / release.info.release_id
    proof = json.loads((folder / "certificate.json").read_text())["datasets"]
    for cluster in source_clusters().values():
        for dataset in cluster.datasets:
            assert (dataset.id in proof) == cluster.protected
            if cluster.protected:
                assert proof[dataset.id]["passed"] is True and proof[dataset.id]["tables"], dataset.id


def test_a_source_nothing_came_from_has_no_cube(demo_home: Path, tmp_path: Path) -> None:
    shutil.copy(demo_home / "work.duckdb", tmp_path / "work.duckdb")
    work = WorkStore(tmp_path)
    work.write("collect_plan_tasks__rows_received", rows(demo_home, "plan_tasks").clear())
    found = received_sources(work, date.fromisoformat(AS_OF))
    assert set(source_clusters()) - set(found) == {"plan_tasks"}
