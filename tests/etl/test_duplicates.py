"""One unit under several codes: which code stays, and that no return is ever left out."""

from datetime import date

import polars as pl
import pytest

from etl.duplicates import SCHEMA, duplicates

OPENED, CLOSED = date(2019, 5, 1), date(2024, 3, 1)
NONE: dict[str, int] = {}


def found(
    *rows: tuple[str, str, date | None, date | None], returns: dict[str, int] = NONE
) -> dict[str, tuple[str, bool]]:
    units = pl.DataFrame(
        [(u, t, "1", o, c) for u, t, o, c in rows],
        schema={"unit_id": pl.String, "text_hash": pl.String, "unit_kind": pl.String, "opening_date": pl.Date, "closing_date": pl.Date},
        orient="row",
    )  # fmt: skip
    sent = pl.DataFrame(
        {"unit_id": list(returns), "returns": list(returns.values())},
        schema={"unit_id": pl.String, "returns": pl.Int64},
    )
    table = duplicates(units, sent)
    assert dict(table.schema) == SCHEMA
    return {u: (s, o) for u, s, o in table.select("unit_id", "same_as", "left_out").iter_rows()}


def test_the_code_that_answers_stays_then_the_open_one_then_the_first() -> None:
    two = (("a", "t", OPENED, None), ("b", "t", OPENED, None))
    assert found(*two) == {"b": ("a", True)}
    assert found(*two, returns={"b": 2}) == {"a": ("b", True)}
    assert found(("a", "t", OPENED, CLOSED), ("b", "t", OPENED, None)) == {"a": ("b", True)}
    assert found(("c", "t", OPENED, None), *two) == {"b": ("a", True), "c": ("a", True)}


def test_a_code_that_sent_returns_is_never_left_out() -> None:
    two = (("a", "t", OPENED, None), ("b", "t", OPENED, None))
    assert found(*two, returns={"a": 1, "b": 3}) == {"b": ("a", False)}


@pytest.mark.parametrize(
    "rows",
    [
        (("a", "t", OPENED, None), ("b", "other", OPENED, None)),
        (("a", "t", OPENED, None), ("b", "t", CLOSED, None)),
        (("a", "t", None, None), ("b", "t", None, None)),
        (),
    ],
)
def test_units_that_only_look_alike_are_two(rows: tuple[tuple[str, str, date | None, date | None], ...]) -> None:
    assert found(*rows) == {}


def test_every_second_code_of_the_demo_city_is_found_and_nothing_else(demo_home) -> None:  # type: ignore[no-untyped-def]
    from etl.assets.register import DUPLICATE, REGISTER_CURRENT
    from warehouse.write import WorkStore

    work = WorkStore(demo_home)
    log = pl.read_parquet(demo_home / "truth" / "faults.parquet").filter(kind="duplicate_unit", source_id="register")
    listed = work.read(DUPLICATE)
    there = log.filter(pl.col("written").is_in(work.read(REGISTER_CURRENT, ["uscc"])["uscc"].implode()))
    pairs = {frozenset(p) for p in there.select("original", "written").iter_rows()}
    assert pairs and {frozenset(p) for p in listed.select("unit_id", "same_as").iter_rows()} == pairs
