"""Every released observation says its stage: by age of the period, a census's years and datasets, none for public lists."""

import io
import json
from dataclasses import replace
from pathlib import Path

import openpyxl
import polars as pl
import pytest

from etl.reference import code_table
from etl.stages import SCHEME, stage_codes, stage_of, with_stages
from tests.warehouse.sample_release import CORE, code_frame, sample_content
from warehouse.catalogue import load_datasets, load_yaml
from warehouse.cube import Selection, read_cube
from warehouse.export import export
from warehouse.read import Release, open_release
from warehouse.release import ReleaseContent, ReleaseRefused, publish

SETTINGS = load_yaml("revision")


@pytest.mark.parametrize(
    ("period", "vintage", "stage"),
    [
        ("2025", "2026-02-28", "flash"), ("2025", "2026-03-31", "preliminary"), ("2025", "2026-12-31", "final"),
        ("2026-Q3", "2026-11-25", "flash"), ("2023", "2024-12-25", "final"), ("2023", "2024-12-26", "census"),
        ("2018", "2026-01-01", "final"),
    ],
)  # fmt: skip
def test_the_stage_follows_the_age_of_the_period_and_the_census(period: str, vintage: str, stage: str) -> None:
    assert stage_of(period, vintage, SETTINGS)[0] == stage


def test_a_census_revises_the_datasets_it_names_and_public_lists_are_at_no_stage() -> None:
    assert stage_of("2023", "2026-03-31", SETTINGS, "core_quarter")[0] == "census"
    assert stage_of("2023", "2026-03-31", SETTINGS, "testing_service_year")[0] == "final"
    assert stage_of("2025-11", "2026-03-31", SETTINGS, "filings_district_month")[0] == "_Z"


def test_the_settings_name_datasets_there_are_and_every_public_list() -> None:
    named = {d for census in SETTINGS["censuses"] for d in census["datasets"]}  # type: ignore[attr-defined]
    unstaged = set(SETTINGS["unstaged"]["datasets"])  # type: ignore[index]
    datasets = load_datasets()
    assert named <= set(datasets) and not named & unstaged
    assert unstaged == {d for d, card in datasets.items() if not card.is_demo_data}


def vintage_of(day: str) -> ReleaseContent:
    """The sample as a release of ``day`` would hold it: its stages are given anew from the rules."""
    content = sample_content()
    cubes = {d: f.drop(SCHEME).with_columns(vintage=pl.lit(day)) for d, f in content.cubes.items()}
    own = code_table({}, {SCHEME: stage_codes(SETTINGS)}).filter(pl.col("scheme") == SCHEME)
    codes = code_frame().filter(pl.col("scheme") != SCHEME)
    meta = pl.concat([codes.select(own.columns).cast(dict(own.schema)), own])
    return replace(
        content, vintage=day, cubes=with_stages(cubes, day, SETTINGS), reference={**content.reference, "meta_code": meta}
    )  # fmt: skip


def released(home: Path, day: str) -> Release:
    return open_release(home, publish(home, vintage_of(day)).release_id)


def test_the_same_year_is_preliminary_in_march_and_final_in_december(tmp_path: Path) -> None:
    march, december = released(tmp_path, "2026-03-31"), released(tmp_path, "2026-12-31")
    for dataset in CORE:
        before, after = (read_cube(r, Selection(dataset)).period_stages() for r in (march, december))
        assert before == {"2023": "census", "2024": "final", "2025": "preliminary"}
        assert after == {"2023": "census", "2024": "final", "2025": "final"}
    assert read_cube(march, Selection(CORE[0])).stage_text() == (
        "2023年：普查修订数；2024年：最终核实数；2025年：初步核算数"
    )
    english = read_cube(december, Selection(CORE[0], lang="en"))
    assert english.stage_text() == "2023: census revision; 2024—2025: final verification"
    assert english.stage_text(["2025"]) == "2025: final verification"


def test_withheld_and_missing_observations_have_a_stage_too(tmp_path: Path) -> None:
    for dataset in ("core_leaf_year", "core_branch_district"):
        frame = released(tmp_path, "2026-03-31").cube_frame(dataset)
        unknown = frame.filter(~pl.col(SCHEME).is_in(["census", "final", "preliminary"]))
        assert unknown.height == 0 and {"C", "F"} == set(frame["conf_status"]), dataset


def test_every_format_carries_the_stage(tmp_path: Path) -> None:
    release = released(tmp_path, "2026-03-31")
    text = export(release, "core_leaf_year", "csv").content.decode("utf-8-sig")
    head, first = (line.split(",") for line in text.splitlines()[:2])
    line = dict(zip(head, first, strict=False))
    assert (line["period"], line["revision_stage"], line["revision_stage_label"]) == ("2023", "census", "普查修订数")
    table = pl.read_parquet(io.BytesIO(export(release, "core_leaf_year", "parquet", lang="en").content))
    assert set(table.filter(pl.col("period") == "2025")["revision_stage_label"]) == {"preliminary account"}
    body = json.loads(export(release, "core_leaf_year", "json-stat").content)
    assert body["extension"]["revision_stage"]["2025"] == "preliminary"
    assert body["dimension"]["period"]["category"]["note"]["2024"] == ["最终核实数"]
    book = openpyxl.load_workbook(io.BytesIO(export(release, "core_leaf_year", "xlsx").content))
    said = {row[0].value: row[1].value for row in book["说明"].iter_rows(max_col=2)}
    assert said["数据阶段"] == "2023年：普查修订数；2024年：最终核实数；2025年：初步核算数"


def test_a_stage_that_is_no_code_is_refused(tmp_path: Path) -> None:
    content = vintage_of("2026-03-31")
    bad = content.cubes["core_leaf_year"].with_columns(pl.lit("guess").alias(SCHEME))
    with pytest.raises(ReleaseRefused, match="guess"):
        publish(tmp_path, replace(content, cubes={**content.cubes, "core_leaf_year": bad}))


def test_a_release_made_before_stages_were_kept_is_still_read(tmp_path: Path) -> None:
    release = released(tmp_path, "2026-03-31")
    table = "disseminate_core_leaf_year"
    release._frames[table] = release._all(table).drop(SCHEME)
    cube = read_cube(release, Selection("core_leaf_year"))
    assert cube.period_stages() == {} and cube.stage_text() == ""
    assert "revision_stage" in export(release, "core_leaf_year", "csv").content.decode("utf-8-sig")
