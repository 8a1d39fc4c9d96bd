"""When an unchanged delivery's table stands, and when its files are read again."""

from pathlib import Path

import polars as pl
import pytest

from etl.assets import collect
from etl.assets.collect import receipt_table, standing, superseded_table, table_name
from etl.contract import load_contract
from warehouse.write import WorkStore

CONTRACT = load_contract("finance_annual")
KEY = "files|code"


def receipts(**changes: object) -> pl.DataFrame:
    row = {
        "source_id": CONTRACT.id, "file": "finance_annual_2025.xlsx", "sha256": "aa", "ref_period": "2025", "rows_in": 3,
        "rows_accepted": 2, "rows_quarantined": 1, "status": "accepted", "message": "", "delivery": KEY,
    }  # fmt: skip
    return pl.DataFrame([row | changes])


@pytest.fixture()
def store(tmp_path: Path) -> WorkStore:
    work = WorkStore(tmp_path)
    work.write(table_name(CONTRACT.id), pl.DataFrame({"uscc": ["a", "b"]}))
    work.write(superseded_table(CONTRACT.id), pl.DataFrame({"uscc": ["c"]}))
    work.write(receipt_table(CONTRACT.id), receipts())
    (tmp_path / "quarantine" / CONTRACT.id).mkdir(parents=True)
    (tmp_path / "quarantine" / CONTRACT.id / "finance_annual_2025.xlsx.parquet").touch()
    return work


def test_the_same_delivery_stands_with_its_receipts_and_what_was_replaced(store: WorkStore, tmp_path: Path) -> None:
    found = standing(CONTRACT, store, tmp_path / "quarantine", KEY)
    assert found is not None and found.superseded["uscc"].to_list() == ["c"]
    (receipt,) = found.receipts
    assert (receipt.file, receipt.rows_in, receipt.rows_quarantined) == ("finance_annual_2025.xlsx", 3, 1)


@pytest.mark.parametrize(
    "table", [receipts().clear(), receipts(status="refused"), receipts(delivery="other"), receipts().drop("delivery")]
)
def test_a_night_cut_off_a_refusal_and_another_delivery_are_read_again(
    store: WorkStore, tmp_path: Path, table: pl.DataFrame
) -> None:
    store.write(receipt_table(CONTRACT.id), table)
    assert standing(CONTRACT, store, tmp_path / "quarantine", KEY) is None


def test_a_database_and_lost_quarantine_are_read_again(store: WorkStore, tmp_path: Path) -> None:
    assert standing(CONTRACT, store, tmp_path / "quarantine", "") is None
    assert standing(CONTRACT, store, tmp_path / "elsewhere", KEY) is None


def test_other_merging_code_is_another_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = collect._merging()
    changed = tmp_path / "collect.py"
    changed.write_text("# another way to merge\n")
    monkeypatch.setattr("etl.collect.__file__", str(changed))
    collect._merging.cache_clear()
    assert collect._merging() != before
    collect._merging.cache_clear()
