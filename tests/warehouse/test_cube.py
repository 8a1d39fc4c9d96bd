"""Selections survive their URL, are checked against the release, and become tables with honest cells."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.warehouse.sample_release import sample_release
from warehouse.cube import Periods, Selection, SelectionError, read_cube, table_model
from warehouse.read import Release

names = st.text("abcdefgh_", min_size=1, max_size=8)
codes = st.text("ABC019_-深=&+% ", min_size=1, max_size=5)
years = st.integers(1990, 2060).map(str)
periods = st.one_of(
    st.just(Periods()),
    st.integers(1, 1000).map(lambda n: Periods("latest", n)),
    years.map(lambda y: Periods("from", values=(y,))),
    st.lists(years, min_size=1, max_size=3).map(lambda y: Periods("fixed", values=tuple(y))),
)
filters = st.dictionaries(names, st.lists(codes, min_size=1, max_size=3).map(tuple), max_size=3)
selections = st.builds(
    Selection,
    dataset=names,
    indicators=st.lists(names, max_size=3).map(tuple),
    filters=filters.map(lambda d: tuple(d.items())),
    periods=periods,
    lang=st.sampled_from(["zh", "en"]),
)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return sample_release(tmp_path_factory.mktemp("cube"))


@given(selections)
def test_a_selection_survives_its_query(selection: Selection) -> None:
    assert Selection.from_query(selection.to_query()) == selection


def test_equal_selections_have_one_query() -> None:
    one = Selection("d", filters=(("b", ("1",)), ("a", ("2",))))
    two = Selection("d", filters=(("a", ("2",)), ("b", ("1",))))
    assert one == two
    assert one.to_query() == two.to_query()


@pytest.mark.parametrize(
    "text", ["", "latest:0", "latest:²", "latest:99999", "from:2024,2025", "fixed:", "fixed:20255", "all:x"]
)
def test_bad_periods_are_refused(text: str) -> None:
    with pytest.raises(SelectionError, match="expected all"):
        Periods.decode(text)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("dataset=nothing", "no dataset 'nothing'; known: core_leaf_year"),
        ("dataset=core_leaf_year&indicators=filings", "has no indicator filings"),
        ("dataset=core_leaf_year&f.size=L", "has no dimension 'size'"),
        ("dataset=core_leaf_year&f.ai_class=Z9", "has no code Z9"),
        ("dataset=core_leaf_year&periods=fixed:2019", "no period 2019; known: 2023"),
        ("dataset=core_leaf_year&colour=red", "unknown parameter colour"),
        ("dataset=core_leaf_year&lang=fr", "expected zh or en"),
    ],
)
def test_what_the_release_does_not_hold_is_named(query: str, message: str, release: Release) -> None:
    with pytest.raises(SelectionError, match=message):
        read_cube(release, Selection.from_query(query))


def test_a_selection_picks_cells(release: Release) -> None:
    chosen = Selection("core_leaf_size", ("ai_revenue",), (("size", ("L", "_T")),), Periods("latest", 2))
    cube = read_cube(release, chosen)
    assert cube.periods == ("2024", "2025")
    assert set(cube.frame["size"]) == {"L", "_T"}
    assert set(cube.frame["indicator"]) == {"ai_revenue"}
    assert cube.frame.height == 11 * 2 * 2
    assert (cube.is_synthetic, cube.status) == (True, "simulated")
    assert cube.label("size", "_T") == "合计"
    assert read_cube(release, Selection("core_leaf_year", lang="en")).label("ai_class", "A") == "AI hardware"


def test_table_cells_say_what_they_are(release: Release) -> None:
    cube = read_cube(release, Selection("core_leaf_year"))
    table = table_model(cube, release, rows="ai_class", columns="period", indicator="ai_revenue")
    assert table.unit == "亿元"
    assert table.column_heads == ("2023年", "2024年", "2025年")
    assert [(code, depth) for code, _, depth in table.row_heads][:5] == [
        ("_T", 0),
        ("A", 1),
        ("A1", 2),
        ("A11", 3),
        ("A12", 3),
    ]
    last = {code: row[-1] for (code, _, _), row in zip(table.row_heads, table.cells, strict=True)}
    assert (last["A12"].text, last["A12"].value, last["A12"].state) == ("x", None, "withheld")
    assert (last["E"].text, last["E"].value, last["E"].state) == ("0", 0, "zero")
    assert (last["B21"].text, last["B21"].state) == ("…", "value")
    assert (last["A"].text, last["A"].state, last["A"].obs_status) == ("40.74", "value", "E")
    staff = table_model(cube, release, rows="ai_class", columns="period", indicator="rd_staff")
    cell = staff.cells[[code for code, _, _ in staff.row_heads].index("A11")][-1]
    assert (cell.text, cell.value, cell.state) == ("..", None, "missing")


def test_growth_cells_say_what_they_are(release: Release) -> None:
    cube = read_cube(release, Selection("core_leaf_year"))
    found = {}
    for indicator in ("ai_revenue", "rd_staff"):
        table = table_model(cube, release, rows="ai_class", columns="period", indicator=indicator, measure="yoy")
        assert table.unit == "%"
        found |= {(indicator, c): row for (c, _, _), row in zip(table.row_heads, table.cells, strict=True)}
    assert [c.text for c in found["ai_revenue", "_T"]] == ["—", "10.0", "-10.0"]
    assert found["ai_revenue", "A12"][-1].state == "withheld"
    assert found["ai_revenue", "E"][-1].state == "not_applicable"
    assert found["rd_staff", "A11"][-1].state == "missing"
    assert (found["ai_revenue", "B21"][-1].text, found["ai_revenue", "B21"][-1].state) == ("0.0", "zero")


def test_dimensions_left_out_stand_at_their_total_and_gaps_are_not_applicable(release: Release) -> None:
    cube = read_cube(release, Selection("filings_district_month", periods=Periods("fixed", values=("2025-11",))))
    table = table_model(cube, release, rows="district", columns="filing_type", indicator="filings")
    assert [code for code, _, _ in table.row_heads] == ["_T", "440303", "440305"]
    assert table.column_heads == ("合计", "深度合成", "推荐算法")
    only = read_cube(release, Selection("core_leaf_size", filters=(("ai_class", ("A", "B21")), ("size", ("S", "L")))))
    crossed = table_model(
        only, release, rows="ai_class", columns="size", indicator="ai_revenue", fixed={"period": "2024"}
    )
    assert [[c.state for c in row] for row in crossed.cells] == [["value", "value"], ["value", "value"]]
    whole = read_cube(release, Selection("core_leaf_year"))
    totals = table_model(whole, release, rows="ai_class", columns="period", indicator="rd_staff")
    assert len(totals.cells) == 11
    assert totals.is_synthetic


@pytest.mark.parametrize(
    "wrong",
    [
        {"rows": "size", "columns": "period", "indicator": "ai_revenue"},
        {"rows": "period", "columns": "period", "indicator": "ai_revenue"},
        {"rows": "ai_class", "columns": "period", "indicator": "filings"},
        {"rows": "ai_class", "columns": "period", "indicator": "ai_revenue", "fixed": {"size": "L"}},
    ],
)
def test_a_table_of_unknown_names_is_refused(wrong: dict[str, str], release: Release) -> None:
    with pytest.raises(SelectionError):
        table_model(read_cube(release, Selection("core_leaf_year")), release, **wrong)  # type: ignore[arg-type]


def test_read_only(release: Release, tmp_path: Path) -> None:
    import duckdb

    with pytest.raises(duckdb.Error):
        release._connection.execute(f"COPY meta_code TO '{tmp_path / 'x.csv'}'")
