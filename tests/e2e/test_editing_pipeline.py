"""Editing through the whole nightly job on the small demo city: rows, flags, what rests on them, what readers see."""

from pathlib import Path

import polars as pl
import pytest

from etl.assets.collect import receipt_table, superseded_table, table_name
from etl.assets.editing import editing_plans, flag_table, followup_table, rows_table
from etl.editing import lost
from etl.editing_plan import EditingPlan
from warehouse.read import open_current
from warehouse.write import WorkStore


@pytest.mark.parametrize("plan", editing_plans(), ids=lambda plan: str(plan.source_id))
def test_rows_in_are_rows_out_quarantined_and_replaced(demo_home: Path, plan: EditingPlan) -> None:
    work, source = WorkStore(demo_home), plan.source_id
    receipts = work.read(receipt_table(source))
    replaced = work.rows(superseded_table(source)) if work.exists(superseded_table(source)) else 0
    rows, received, flags = (work.read(t) for t in (rows_table(source), table_name(source), flag_table(source)))
    assert receipts["rows_in"].sum() == rows.height + replaced + receipts["rows_quarantined"].sum()
    assert rows.height > 0 and not lost(received, rows, flags, plan)
    assert work.exists(followup_table(source))


def test_every_fault_of_the_log_ends_in_quarantine_a_flag_or_the_list_or_is_too_small_to_see(demo_home: Path) -> None:
    faults = pl.read_parquet(demo_home / "truth" / "faults.parquet")
    quarantine = pl.concat(
        [pl.read_parquet(p) for p in sorted((demo_home / "quarantine").glob("*/*.parquet"))], how="diagonal"
    )
    loud = faults.filter(
        pl.col("kind").is_in(["text_in_number", "broken_uscc", "negative_employees", "duplicate_row", "sum_mismatch"])
    )
    assert loud.height > 10
    apart = {(f, v) for f, k, v in quarantine.select("file", "key", "value").iter_rows() for v in (k, v)}
    for fault in loud.iter_rows(named=True):
        named = {(fault["file"], fault[name]) for name in ("uscc", "key", "written")}
        assert named & apart, fault


def test_units_rest_on_edited_rows_and_keep_the_originals(demo_home: Path) -> None:
    units = WorkStore(demo_home).read("process_enterprise__unit_year")
    assert {"edited_items", "imputed_items", "main_revenue_cny_received", "employed_persons_received"} <= set(
        units.columns
    )
    same = units.filter((pl.col("edited_items") == "") & (pl.col("imputed_items") == ""))
    assert same.height > 0.8 * units.height
    assert same["main_revenue_cny"].equals(same["main_revenue_cny_received"])


def test_readers_see_aggregates_of_editing_and_no_unit(demo_home: Path) -> None:
    table = open_current(demo_home).table("meta_editing")
    assert set(table["source_id"]) == {plan.source_id for plan in editing_plans()}
    assert {"returns", "editing_rate", "imputation_rate", "effect"} <= set(table["metric"])
    assert table.filter(pl.col("value").is_null())["note_zh"].str.len_chars().min() or table["value"].null_count() == 0
    work, text = WorkStore(demo_home), table.write_csv()
    assert not any(code in text for code in work.read(table_name("finance_annual"))["uscc"].unique())
