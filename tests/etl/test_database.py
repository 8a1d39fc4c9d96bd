"""A source as a database query: the contract judges its rows as it judges a file's; errors name no password."""

from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa

from etl.collect import collect_into, collect_source
from etl.contract import ContractError, load_contract, parse_contract
from etl.reading import FileRefused
from etl.reading.database import load_settings, query_of
from warehouse.write import WorkStore

FINANCE = load_contract("finance_annual")
GOOD = ["91440300708461136T", "914403001922038216", "91440300279290091J"]
SQL = (
    "SELECT code AS 统一社会信用代码, name AS 单位详细名称, revenue AS 营业收入, cost AS 营业成本, tax AS 税金及附加, "
    "profit AS 利润总额, pay AS 应付职工薪酬, dep AS 固定资产折旧, vat AS 应交增值税, assets AS 资产总计, yr AS 年份 FROM b103"
)


@pytest.fixture()
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    url = f"sqlite:///{tmp_path}/bureau.db"
    with sa.create_engine(url).begin() as connection:
        connection.execute(
            sa.text(
                "CREATE TABLE b103 (code TEXT, name TEXT, revenue NUMERIC, cost REAL, tax INT, profit INT, pay INT, "
                "dep INT, vat INT, assets INT, yr INT)"
            )
        )
        rows = [
            (c, f"单位{i}", 1000.5 + i, 10.25, 1, -5, 3, 2, -1, 99, y) for y in (2024, 2025) for i, c in enumerate(GOOD)
        ]
        rows += [
            (GOOD[0], "again", 7, 1, 1, 1, 1, 1, 1, 1, 2025),
            ("914403007084611360", "bad", 7, 1, 1, 1, 1, 1, 1, 1, 2025),
        ]
        values = ",".join(f":{i}" for i in range(11))
        for row in rows:
            connection.execute(sa.text(f"INSERT INTO b103 VALUES ({values})"), {str(i): v for i, v in enumerate(row)})
    monkeypatch.setenv("BUREAU_DB", url)
    write_settings(tmp_path)
    return tmp_path


def write_settings(home: Path, url: str = "env:BUREAU_DB", sql: str = SQL, extra: str = "period_column: 年份") -> None:
    (home / "sources.yaml").write_text(f"finance_annual:\n  url: {url}\n  sql: {sql}\n  {extra}\n", encoding="utf-8")


def collect(home: Path) -> tuple[WorkStore, object]:
    store = WorkStore(home)
    return store, collect_into(FINANCE, home / "inbox", home / "quarantine", store, "collect_finance", home)


def test_rows_of_a_query_are_typed_and_judged_like_those_of_a_file(home: Path) -> None:
    store, collected = collect(home)
    frame = store.read("collect_finance")
    assert frame["ref_year"].to_list() == [2024, 2025] * 3 and frame["uscc"].unique().sort().to_list() == sorted(GOOD)
    one = frame.row(by_predicate=(pl.col("uscc") == GOOD[0]) & (pl.col("ref_year") == 2025), named=True)
    assert one["operating_revenue_cny"] == Decimal("1000500.00") and one["operating_cost_cny"] == Decimal("10250.00")
    (receipt,) = collected.receipts  # type: ignore[attr-defined]
    assert (receipt.rows_in, receipt.rows_accepted, receipt.rows_quarantined) == (8, 6, 2)
    kept = pl.read_parquet(home / "quarantine/finance_annual/sql_finance_annual.parquet")
    assert set(kept["reason"].str.slice(0, 4)) == {"重复记录", "值不符合"} and kept["line"].min() == 7


def test_the_same_rows_give_the_same_receipt(home: Path) -> None:
    first, second = collect(home)[1], collect(home)[1]
    assert first.receipts == second.receipts  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sql": "SELECT * FROM no_such_table"}, "the database query failed"),
        ({"sql": "SELECT code AS 统一社会信用代码, yr AS 年份 FROM b103"}, "columns missing"),
        ({"sql": SQL + " WHERE 1 = 0"}, "returned no rows"),
        ({"url": "env:NOT_SET"}, "NOT_SET is not set"),
        ({"url": "file:secret/url"}, "no file secret/url"),
        ({"extra": "period_column: 年度"}, "no period column"),
        ({"extra": "period: 2025-Q1"}, "should be a year"),
        ({"extra": ""}, "period or period_column"),
    ],
)
def test_what_fails_is_refused_whole_and_the_last_rows_stay(home: Path, changes: dict[str, str], said: str) -> None:
    store, _ = collect(home)
    write_settings(home, **changes)
    _, collected = collect(home)
    (receipt,) = collected.receipts  # type: ignore[attr-defined]
    assert receipt.status == "refused" and said in receipt.message and str(home) not in receipt.message
    assert store.rows("collect_finance") == 6
    assert (home / "quarantine/finance_annual/sql_finance_annual.refused.json").exists()


def test_an_open_secret_and_a_wrong_setting_are_named(home: Path) -> None:
    write_settings(home, url="file:secret.url")
    (home / "secret.url").write_text("sqlite://")
    (home / "secret.url").chmod(0o644)
    with pytest.raises(FileRefused, match="chmod 600"):
        query_of(home, FINANCE)
    (home / "sources.yaml").write_text("finance_annual: {url: 'postgresql://u:pw@h/db', sql: SELECT 1}")
    with pytest.raises(ValueError, match="expected url") as error:
        load_settings(home)
    assert "pw" not in str(error.value)


QUARTERLY = """
id: x
title_zh: 甲
title_en: x
provider: p
legal_basis: [l]
frequency: Q
key: [uscc, ref_period]
file: {pattern: "x_{ref_year}Q{quarter}{revision}.csv", format: csv}
columns:
  代码: {to: uscc, type: string, required: true}
  收入: {to: revenue_cny, type: decimal, unit: CNY_1000}
retention: r
"""


def test_corrected_returns_replace_row_by_row_and_what_they_replace_is_kept(tmp_path: Path) -> None:
    contract = parse_contract(QUARTERLY, "test")
    assert (
        contract.file.name(2025, quarter=3, revision=2) == "x_2025Q3_更正2.csv"
        and contract.file.example == "x_2025Q2.csv"
    )
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for name, text in {
        "x_2025Q3.csv": "代码,收入\na,1\nb,2\nc,3\n", "x_2025Q3_更正10.csv": "代码,收入\na,10\n",
        "x_2025Q3_更正2.csv": "代码,收入\na,5\nb,6\n", "x_2025Q4.csv": "代码,收入\na,7\n", "x_2025Q5.csv": "代码,收入\na,7\n",
    }.items():  # fmt: skip
        (inbox / name).write_text(text, encoding="utf-8")
    found = collect_source(contract, inbox, tmp_path / "quarantine")
    rows = {(u, p): int(v / 1000) for u, v, p in found.frame.iter_rows()}
    assert rows == {("a", "2025-Q3"): 10, ("b", "2025-Q3"): 6, ("c", "2025-Q3"): 3, ("a", "2025-Q4"): 7}
    replaced = {(r["uscc"], r["file"]) for r in found.superseded.iter_rows(named=True)}
    assert replaced == {("a", "x_2025Q3.csv"), ("b", "x_2025Q3.csv"), ("a", "x_2025Q3_更正2.csv")}
    accepted = sum(r.rows_accepted for r in found.receipts)
    assert accepted == found.frame.height + found.superseded.height
    assert [r.file for r in found.receipts if r.status == "refused"] == ["x_2025Q5.csv"]


def test_a_contract_may_extend_another(tmp_path: Path) -> None:
    text = (
        "extends: register\nid: d\ntitle_zh: 甲\ntitle_en: d\nkey: [uscc, ref_period]\n"
        'file: {pattern: "d_{ref_year}-{month}-{day}.csv", format: csv}\n'
        "columns:\n  变更类型: {to: change, type: string, required: true, check: enum, values: {1: 新增, 2: 变更, 3: 注销}}\n"
    )
    contract = parse_contract(text, "test")
    assert contract.column("change").required and contract.column("uscc").check == "uscc_checksum"
    assert contract.file.period("d_2026-03-09.csv") == "2026-03-09"
    with pytest.raises(ContractError, match="no source"):
        parse_contract(text.replace("extends: register", "extends: nothing"), "test")


def test_an_unchanged_file_is_not_read_again_and_a_changed_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import etl.collect
    from etl.collect_cache import FileCache

    contract = parse_contract(QUARTERLY, "test")
    inbox, store = tmp_path / "inbox", WorkStore(tmp_path)
    inbox.mkdir()
    (inbox / "x_2025Q3.csv").write_text("代码,收入\na,1\nb,x\n", encoding="utf-8")
    (inbox / "x_2025Q4.csv").write_text("代码,收入\na,7\n", encoding="utf-8")
    read: list[str] = []
    original = etl.collect.read_file
    monkeypatch.setattr(etl.collect, "read_file", lambda c, p: (read.append(p.name), original(c, p))[1])

    def night() -> tuple[list[tuple[object, ...]], list[object]]:
        found = collect_into(contract, inbox, tmp_path / "quarantine", store, "collect_x", tmp_path)
        return store.read("collect_x").rows(), [*found.receipts, found.quarantine.rows()]

    first = night()
    assert sorted(read) == ["x_2025Q3.csv", "x_2025Q4.csv"]
    assert night() == first and len(read) == 2
    (inbox / "x_2025Q4.csv").write_text("代码,收入\na,8\n", encoding="utf-8")
    assert night() != first and read[2:] == ["x_2025Q4.csv"]
    entries = list((tmp_path / "cache/collect/x").glob("*.json"))
    assert len(entries) == 2, "the entry of the file that changed is gone"
    entries[0].with_suffix(".rows").write_bytes(b"torn")
    assert night()[0] == store.read("collect_x").rows() and len(read) == 4
    assert FileCache(tmp_path / "cache/collect", contract).get(inbox / "x_2025Q3.csv") is not None
