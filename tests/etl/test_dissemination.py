"""From protected cells to cubes: which levels say too little to be published."""

import polars as pl

from etl.dissemination import CUBES, crowded_levels, hierarchies

CODES = [c for c, parent in hierarchies()["ai_class"].items() if parent is None]


def cells(table: str, size: str, statuses: list[str]) -> pl.DataFrame:
    """Branches of one cube with these statuses, in two periods."""
    rows = [
        (table, code, "_T", size, "ai_revenue", period, status)
        for period in ("2024", "2025")
        for code, status in zip(CODES, statuses, strict=False)
    ]
    names = ["table", "ai_class", "district", "size", "indicator", "period", "status"]
    return pl.DataFrame(rows, schema=names, orient="row")


def test_levels_withheld_too_much_are_named() -> None:
    shown = cells("core_leaf_year", "_T", ["published", "published", "primary", "published"])
    hidden = cells("core_leaf_size", "L", ["primary", "secondary", "published", "empty"])
    found = crowded_levels(pl.concat([shown, hidden]))
    assert found.rows() == [("core_leaf_size", "ai_revenue", "ai_class 1 × size 1", 2 / 3)], "empty cells do not count"


def test_a_third_withheld_is_not_too_much() -> None:
    assert crowded_levels(cells("core_leaf_year", "_T", ["primary", "published", "published"])).is_empty()


def test_classes_by_size_stop_where_most_would_be_withheld() -> None:
    assert CUBES["core_leaf_size"] == ("ai_class:2", "size")
