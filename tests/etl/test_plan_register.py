"""The register of the plan: the latest quarter, and targets compared only with what is published in the same unit."""

from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl

from etl.plan_register import SCHEMA, plan_register
from tests.etl.source_data import received

VINTAGE = date(2026, 11, 25)


def task(n: int, period: str, **values: Any) -> dict[str, Any]:
    plain = {
        "task_id": f"RW{n}", "ref_period": period, "document_no": "文〔2026〕1号", "clause": f"第{n}项", "task": "任务", "kind": "W",
        "owner": "部门", "due_on": date(2026, 12, 31), "progress_pct": 50, "status": "2",
    }  # fmt: skip
    return plain | values


def core(*rows: tuple[str, str, float, str]) -> pl.DataFrame:
    """Protected city totals: indicator, period, value, status."""
    frame = pl.DataFrame(rows, schema=["indicator", "period", "value", "status"], orient="row")
    return frame.with_columns(
        pl.col("value").cast(pl.Decimal(24, 2)), table=pl.lit("core_leaf_year"),
        **{d: pl.lit("_T") for d in ("ai_class", "district", "size")},
    )  # fmt: skip


def test_targets_are_compared_with_the_published_figure_of_the_year_in_the_same_unit() -> None:
    rows = [
        task(1, "2026-Q2", progress_pct=20),
        task(1, "2026-Q3", kind="T", indicator="ai_enterprises", target_value=200, target_unit="家"),
        task(2, "2026-Q3", kind="T", indicator="ai_revenue", target_value=90, target_unit="亿元"),
        task(3, "2026-Q3", kind="T", indicator="rd_staff", target_value=10, target_unit="人"),
        task(4, "2026-Q3", kind="T", indicator="employed_persons", target_value=10, target_unit="人"),
        task(5, "2026-Q4"),
    ]
    cells = core(
        ("ai_enterprises", "2026", 150, "published"), ("ai_enterprises", "2025", 120, "published"),
        ("ai_revenue", "2026", 8e9, "published"), ("rd_staff", "2026", 9, "primary"),
    )  # fmt: skip
    found = plan_register(received("plan_tasks", rows).rows, cells, VINTAGE)
    assert found["period"].unique().to_list() == ["2026-Q3"]
    assert found["task_id"].to_list() == ["RW1", "RW2", "RW3", "RW4"]
    assert found["actual_value"].to_list() == [Decimal(150), None, None, None]
    assert found["attained_pct"].to_list() == [75.0, None, None, None]


def test_no_register_gives_an_empty_table_of_the_same_columns() -> None:
    none = received("plan_tasks", [task(1, "2026-Q4")]).rows
    found = plan_register(none, core(("ai_enterprises", "2026", 1, "published")), VINTAGE)
    assert found.is_empty() and dict(found.schema) == SCHEMA
