"""Every format read back by an independent reader: equal values, and withheld, missing, zero kept apart."""

import csv
import io
import json
import re
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest

from tests.conftest import aistat
from tests.warehouse.sample_release import CORE, publish_sample, sample_release
from warehouse.cube import Selection
from warehouse.export import ExportError, export, export_selection, exporters
from warehouse.export.words import safe_text
from warehouse.read import Release

Cells = dict[tuple[str, ...], tuple[Decimal | None, str]]
DATASETS = [*CORE, "filings_district_month", "filings_type_role", "listed_city"]
FORMATS = ["csv", "parquet", "json-stat", "xlsx"]


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return sample_release(tmp_path_factory.mktemp("export"))


def truth(release: Release, dataset: str) -> Cells:
    """(codes…, period, indicator) → (value, state letter) straight from the release."""
    names = [*release.dataset(dataset).dimension_ids, "period", "indicator"]
    found: Cells = {}
    for row in release.cube_frame(dataset).iter_rows(named=True):
        state = "c" if row["conf_status"] == "C" else ("m" if row["value"] is None else "")
        found[tuple(row[n] for n in names)] = (row["value"], state)
    return found


def test_an_english_file_has_english_names_of_codes_that_came_in_chinese(release: Release) -> None:
    said = {
        lang: {r["city"]: r["city_label"] for r in csv_rows(export(release, "listed_city", "csv", lang=lang).content)}
        for lang in ("zh", "en")
    }
    assert said["zh"] == {"_T": "合计", "深圳市": "深圳市", "广州": "广州"}
    assert said["en"] == {"_T": "Total", "深圳市": "Shenzhen", "广州": "Guangzhou"}


LETTERS = {"x": "c", "..": "m", "": "", None: ""}


def from_rows(release: Release, dataset: str, rows: list[dict[str, Any]]) -> Cells:
    names = [*release.dataset(dataset).dimension_ids, "period", "indicator"]
    found: Cells = {}
    for row in rows:
        value = row["value"]
        number = None if value in ("", None) else Decimal(str(value))
        found[tuple(row[n].removeprefix("'") for n in names)] = (number, LETTERS[row["symbol"]])
    assert len(found) == len(rows)
    return found


def csv_rows(content: bytes) -> list[dict[str, Any]]:
    assert content.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def parquet_rows(content: bytes, folder: Path) -> list[dict[str, Any]]:
    path = folder / "x.parquet"
    path.write_bytes(content)
    with duckdb.connect() as connection:
        answer = connection.execute("SELECT * FROM read_parquet(?)", [str(path)])
        names = [d[0] for d in answer.description]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


def xlsx_rows(content: bytes, names: list[str]) -> list[dict[str, Any]]:
    sheet = openpyxl.load_workbook(io.BytesIO(content))["数据"]
    lines = list(sheet.iter_rows(min_row=5, values_only=True))
    return [dict(zip(names, line, strict=True)) for line in lines]


def json_stat_cells(content: bytes) -> Cells:
    """A reader of the JSON-stat 2.0 text of its own: row-major values, statuses by position."""
    data = json.loads(content, parse_float=Decimal)
    assert (data["version"], data["class"]) == ("2.0", "dataset")
    axes = [data["dimension"][name]["category"]["index"] for name in data["id"]]
    assert [len(a) for a in axes] == data["size"]
    places = list(product(*axes))
    assert len(places) == len(data["value"])
    found: Cells = {}
    for n, place in enumerate(places):
        status = data["status"].get(str(n), "")
        if status != "n":
            number = data["value"][n]
            found[place] = (None if number is None else Decimal(number), status if status in "cm" else "")
    return found


def read_back(release: Release, dataset: str, fmt: str, folder: Path) -> Cells:
    content = export(release, dataset, fmt).content
    if fmt == "json-stat":
        return json_stat_cells(content)
    if fmt == "csv":
        return from_rows(release, dataset, csv_rows(content))
    if fmt == "parquet":
        return from_rows(release, dataset, parquet_rows(content, folder))
    names = list(csv_rows(export(release, dataset, "csv").content)[0])
    return from_rows(release, dataset, xlsx_rows(content, names))


def test_the_registry_knows_the_formats() -> None:
    assert list(exporters()) == FORMATS
    assert all(e.name_zh and e.name_en and e.media_type and e.extension for e in exporters().values())


@pytest.mark.parametrize(("dataset", "fmt"), list(product(DATASETS, FORMATS)))
def test_every_cell_comes_back_exactly(dataset: str, fmt: str, release: Release, tmp_path: Path) -> None:
    expected = truth(release, dataset)
    assert read_back(release, dataset, fmt, tmp_path) == expected
    if dataset == "core_leaf_year":
        assert {state for _, state in expected.values()} == {"", "c", "m"}
        assert Decimal(0) in {value for value, _ in expected.values()}


@pytest.mark.parametrize(("dataset", "fmt"), list(product(DATASETS, FORMATS)))
def test_the_same_release_gives_the_same_bytes(dataset: str, fmt: str, release: Release) -> None:
    assert export(release, dataset, fmt) == export(release, dataset, fmt)


def test_a_withheld_cell_carries_no_number_at_all(release: Release, tmp_path: Path) -> None:
    for rows in (
        csv_rows(export(release, "core_branch_district", "csv").content),
        parquet_rows(export(release, "core_branch_district", "parquet").content, tmp_path),
    ):
        hidden = [r for r in rows if r["conf_status"] == "C"]
        assert len(hidden) == 15
        for row in hidden:
            assert [row[c] or None for c in ("value", "yoy_ratio", "model_share")] == [None, None, None]
            assert row["symbol"] == "x"
    data = json.loads(export(release, "core_branch_district", "json-stat").content)
    marked = [n for n, status in data["status"].items() if status == "c"]
    assert len(marked) == 15
    assert not set(marked) & set(data["extension"]["yoy_ratio"])


@pytest.mark.parametrize("fmt", FORMATS)
def test_simulated_and_real_data_are_marked(fmt: str, release: Release, tmp_path: Path) -> None:
    for dataset, mark in (("core_leaf_year", "模拟数据"), ("listed_city", "真实公开数据")):
        made = export(release, dataset, fmt)
        assert made.filename.startswith("模拟数据_") == (mark == "模拟数据")
        assert made.filename.endswith(exporters()[fmt].extension)
        if fmt == "csv":
            assert {r["data_kind"] for r in csv_rows(made.content)} == {mark}
        if fmt == "json-stat":
            data = json.loads(made.content)
            assert data["note"][0].startswith(mark)
            assert data["extension"]["data_kind"] == mark
            assert data["role"]["time"] == ["period"]
            assert data["role"]["metric"] == ["indicator"]
        if fmt == "parquet":
            assert {r["data_kind"] for r in parquet_rows(made.content, tmp_path)} == {mark}
            with duckdb.connect() as connection:
                path = str(tmp_path / "x.parquet")
                pairs = connection.execute("SELECT key, value FROM parquet_kv_metadata(?)", [path]).fetchall()
            assert dict(pairs)[b"aistat.data_kind"].decode() == mark
        if fmt == "xlsx":
            book = openpyxl.load_workbook(io.BytesIO(made.content))
            assert book.sheetnames == ["数据", "说明"]
            assert all(("模拟数据" in s["A1"].value) == (mark == "模拟数据") for s in book)


def test_a_trial_release_is_not_called_simulated(tmp_path: Path) -> None:
    made = export(sample_release(tmp_path, synthetic=False), "core_leaf_year", "csv")
    assert not made.filename.startswith("模拟数据")
    assert {r["data_kind"] for r in csv_rows(made.content)} == {"试行统计数据"}


def test_no_spreadsheet_finds_a_formula(release: Release) -> None:
    rows = csv_rows(export(release, "filings_type_role", "csv").content)
    assert "'=技术支持者" in {r["role_label"] for r in rows}
    for row in rows:
        assert not [v for v in row.values() if v and v[0] in "=+-@" and not re.fullmatch(r"-?[0-9.e-]+", v)]
    book = openpyxl.load_workbook(io.BytesIO(export(release, "filings_type_role", "xlsx").content))
    kinds = {cell.data_type for sheet in book for line in sheet.iter_rows() for cell in line}
    assert "f" not in kinds
    assert "=技术支持者" in {cell.value for line in book["数据"].iter_rows() for cell in line}


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("=1+1", "'=1+1"),
        ("+A1", "'+A1"),
        ("-x", "'-x"),
        ("@SUM", "'@SUM"),
        ("\t=1", "'\t=1"),
        ("-5.4", "-5.4"),
        ("A=1", "A=1"),
        ("", ""),
    ],
)
def test_formula_starts_are_disarmed_and_numbers_are_not(text: str, safe: str) -> None:
    assert safe_text(text) == safe


def test_a_year_means_its_months(release: Release) -> None:
    rows = csv_rows(export(release, "filings_district_month", "csv", "2025").content)
    assert {r["period"] for r in rows} == {"2025-03", "2025-11"}
    assert {r["period"] for r in csv_rows(export(release, "core_leaf_year", "csv", "2025").content)} == {"2025"}


def test_english_words(release: Release) -> None:
    row = csv_rows(export(release, "core_leaf_year", "csv", lang="en").content)[1]
    assert (row["ai_class_label"], row["indicator_label"], row["data_kind"]) == (
        "AI hardware",
        "AI enterprises",
        "simulated data",
    )


def test_a_selection_is_exported_as_shown(release: Release) -> None:
    chosen = Selection("core_leaf_size", ("ai_enterprises",), (("size", ("L",)),))
    rows = csv_rows(export_selection(release, chosen, "csv").content)
    assert {(r["size"], r["indicator"]) for r in rows} == {("L", "ai_enterprises")}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("core_leaf", "csv"), "no dataset 'core_leaf'; known: core_leaf_year"),
        (("core_leaf_year", "doc"), "no format 'doc'; known: csv, parquet, json-stat, xlsx"),
        (("core_leaf_year", "csv", "2019"), "has no period '2019'; it has 2023, 2024, 2025"),
        (("core_leaf_year", "csv", None, "fr"), "expected zh or en"),
    ],
)
def test_what_cannot_be_made_is_said(arguments: tuple[Any, ...], message: str, release: Release) -> None:
    with pytest.raises(ExportError, match=message):
        export(release, *arguments)


def test_the_command_line(tmp_path: Path) -> None:
    home = tmp_path / "home"
    publish_sample(home)
    done = aistat("export", "core_leaf_year", "--format", "csv", "--period", "2025", "-o", str(tmp_path), home=home)
    assert "模拟数据" in done.stdout
    files = list(tmp_path.glob("模拟数据_*.csv"))
    assert len(csv_rows(files[0].read_bytes())) == 55
    wrong = aistat("export", "nothing", "--format", "csv", "-o", str(tmp_path / "a.csv"), home=home, check=False)
    assert (wrong.returncode, "no dataset 'nothing'" in wrong.stderr) == (2, True)
    lost = aistat(
        "export",
        "listed_city",
        "--format",
        "csv",
        "-o",
        str(tmp_path / "no" / "a.csv"),
        home=home,
        check=False,
    )
    assert (lost.returncode, "no such folder" in lost.stderr) == (2, True)
    assert len(list(tmp_path.iterdir())) == 2
