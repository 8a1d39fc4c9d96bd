"""The yearbook holds every table of the year, says what is simulated, prints, and hides what is withheld."""

import io
import re
import shutil
import subprocess
import time
import zipfile
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import openpyxl
import pytest
from openpyxl.workbook import Workbook
from openpyxl.worksheet.worksheet import Worksheet

from tests.conftest import aistat
from tests.warehouse.sample_release import VINTAGE, publish_sample, sample_release
from warehouse.export.yearbook import YearbookError, build_yearbook, write_yearbook
from warehouse.read import Release


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return sample_release(tmp_path_factory.mktemp("yearbook"))


@pytest.fixture(scope="module")
def content(release: Release) -> bytes:
    return build_yearbook(release, 2025)


@pytest.fixture(scope="module")
def book(content: bytes) -> Workbook:
    return openpyxl.load_workbook(io.BytesIO(content))


def tables(book: Workbook) -> Iterator[Worksheet]:
    yield from (sheet for sheet in book if re.fullmatch(r"\d-\d", sheet.title))


def row_of(sheet: Worksheet, label: str) -> list[object]:
    return next([c.value for c in line] for line in sheet.iter_rows(min_row=4) if line[0].value == label)


def test_sheets_and_links_lead_there_and_back(book: Workbook) -> None:
    names = book.sheetnames
    assert names[:3] == ["封面", "目录", "说明"]
    assert names[-2:] == ["数据", "元数据"]
    assert [s.title for s in tables(book)] == [
        "1-1", "1-2", "2-1", "2-2", *(f"{c}-{n}" for c in (3, 4) for n in range(1, 6)), *(f"5-{n}" for n in range(1, 7)),
    ]  # fmt: skip
    targets = [c.hyperlink.location for line in book["目录"].iter_rows() for c in line if c.hyperlink]
    assert targets == [f"'{name}'!A1" for name in names if name not in ("封面", "目录")]
    for name in names[2:]:
        assert book[name]["A1"].hyperlink.location == "'目录'!A1", name


def test_cover_and_properties(book: Workbook, release: Release) -> None:
    text = "\n".join(str(c.value) for line in book["封面"].iter_rows() for c in line if c.value)
    for words in (
        "深圳市人工智能产业统计年鉴",
        "2025",
        "模拟数据",
        VINTAGE,
        release.info.release_id,
        "条例",
        "深圳市",
    ):
        assert words in text
    assert book.properties.created == datetime.fromisoformat(VINTAGE)
    assert book.properties.title == "深圳市人工智能产业统计年鉴 2025"


def test_this_year_last_year_and_growth(book: Workbook) -> None:
    sheet = book["1-1"]
    assert [c.value for c in sheet[5]][1:4] == ["2025年", "2024年", "增长（%）"]
    assert sheet["E4"].value == "人工智能业务收入（活动口径）（亿元）"
    assert row_of(sheet, "人工智能硬件")[1:7] == [28, 23, 15.0, 40.74, 34.57, 20.0]
    assert row_of(sheet, "芯片制造与封测")[4:7] == ["x", 90.12, "x"]
    assert row_of(sheet, "其他核心")[1:4] == [0, 0, "—"]
    assert row_of(sheet, "基础大模型")[4] == "…"
    assert row_of(book["1-2"], "人工智能芯片设计")[4] == ".."
    indents = {sheet.cell(r, 1).value: sheet.cell(r, 1).alignment.indent for r in range(6, 17)}
    assert [indents[k] for k in ("合计", "人工智能硬件", "芯片与板卡", "人工智能芯片设计")] == [0, 1, 2, 3]
    assert sheet["E6"].number_format == "0.00"
    assert sheet["B6"].number_format == "0"


def test_cross_tables_equal_the_release(book: Workbook, release: Release) -> None:
    frame = release.cube_frame("core_branch_size").filter(period="2025", indicator="operating_revenue")
    found = {(r["ai_class"], r["size"]): r["value"] for r in frame.iter_rows(named=True)}
    sheet = book["4-3"]
    assert sheet["F3"].value == "单位：亿元"
    assert [c.value for c in sheet[4]] == ["行业类别", "合计", "大型", "中型", "小型", "微型"]
    shown = row_of(sheet, "系统应用")[1:]
    exact = [round(found["C", size] / 10**8, 2) for size in ("_T", "L", "M", "S", "W")]
    assert [Decimal(str(v)) for v in shown] == exact
    districts = book["3-2"]
    assert row_of(districts, "罗湖区")[3] == "x"


def test_public_tables_are_marked_real_and_core_ones_simulated(book: Workbook) -> None:
    marks = {s.title: s["A3"].value for s in tables(book)}
    assert {k for k, v in marks.items() if v == "真实公开数据"} == {f"5-{n}" for n in range(1, 7)}
    assert {v for k, v in marks.items() if k[0] != "5"} == {"模拟数据"}
    assert [c.value for c in book["5-1"][4]] == ["区", "2025年3月", "2025年11月"]
    assert "2024年上市公司" in book["5-6"]["A2"].value


def test_the_data_sheet_holds_every_cell_of_the_year_exactly(book: Workbook, release: Release) -> None:
    lines = list(book["数据"].iter_rows(min_row=4, values_only=True))
    heads, rows = lines[0], lines[1:]
    assert len(set(heads)) == len(heads)
    cells = [dict(zip(heads, row, strict=True)) for row in rows]
    for dataset in ("core_leaf_year", "core_branch_district", "filings_district_month"):
        own = [c for c in cells if c["数据集"] == dataset]
        frame = release.cube_frame(dataset)
        year = frame.filter(frame["period"].str.starts_with("2025"))
        assert len(own) == year.height
        exported = sorted(Decimal(str(c["数值"])) for c in own if c["数值"] is not None)
        assert exported == sorted(year["value"].drop_nulls())
        assert sum(c["符号"] == "x" for c in own) == (year["conf_status"] == "C").sum()
    for cell in cells:
        if cell["保密状态"] == "C":
            assert (cell["数值"], cell["同比（比率）"], cell["推算占比"]) == (None, None, None)


def test_metadata_and_legend(book: Workbook, release: Release) -> None:
    codes = {line[0].value for line in book["元数据"].iter_rows(min_row=5)}
    assert {i.id for i in release.indicators()} <= codes
    text = "\n".join(str(c.value) for line in book["说明"].iter_rows() for c in line if c.value)
    for words in ("保密", "暂缺", "无该项", "不足最小单位", "估计值", "真实公开数据"):
        assert words in text


def test_nothing_computes_and_nothing_leads_outside(content: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        for name in parts.namelist():
            text = parts.read(name).decode("utf-8")
            assert not re.search(r"<f[ >]", text), name
            assert 'TargetMode="External"' not in text, name


def test_print_setup(book: Workbook) -> None:
    for sheet in tables(book):
        assert (sheet.page_setup.orientation, sheet.page_setup.paperSize) == ("landscape", 9)
        assert sheet.sheet_properties.pageSetUpPr.fitToPage
        assert (sheet.page_setup.fitToWidth or 1, sheet.page_setup.fitToHeight) == (1, 0)
        assert sheet.print_title_rows
        assert sheet.freeze_panes
        assert f"【{sheet['A3'].value}】" in sheet.oddHeader.center.text


def test_same_release_same_bytes_and_quick(release: Release, content: bytes) -> None:
    started = time.monotonic()
    assert build_yearbook(release, 2025) == content
    assert time.monotonic() - started < 5


def test_the_first_year_has_no_year_before(release: Release) -> None:
    sheet = openpyxl.load_workbook(io.BytesIO(build_yearbook(release, 2023)))["1-1"]
    assert row_of(sheet, "人工智能硬件")[2:4] == ["—", "—"]


def test_english(release: Release) -> None:
    book = openpyxl.load_workbook(io.BytesIO(build_yearbook(release, 2025, "en")))
    assert book.sheetnames[:3] == ["Cover", "Contents", "Notes"]
    assert row_of(book["1-1"], "AI hardware")[1] == 28
    assert book["1-1"]["A3"].value == "simulated data"


def test_an_unknown_year_is_refused_with_the_years_there(release: Release, tmp_path: Path) -> None:
    with pytest.raises(YearbookError, match="no figures for 2019; years there: 2023, 2024, 2025"):
        write_yearbook(release, 2019, tmp_path / "a.xlsx")
    assert not list(tmp_path.iterdir())


def test_the_command_line(tmp_path: Path) -> None:
    home, out = tmp_path / "home", tmp_path / "yearbook.xlsx"
    publish_sample(home)
    done = aistat("yearbook", "--year", "2025", "-o", str(out), home=home)
    assert "模拟数据" in done.stdout
    assert openpyxl.load_workbook(out).sheetnames[0] == "封面"
    wrong = aistat("yearbook", "--year", "1999", "-o", str(out), home=home, check=False)
    assert (wrong.returncode, "years there: 2023, 2024, 2025" in wrong.stderr) == (2, True)


@pytest.mark.office
def test_libreoffice_prints_it(release: Release, tmp_path: Path) -> None:
    office = shutil.which("soffice")
    if office is None:
        pytest.skip("LibreOffice is not installed; the print of the yearbook was not looked at")
    path = tmp_path / "yearbook.xlsx"
    write_yearbook(release, 2025, path)
    profile = f"-env:UserInstallation=file://{tmp_path / 'profile'}"
    command = [office, profile, "--headless", "--convert-to", "pdf", "--outdir", str(tmp_path), str(path)]
    subprocess.run(command, check=True, capture_output=True, timeout=180)
    pdf = (tmp_path / "yearbook.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    pages = len(re.findall(rb"/Type\s*/Page\b", pdf))
    assert len(list(openpyxl.load_workbook(path))) <= pages < 60
