"""The waterfall of a change: exact identity, what each unit counts as, mergers, revisions, the same units."""

import math
from fractions import Fraction
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.methods.growth.decomposition import COMPONENTS, decompose, link_groups
from etl.methods.tabular import BadInput, run_table, table_methods

COLUMNS = ("unit", "value", "value_prev", "status", "status_prev", "class", "class_prev")


def run(rows: list[tuple[Any, ...]], **more: list[str | None]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    frame = pl.DataFrame(
        [tuple(None if v is None else str(v) for v in r) for r in rows], schema=list(COLUMNS), orient="row"
    )
    frame = frame.with_columns(**{k: pl.Series(v, dtype=pl.String) for k, v in more.items()})
    found = run_table(table_methods()["growth_decomposition"], frame, {})
    return dict(found.result), found.rows.to_dicts()


ROWS = [
    ("a", 110, 100, "in", "in", "chip", "chip"),  # continuing +10
    ("b", 50, None, "规上", "规下", "chip", None),  # came onto the list +50
    ("c", None, 30, "注销", "in", None, "model"),  # gone -30
    ("d", 25, 20, "1", "1", "model", "chip"),  # another class +5
    ("e", 7, None, None, None, "model", None),  # status by the value: entry +7
    ("f", 999, 40, "in", "in", None, "model"),  # still there, no longer an AI unit -40
]


def test_each_kind_of_unit_is_counted_where_it_belongs() -> None:
    result, rows = run(ROWS)
    assert {k: result[k] for k in ("previous", "current", "total")} == {
        "previous": 190.0,
        "current": 192.0,
        "total": 2.0,
    }
    assert {c: result[c] for c in COMPONENTS} == {
        "continuing": 10.0, "entry": 57.0, "exit": -30.0, "reclassification": -35.0, "revision": 0.0,
    }  # fmt: skip
    assert result["units"] == {"continuing": 1, "entry": 2, "exit": 1, "reclassification": 2}
    assert result["growth_ratio"] == pytest.approx(2 / 190) and result["comparable_growth_ratio"] == pytest.approx(0.1)
    assert sum(result["points"].values()) == pytest.approx(100 * result["growth_ratio"], abs=1e-12)
    by_class = {r["class"]: r for r in rows}
    assert by_class["chip"]["reclassification"] == -20.0 and by_class["model"]["reclassification"] == -15.0
    for c in (*COMPONENTS, "total"):
        assert sum(r[c] for r in rows) == result[c]


def test_a_merger_continues_its_predecessors() -> None:
    rows = [
        ("old1", None, 40, "out", "in", None, "chip"),
        ("old2", None, 60, "out", "in", None, "chip"),
        ("new", 120, None, "in", "out", "chip", None),
    ]
    plain, _ = run(rows)
    assert (plain["continuing"], plain["entry"], plain["exit"]) == (0.0, 120.0, -100.0)
    assert plain["comparable_growth_ratio"] is None and plain["comparable_reason"] == "base_zero"
    linked, _ = run(rows, predecessor=[None, None, "old1; old2"])
    assert (linked["continuing"], linked["entry"], linked["exit"]) == (20.0, 0.0, 0.0)
    assert linked["comparable_growth_ratio"] == pytest.approx(0.2)
    for cell in ("old1；old2", "old1，old2", "old1,old2", "old1、old2"):
        assert run(rows, predecessor=[None, None, cell])[0] == linked


def test_links_join_chains_and_common_predecessors() -> None:
    groups = link_groups(["a", "b", "c", "d"], [["gone"], ["gone"], ["b"], []])
    assert groups[0] == groups[1] == groups[2] != groups[3]


def test_crossing_the_threshold_of_the_list_is_neither_birth_nor_growth_of_the_same_units() -> None:
    rows = [
        ("same", 110, 100, "in", "in", "chip", "chip"),
        ("up", 30, 20, "in", "in", "model", "chip"),
        ("down", 5, 9, "in", "in", "chip", "chip"),
        ("born", 7, None, "in", "out", "chip", None),
        ("unsaid", 2, 1, "in", "in", "chip", "chip"),
    ]
    on = {"listed": ["规上", "规上", "规下", "规上", None], "listed_prev": ["规上", "规下", "规上", None, "规下"]}
    result, by_class = run(rows, **on)
    assert (result["listed"], result["delisted"], result["entry"], result["reclassification"]) == (10.0, -4.0, 7.0, 0.0)
    assert result["continuing"] == 11.0 and result["units"]["listed"] == 1
    assert result["comparable_growth_ratio"] == pytest.approx(11 / 101)
    parts = (*COMPONENTS, "listed", "delisted")
    assert sum(result[p] for p in parts) == result["total"] and set(parts) == set(result["points"])
    assert {r["class"]: r["listed"] for r in by_class} == {"chip": -20.0, "model": 30.0}
    plain, _ = run(rows)
    assert "listed" not in plain and plain["reclassification"] == 10.0


def test_a_revision_of_the_earlier_figure_stands_apart() -> None:
    rows = [("a", 110, 100, "in", "in", "x", "x"), ("b", 5, 4, "in", "in", "x", "x")]
    result, _ = run(rows, published_prev=["95", None])  # b was not in the published figure
    assert (result["previous"], result["revision"], result["continuing"], result["total"]) == (95.0, 9.0, 11.0, 20.0)
    assert result["growth_ratio"] == pytest.approx(20 / 95)


def test_a_table_without_classes_needs_none() -> None:
    result, rows = run([("a", 3, 2, "", "", None, None), ("b", None, 1, "", "", None, None)])
    assert (result["continuing"], result["exit"], result["reclassification"]) == (1.0, -1.0, 0.0) and len(rows) == 1


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([("a", 1, 1, "in", "in", "x", "x"), ("a", 1, 1, "in", "in", "x", "x")], "stands more than once"),
        ([("a", None, 1, "in", "in", "x", "x")], "has no value"),
        ([("a", 1, None, "in", "in", "x", "x")], "has no value_prev"),
        (
            [("b", 1, 1, "in", "in", "x", "x"), ("a", 1, 1, "perhaps", "in", "x", "x")],
            "line 3, unit a: column status: 'perhaps' is not a known",
        ),
        ([], "the table is empty"),
        ([("a", 9, 4, "new", None, "x", "x")], "line 2, unit a: status says it is new, but it has a value_prev"),
        (
            [("a", 9, 4, "entry", "active", "x", "x")],
            "line 2, unit a: status says it is new, status_prev that it was there",
        ),
    ],
)
def test_what_cannot_be_counted_is_refused(rows: list[tuple[Any, ...]], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        run(rows)


@pytest.mark.parametrize("column", ["listed", "listed_prev"])
def test_the_list_of_one_period_alone_says_nothing(column: str) -> None:
    with pytest.raises(BadInput, match=f"column {column} is there without listed"):
        run([("a", 2, 1, "in", "in", "x", "x")], **{column: ["in"]})


@pytest.mark.parametrize("word", ["退出", "歇业"])
def test_words_of_an_end_are_known(word: str) -> None:
    result, _ = run([("a", 2, 1, "in", "in", "x", "x"), ("b", None, 4, word, "in", None, "x")])
    assert result["exit"] == -4.0


def test_a_new_unit_with_a_zero_before_is_an_entry() -> None:
    result, _ = run([("a", 2, 1, "in", "in", "x", "x"), ("b", 4, 0, "新增", None, "x", None)])
    assert (result["entry"], result["continuing"]) == (4.0, 1.0)


AMOUNT = st.none() | st.floats(-1e12, 1e12, allow_nan=False)
UNIT = st.tuples(
    AMOUNT, AMOUNT, st.sampled_from(["x", "y", None]), st.sampled_from(["x", "y", None]), AMOUNT, st.integers(0, 9)
)


@settings(deadline=None)
@given(st.lists(UNIT, max_size=40))
def test_the_identity_holds_for_any_units(units: list[tuple[Any, ...]]) -> None:
    frame = pl.DataFrame(
        [
            (f"u{i}", v, p, v is not None, p is not None, c, d, f, f"g{g}")
            for i, (v, p, c, d, f, g) in enumerate(units)
        ],
        schema={
            "unit": pl.String, "value": pl.Float64, "value_prev": pl.Float64, "active": pl.Boolean, "active_prev": pl.Boolean,
            "class": pl.String, "class_prev": pl.String, "published_prev": pl.Float64, "group": pl.String,
        },
        orient="row",
    )  # fmt: skip
    found = decompose(frame)
    size = math.fsum(abs(x) for row in units for x in (row[0], row[1], row[4]) if x is not None) or 1.0
    for part in (found.whole, *found.classes.values()):
        added = math.fsum(getattr(part, c) for c in COMPONENTS)
        assert abs(part.total - added) <= 1e-12 * size
        assert abs(part.total - (part.current - part.previous)) <= 1e-12 * size
    now = [Fraction(v) for v, _, c, *_ in units if v is not None and c is not None]
    published = [Fraction(f) for *_, f, _ in units if f is not None]
    assert found.whole.total == float(sum(now, Fraction(0)) - sum(published, Fraction(0)))  # exactly rounded
    for c in COMPONENTS:
        assert abs(math.fsum(getattr(k, c) for k in found.classes.values()) - getattr(found.whole, c)) <= 1e-12 * size
