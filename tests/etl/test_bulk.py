"""Large files: the compiled tokeniser against Python's csv, block reading against reading whole, collect into the store."""

import csv
import io
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.collect import collect_into, collect_source
from etl.contract import load_contract
from etl.reading import FileRefused, bulk, read_file
from etl.reading.tokens import FIELD_LIMIT, Tokens, cells, tokenise
from tests.etl.test_reading import GOOD, HEADS, REGISTER, register_row, write_register
from warehouse.write import WorkStore

SIGNS = ["a", '"', '""', ",", "\n", "\r", "\r\n", " ", "中", "　", "é", "𠀀", "\x00"]


def by_csv(text: str, delimiter: str = ",") -> list[tuple[int, list[str]]]:
    reader, found, last = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [], 0
    for row in reader:
        found.append((last + 1, row))
        last = reader.line_num
    return found


def rows(tokens: Tokens) -> list[tuple[int, list[str]]]:
    return [(int(tokens.lines[r]), cells(tokens, r)) for r in range(len(tokens.records))]


@settings(max_examples=250, deadline=None)
@given(st.lists(st.sampled_from(SIGNS), max_size=24).map("".join), st.integers(0, 80))
def test_the_tokeniser_is_the_csv_module_wherever_a_block_ends(text: str, cut: int) -> None:
    data = text.encode()
    head = tokenise(data[:cut], ",", 1, final=False)
    tail = tokenise(data[head.used :], ",", head.line, final=True)
    assert rows(head) + rows(tail) == by_csv(text)


def test_other_delimiters_and_cells_too_long() -> None:
    text = 'a|"b|c"|d\r\n|\r\n'
    assert rows(tokenise(text.encode(), "|", 1, final=True)) == by_csv(text, "|")
    assert tokenise(("x\n" + "中" * FIELD_LIMIT).encode(), ",", 1, final=True).failed == 0
    assert tokenise(("x\n" + "中" * (FIELD_LIMIT + 1)).encode(), ",", 1, final=True).failed == 2


@pytest.fixture()
def in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file counts as large and comes in blocks of 700 bytes."""
    monkeypatch.setattr(bulk, "MIN_BYTES", 1)
    monkeypatch.setattr(bulk, "BLOCK_BYTES", 700)


def awkward_rows() -> list[str]:
    made = []
    for number in range(40):
        changes = {"单位名称": f"深圳市第{number}号有限公司"}
        if number % 7 == 3:
            changes["经营范围"] = '甲\r\n乙\n丙，含“引号”"与,逗号'
        if number % 11 == 5:
            changes["行业代码"] = "0000"
        if number % 13 == 6:
            changes["成立日期"] = "2021年13月1日"
        made.append(register_row(GOOD[number % 3] if number % 5 == 0 else f"坏码{number}", **changes))
    made[9] += ",多,余"
    made[17] = ""
    made[23] = "注：本表为模拟数据"
    made[29] = "," * 12
    return made


@pytest.mark.parametrize("encoding", ["gb18030", "utf-8-sig"])
def test_blocks_give_what_the_whole_gives(tmp_path: Path, encoding: str, request: pytest.FixtureRequest) -> None:
    path = write_register(tmp_path, awkward_rows(), encoding=encoding)
    whole = read_file(REGISTER, path)
    request.getfixturevalue("in_blocks")
    assert path.stat().st_size > 3 * bulk.BLOCK_BYTES and bulk.suits(REGISTER, path)
    parted = read_file(REGISTER, path)
    assert parted.receipt == whole.receipt
    assert parted.frame.equals(whole.frame)
    assert parted.quarantine.sort(pl.all()).equals(whole.quarantine.sort(pl.all()))
    assert whole.quarantine["reason"].str.contains("重复").any()
    assert whole.frame["uscc"].to_list() == GOOD[:2], "the first row with the third code has an unknown class"


@pytest.mark.usefixtures("in_blocks")
@pytest.mark.parametrize(
    ("content", "says"),
    [
        ((",".join(HEADS) + "\n甲" + "x" * 900).encode("gb18030") + b"\xff\xff", "编码"),
        ((",".join(HEADS) + "\n" * 900).encode(), "没有数据行"),
        (("统一社会信用代码,单位名称\n" + "1,2\n" * 400).encode(), "缺少列"),
        ((",".join(HEADS) + '\n"' + "长" * 140_000).encode(), "第 2 行"),
        (b"\n" * 900, "缺少列"),
    ],
)
def test_large_files_are_refused_whole(
    tmp_path: Path, content: bytes, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "BLOCK_BYTES", max(700, len(content) // 3))
    path = tmp_path / "register_2025-12.csv"
    path.write_bytes(content)
    with pytest.raises(FileRefused, match=says):
        read_file(REGISTER, path)


def test_a_source_with_ditto_marks_is_read_whole(in_blocks: None) -> None:
    """同上 may point into the block before."""
    column = REGISTER.columns[4].model_copy(update={"ditto": ("同上",)})
    with_ditto = REGISTER.model_copy(update={"columns": (*REGISTER.columns[:4], column, *REGISTER.columns[5:])})
    here = Path(__file__)
    assert bulk.suits(REGISTER, here) and not bulk.suits(with_ditto, here)
    assert not bulk.suits(load_contract("ai_survey_annual"), here)


def test_collect_into_the_store_equals_collecting_in_memory(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    inbox, store = tmp_path / "inbox", WorkStore(tmp_path)
    write_register(inbox, awkward_rows())
    held = collect_source(REGISTER, inbox, tmp_path / "q1")
    request.getfixturevalue("in_blocks")
    stored = collect_into(REGISTER, inbox, tmp_path / "q2", store, "rows_received")
    assert store.read("rows_received").equals(held.frame)
    assert stored.receipts == held.receipts and stored.frame.schema == held.frame.schema
    kept = [pl.read_parquet(tmp_path / q / "register" / "register_2025-12.csv.parquet") for q in ("q1", "q2")]
    assert kept[0].sort(pl.all()).equals(kept[1].sort(pl.all()))
    assert store.tables() == ["rows_received"]


@pytest.mark.usefixtures("in_blocks")
def test_a_file_refused_half_way_leaves_the_stored_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox, store = tmp_path / "inbox", WorkStore(tmp_path)
    write_register(inbox, awkward_rows())
    collect_into(REGISTER, inbox, tmp_path / "q", store, "rows_received")
    before = store.read("rows_received")
    write_register(inbox, [*awkward_rows(), *awkward_rows(), '"' + "长" * 140_000])
    monkeypatch.setattr(bulk, "BLOCK_BYTES", 9_000)
    again = collect_into(REGISTER, inbox, tmp_path / "q", store, "rows_received")
    assert again.receipts[0].status == "refused" and "无法解析" in again.receipts[0].message
    assert store.read("rows_received").equals(before) and store.tables() == ["rows_received"]
    assert (tmp_path / "q" / "register" / "register_2025-12.csv.refused.json").exists()
