"""Earlier releases: what was published when, at which stage, and how it was revised since."""

import math
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from etl.methods.periods import parse
from etl.vintages import (
    TOTALS,
    first_published,
    first_vintage,
    released_totals,
    revision_rows,
    summary_rows,
)
from tests.warehouse.sample_release import sample_content
from warehouse.catalogue import load_yaml
from warehouse.release import publish


@pytest.mark.parametrize(
    ("period", "end"), [("2025", (2025, 12, 31)), ("2025-Q1", (2025, 3, 31)), ("2024-Q4", (2024, 12, 31)), ("2024-02", (2024, 2, 29))]
)  # fmt: skip
def test_periods_end_on_their_last_day(period: str, end: tuple[int, int, int]) -> None:
    assert parse(period).end == date(*end)


def totals(rows: list[tuple[str, str, float]]) -> pl.DataFrame:
    full = [("ai_revenue", "_T", p, v, "r", x) for p, v, x in rows]
    return pl.DataFrame(full, schema=TOTALS, orient="row")


BEFORE = [
    ("2023", "2024-03-31", 100.0), ("2023", "2025-01-15", 103.0), ("2024", "2025-01-15", 110.0),
    ("2024", "2025-01-16", 110.0), ("2023", "2025-01-16", 103.0), ("2022", "2024-03-31", 90.0),
]  # fmt: skip
NOW = [("2022", "2026-01-01", 88.0), ("2023", "2026-01-01", 104.0), ("2024", "2026-01-01", 111.0)]


def triangle_rows() -> pl.DataFrame:
    return revision_rows(totals(BEFORE), totals(NOW).drop("release_id"), load_yaml("revision"))


def test_the_triangle_holds_the_changes_and_their_stages() -> None:
    rows = triangle_rows()
    own = rows.filter(pl.col("period") == "2023").select("vintage", "release", "value", "revision", "total_revision", "stage").rows()  # fmt: skip
    assert own == [
        ("2024-03-31", 1, 100.0, None, 0.0, "preliminary"),
        ("2025-01-15", 2, 103.0, 3.0, 3.0, "census"),
        ("2026-01-01", 3, 104.0, 1.0, 4.0, "census"),
    ]
    assert rows.filter((pl.col("period") == "2024") & (pl.col("vintage") == "2025-01-16")).height == 0, (
        "it changed nothing"
    )


def test_measures_run_from_the_first_figure_to_the_latest() -> None:
    found = {m: v for _, m, v in summary_rows(totals(BEFORE), totals(NOW)).iter_rows()}
    assert found["periods"] == 3 and found["mean_revision"] == pytest.approx((-2 + 4 + 1) / 3)
    assert found["mean_absolute_revision"] == pytest.approx(7 / 3)
    assert found["relative_mean_absolute_revision"] == pytest.approx(7 / (88 + 104 + 111))
    assert found["share_positive"] == pytest.approx(2 / 3)
    t = found["t_statistic"]
    assert t is not None and math.isfinite(t) and 0 < (found["p_value"] or 0) < 1


def test_a_period_that_was_not_revised_counts_with_zero() -> None:
    same = [*NOW, ("2021", "2026-01-01", 80.0)]
    found = {
        m: v for _, m, v in summary_rows(totals([*BEFORE, ("2021", "2024-03-31", 80.0)]), totals(same)).iter_rows()
    }
    assert found["periods"] == 4 and found["mean_absolute_revision"] == pytest.approx(7 / 4)


def test_no_measures_where_nothing_was_published_twice() -> None:
    first = revision_rows(pl.DataFrame(schema=TOTALS), totals(NOW).drop("release_id"), load_yaml("revision"))
    assert first.height == 3 and summary_rows(pl.DataFrame(schema=TOTALS), totals(NOW)).height == 0


def test_first_published_is_the_oldest_vintage() -> None:
    assert first_published(totals(BEFORE))[("ai_revenue", "_T", "2023")] == 100.0


def test_released_totals_are_what_readers_saw_before_and_of_the_same_kind(tmp_path: Path) -> None:
    content = sample_content()
    publish(tmp_path, content)
    assert released_totals(tmp_path, content.vintage, synthetic=content.is_synthetic).height == 0, (
        "of earlier vintages only"
    )
    found = released_totals(tmp_path, "2099-01-01", synthetic=content.is_synthetic)
    for period, first in (("2025", content.vintage), ("2031", "2099-01-01")):
        assert first_vintage(tmp_path, "core_leaf_year", period, "2099-01-01", synthetic=content.is_synthetic) == first
    cells = content.cubes["core_leaf_year"]
    wide = cells.filter(pl.col("ai_class").is_in(["_T", "A", "B", "C", "D", "E"]) & pl.col("value").is_not_null())
    assert found.height == wide.height > 0 and set(found["vintage"]) == {content.vintage}
    assert set(found["ai_class"]) <= {"_T", "A", "B", "C", "D", "E"}
    assert released_totals(tmp_path, "2099-01-01", synthetic=not content.is_synthetic).height == 0
