"""Readers: real public lists, the bureau's shapes, each way a file or a row can be wrong."""

import json
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl.collect import collect_source, schema
from etl.contract import list_contracts, load_contract, public_files
from etl.reading import FileRefused, read_file
from tests.conftest import aistat

REGISTER = load_contract("register")
SURVEY = load_contract("ai_survey_annual")
LABOUR = load_contract("labour_annual")
GOOD = ["91440300708461136T", "914403001922038216", "91440300279290091J"]
HEADS = [c.header for c in REGISTER.columns]


def register_row(uscc: str, **changes: str) -> str:
    cells = {
        "统一社会信用代码": uscc, "单位名称": "深圳市某某有限公司", "单位类型": "1", "行业代码": "6513",
        "经营范围": "软件开发；“引号,逗号”", "注册地区划": "440305", "经营地区划": "南山区", "注册资本(万元)": "1,000.50",
        "从业人员(人)": "－", "成立日期": "2020年3月5日",
    }  # fmt: skip
    cells |= changes
    return ",".join('"' + cells.get(h, "").replace('"', '""') + '"' for h in HEADS)


def write_register(
    folder: Path, rows: list[str], name: str = "register_2025-12.csv", encoding: str = "gb18030"
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(("\r\n".join([",".join(HEADS), *rows]) + "\r\n").encode(encoding))
    return path


def write_survey(path: Path, rows: list[list[object]]) -> Path:
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("年报")
        sheet.write(0, 0, "人工智能业务统计年报")
        sheet.write(1, 0, "表号：深AI业务1表　计量单位：千元")
        for column, text in enumerate(["统一社会信用代码", "单位详细名称", "主营业务收入"]):
            sheet.merge_range(2, column, 3, column, text)
        sheet.merge_range(2, 3, 2, 7, "人工智能业务收入")
        for column, text in enumerate(["合计", "硬件", "软件", "系统应用", "集成服务"], start=3):
            sheet.write(3, column, text)
        for column, text in enumerate(["份额依据", "人工智能研发费用", "人工智能从业人员"], start=8):
            sheet.merge_range(2, column, 3, column, text)
        for number, row in enumerate(rows, start=4):
            sheet.write_row(number, 0, row)
        sheet.write(len(rows) + 5, 0, "注：份额依据 1 账簿 2 估算")
    return path


def test_real_public_lists_are_read_whole() -> None:
    rows = {}
    for contract in list_contracts():
        for path in public_files(contract.id):
            result = read_file(contract, path)
            rows[contract.id] = result.receipt.rows_accepted
            assert result.receipt.rows_quarantined == 0, result.quarantine
            assert dict(result.frame.schema) == schema(contract)
    assert rows == {"algorithm_filings": 3054, "listed_companies": 1751, "published_figures": 81}
    filings = read_file(load_contract("algorithm_filings"), public_files("algorithm_filings")[0]).frame
    shenzhen = filings.filter(pl.col("is_shenzhen") == "1")
    assert (shenzhen.height, shenzhen["company"].n_unique()) == (1020, 573)


def test_listed_companies_hold_public_basics_only() -> None:
    columns = pl.read_csv(public_files("listed_companies")[0], infer_schema=False).columns
    assert columns == ["code", "name", "full_name", "city", "setup_date", "employees"]


def test_a_gb18030_register_is_typed(tmp_path: Path) -> None:
    path = write_register(tmp_path, [register_row(GOOD[0]), register_row(GOOD[1], 成立日期="20211231")])
    result = read_file(REGISTER, path)
    assert result.receipt.rows_quarantined == 0, result.quarantine["expectation"].to_list()
    row = result.frame.row(0, named=True)
    assert row["registered_capital_cny"] == Decimal("10005000.00"), "万元 become yuan, exactly"
    assert row["employed_persons"] is None, "a dash is missing, not zero"
    assert row["operating_district"] == "440305" and str(row["opening_date"]) == "2020-03-05"
    assert row["business_scope"] == "软件开发；“引号,逗号”"


def test_title_lines_merged_heads_units_and_footnotes(tmp_path: Path) -> None:
    rows: list[list[object]] = [
        [GOOD[0], "甲公司", 1000, 400, 100, 300, 0, 0, 1, 50, 10],
        [GOOD[1], "乙公司", "２,０００", "…", None, None, None, None, "估算", "-", 0],
    ]
    result = read_file(SURVEY, write_survey(tmp_path / "ai_survey_annual_2025.xlsx", rows))
    assert result.receipt.rows_in == result.receipt.rows_accepted == 2, result.quarantine
    first, second = result.frame.sort("main_revenue_cny").rows(named=True)
    assert first["ai_revenue_cny"] == Decimal("400000.00") and first["ref_year"] == 2025
    assert second["main_revenue_cny"] == Decimal("2000000.00"), "full-width digits and thousands separators"
    assert second["ai_revenue_cny"] is None and second["ai_employed_persons"] == 0
    assert second["share_basis"] == "2"


@pytest.mark.parametrize(
    ("changes", "identifier"),
    [
        ({"统一社会信用代码": "91440300708461136X"}, "uscc"),
        ({"行业代码": "9999"}, "gbt_code"),
        ({"从业人员(人)": "-5"}, "employed_persons"),
        ({"从业人员(人)": "十人"}, "employed_persons"),
        ({"从业人员(人)": "٣٤"}, "employed_persons"),
        ({"注册资本(万元)": "1.2345678"}, "registered_capital_cny"),
        ({"经营地区划": "东莞市"}, "operating_district"),
        ({"成立日期": "2020-13-01"}, "opening_date"),
        ({"单位名称": " "}, "name"),
        ({"单位类型": "9"}, "unit_kind"),
        ({"注销日期": "2019-01-01"}, "opening_date"),
    ],
)
def test_a_bad_row_is_kept_aside_with_its_place(tmp_path: Path, changes: dict[str, str], identifier: str) -> None:
    bad = register_row(changes.pop("统一社会信用代码", GOOD[1]), **changes)
    path = write_register(tmp_path, [register_row(GOOD[0]), bad, register_row(GOOD[2])])
    result = read_file(REGISTER, path)
    assert result.frame["uscc"].to_list() == [GOOD[0], GOOD[2]]
    issue = result.quarantine.row(0, named=True)
    assert (issue["line"], issue["identifier"], issue["file"]) == (3, identifier, "register_2025-12.csv")
    assert issue["expectation"] and issue["reason"] and json.loads(issue["row_json"])["单位类型"]
    assert result.receipt.rows_in == 3 and result.receipt.rows_quarantined == 1


def test_lines_are_exact_after_a_cell_with_a_line_break(tmp_path: Path) -> None:
    rows = [register_row(GOOD[0], 经营范围="甲\n乙\n丙"), register_row(GOOD[1], 行业代码="0000")]
    result = read_file(REGISTER, write_register(tmp_path, rows))
    assert result.quarantine["line"].to_list() == [5]
    assert result.frame["business_scope"].to_list() == ["甲\n乙\n丙"]


def test_an_amount_of_any_length_is_kept_aside(tmp_path: Path) -> None:
    rows = [register_row(GOOD[0]), register_row(GOOD[1], **{"注册资本(万元)": "9" * 30})]
    result = read_file(REGISTER, write_register(tmp_path, rows))
    assert result.frame["uscc"].to_list() == [GOOD[0]]
    assert result.quarantine.select("line", "identifier", "value").rows() == [(3, "registered_capital_cny", "9" * 30)]


def test_lines_of_a_sheet_count_blank_rows_above_and_between(tmp_path: Path) -> None:
    heads = ["统一社会信用代码", "单位详细名称", "主营业务收入", "人工智能业务收入/合计"]
    heads += [c.header for c in SURVEY.columns if not c.optional and c.header not in heads]
    path = tmp_path / "ai_survey_annual_2025.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("年报")
        book.add_worksheet("说明").write(0, 0, "另一张表")
        for column, head in enumerate(heads):
            above, _, below = head.partition("/")
            sheet.write(5, column, above)
            sheet.write(6, column, below)
        for line, cells in ((8, (GOOD[0], "甲", "x")), (9, ("　", "注：乙")), (11, ("填表人：丙", "丁"))):
            sheet.write_row(line, 0, cells)
        sheet.write_row(12, 0, ("填表人：丙", "丁", "1"))
    result = read_file(SURVEY, path)
    assert result.receipt.rows_in == 2, "notes and blank rows are no data"
    wrong = result.quarantine.filter(pl.col("reason").str.starts_with("值不符合要求"))
    assert wrong.select("line", "identifier", "sheet").rows()[:2] == [
        (9, "main_revenue_cny", "年报"), (13, "uscc", "年报"),
    ]  # fmt: skip


def test_duplicates_and_surplus_cells_are_kept_aside(tmp_path: Path) -> None:
    rows = [register_row(GOOD[0]), register_row(GOOD[0], 单位名称="同码另名"), register_row(GOOD[1]) + ",多,余"]
    result = read_file(REGISTER, write_register(tmp_path, rows))
    assert result.frame.height == 1
    assert result.quarantine["line"].to_list() == [3, 4]
    assert "重复" in result.quarantine["reason"][0] and "more cells" in result.quarantine["reason"][1]


def test_branches_must_add_up(tmp_path: Path) -> None:
    rows: list[list[object]] = [
        [GOOD[0], "甲", 1000, 400, 100, 299, 0, 0, 1, 5, 1],
        [GOOD[1], "乙", 1000, 400, 100, 298, 0, 0, 1, 5, 1],
        [GOOD[2], "丙", 1000, 1002, 1002, 0, 0, 0, 1, 5, 1],
    ]
    result = read_file(SURVEY, write_survey(tmp_path / "ai_survey_annual_2024.xlsx", rows))
    assert result.frame["uscc"].to_list() == [GOOD[0]], "1 thousand of rounding is allowed, 2 are not"
    assert result.quarantine["line"].unique().sort().to_list() == [6, 7]


BROKEN = [
    ("register", "register_2025-12.csv", b"\xff\xfe\x00bad", "编码"),
    ("register", "register_2025-12.csv", b"", "文件为空"),
    ("register", "register_2025-12.csv", (",".join(HEADS) + "\n").encode(), "没有数据行"),
    ("register", "register_2025-12.csv", "统一社会信用代码,单位名称\n1,2\n".encode(), "缺少列"),
    ("register", "名录.csv", b"x", "文件名"),
    ("ai_survey_annual", "ai_survey_annual_2025.xlsx", b"", "文件为空"),
    ("ai_survey_annual", "ai_survey_annual_2025.xlsx", b"PK\x03\x04 cut off", "xlsx"),
]


@pytest.mark.parametrize(("source", "name", "content", "says"), BROKEN)
def test_a_broken_file_is_refused_whole_with_one_sentence(
    tmp_path: Path, source: str, name: str, content: bytes, says: str
) -> None:
    inbox, quarantine = tmp_path / "inbox", tmp_path / "quarantine"
    inbox.mkdir()
    (inbox / name).write_bytes(content)
    with pytest.raises(FileRefused, match=says):
        read_file(load_contract(source), inbox / name)
    collected = collect_source(load_contract(source), inbox, quarantine)
    (receipt,) = collected.receipts
    assert receipt.status == "refused" and says in receipt.message and "\n" not in receipt.message
    assert collected.frame.height == 0 and dict(collected.frame.schema) == schema(load_contract(source))
    assert json.loads((quarantine / source / f"{name}.refused.json").read_text())["message"] == receipt.message


def test_a_head_that_comes_twice_is_refused(tmp_path: Path) -> None:
    path = write_register(tmp_path, [register_row(GOOD[0]) + ",重名"])
    text = path.read_bytes().decode("gb18030").replace(",".join(HEADS), ",".join([*HEADS, "单位名称"]))
    path.write_bytes(text.encode("gb18030"))
    with pytest.raises(FileRefused, match=r"单位名称 .*twice"):
        read_file(REGISTER, path)


def test_a_truncated_xlsx_is_refused(tmp_path: Path) -> None:
    path = write_survey(tmp_path / "ai_survey_annual_2025.xlsx", [[GOOD[0], "甲", 1, 1, 1, 0, 0, 0, 1, 1, 1]])
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(FileRefused, match="xlsx"):
        read_file(SURVEY, path)


def test_the_newest_register_counts_and_quarantine_follows_the_file(tmp_path: Path) -> None:
    inbox, quarantine = tmp_path / "inbox", tmp_path / "quarantine"
    write_register(inbox, [register_row(GOOD[0])], "register_2025-11.csv")
    write_register(inbox, [register_row(GOOD[1]), register_row("bad")], "register_2025-12.csv")
    collected = collect_source(REGISTER, inbox, quarantine)
    assert collected.frame["uscc"].to_list() == [GOOD[1]]
    assert [r.file for r in collected.receipts] == ["register_2025-12.csv"]
    kept = quarantine / "register" / "register_2025-12.csv.parquet"
    assert pl.read_parquet(kept)["line"].to_list() == [3]
    listed = aistat("quarantine", "list", home=tmp_path).stdout
    assert "register_2025-12.csv" in listed and "1 行" in listed
    shown = aistat("quarantine", "show", "register", home=tmp_path).stdout
    assert "统一社会信用代码" in shown and "confidential" in shown
    write_register(inbox, [register_row(GOOD[1])], "register_2025-12.csv")
    collect_source(REGISTER, inbox, quarantine)
    assert not kept.exists()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cells=st.lists(
        st.tuples(st.sampled_from([*GOOD, "x", "", "９１440300708461136Ｔ"]), st.sampled_from(["5", "-1", "", "五", "1e3", "7.0"])),
        min_size=1, max_size=8,
    )
)  # fmt: skip
def test_no_row_is_ever_lost(tmp_path: Path, cells: list[tuple[str, str]]) -> None:
    path = tmp_path / "labour_annual_2025.csv"
    heads = [c.header for c in LABOUR.columns]
    lines = [",".join(heads)]
    lines += [
        ",".join({"统一社会信用代码": u, "单位详细名称": "甲", "从业人员期末人数": n}.get(h, "") for h in heads)
        for u, n in cells
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    result = read_file(LABOUR, path)
    receipt = result.receipt
    assert receipt.rows_in == len(cells) == receipt.rows_accepted + receipt.rows_quarantined
    assert result.frame.height == receipt.rows_accepted
    bad = set(result.quarantine["line"].to_list())
    assert len(bad) == receipt.rows_quarantined
    for line, (_, count) in enumerate(cells, start=2):
        if count in ("-1", "五", "1e3"):
            assert line in bad
