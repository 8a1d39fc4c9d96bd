"""Small count rounding: published examples, additivity, no small count left, nothing small that follows from others."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_array

from aistat.cli import main
from etl.methods.disclosure import small_counts
from etl.methods.disclosure.problem import ProblemError
from etl.methods.disclosure.small_counts import Rounded, small_count_rounding

IntArray = NDArray[np.int64]
#: Table 1 of Langsrud and Heldal (2018), column by column; data set exPSD of the R package SmallCountRounding (MIT).
PSD = np.array([6, 1, 0, 0, 2, 1, 1, 3, 1, 3, 1, 0, 4, 2, 2])
#: Total, three rows, five columns.
MARGINS = np.array(
    [[1] * 15] + [[int(j % 3 == i) for j in range(15)] for i in range(3)]
    + [[int(j // 3 == i) for j in range(15)] for i in range(5)]
)  # fmt: skip


def test_the_published_table_with_margins_only() -> None:
    """Tables 2 of the paper and 3 of the package's introduction: equal margins, two of the equally good inner tables."""
    printed = {
        (6, 1, 0, 0, 0, 5, 0, 5, 0, 5, 0, 0, 4, 2, 0),
        (6, 1, 0, 0, 0, 5, 5, 0, 0, 0, 5, 0, 4, 2, 0),
    }
    seen = set()
    for seed in range(12):
        found = small_count_rounding(csr_array(MARGINS), PSD, 5, seed)
        assert found.published.tolist() == [27, 14, 9, 4, 7, 3, 5, 4, 8]
        assert found.published_rounded.tolist() == [28, 15, 8, 5, 7, 5, 5, 5, 6]
        assert (found.largest, found.mean) == (2, 1.0) and found.root_mean_square == pytest.approx(1.2019, abs=5e-5)
        seen.add(tuple(found.inner_rounded.tolist()))
    assert seen == printed


def test_the_published_table_with_all_inner_cells() -> None:
    """Package's introduction: maxdiff 4, meanAbsDiff 1.3333, rootMeanSquare 1.6833, total 26, row totals 16, …"""
    for seed in range(12):
        found = small_count_rounding(csr_array(np.vstack([MARGINS, np.eye(15, dtype=int)])), PSD, 5, seed)
        assert found.published_rounded[0] == 26 and found.published_rounded[1] == 16
        assert found.largest == 4 and found.mean == pytest.approx(4 / 3)
        assert found.root_mean_square == pytest.approx(1.6833, abs=5e-5)


EUROPE = "dim_geo,dim_year,count\nIceland,2018,2\nPortugal,2018,3\nSpain,2018,7\n"
EUROPE += "Iceland,2019,1\nPortugal,2019,5\nSpain,2019,6\n"
TREE = "dimension,code,parent\ngeo,EU,\ngeo,nonEU,\ngeo,Portugal,EU\ngeo,Spain,EU\ngeo,Iceland,nonEU\n"


def run(folder: Path, method: str, table: str, *extra: str) -> int:
    (folder / "in.csv").write_text(table, encoding="utf-8")
    return main(["method", "run", method, "--input", str(folder / "in.csv"), "-o", str(folder / "out.json"), *extra])


def param(name: str, value: object) -> list[str]:
    return ["--param", f"{name}={value}"]


def test_published_example_with_a_hierarchy_by_command_line(tmp_path: Path) -> None:
    """Data set e6 of the package, base 5, ~geo + eu + year as its reference prints it; base 3 with everything crossed."""
    (tmp_path / "tree.csv").write_text(TREE, encoding="utf-8")
    (tmp_path / "tables.txt").write_text("geo\nyear\n", encoding="utf-8")
    more = [*param("hierarchies", tmp_path / "tree.csv"), *param("tables", tmp_path / "tables.txt"), *param("base", 5)]
    assert run(tmp_path, "small_count_rounding", EUROPE, *more, *param("internal", 1)) == 0
    answer = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    rounded = {(r["dim_geo"], r["dim_year"]): r["rounded"] for r in answer["rows"]}
    geo = {k: rounded[k, "Total"] for k in ("Total", "Iceland", "nonEU", "Portugal", "Spain", "EU")}
    assert geo == {"Total": 26, "Iceland": 5, "nonEU": 5, "Portugal": 8, "Spain": 13, "EU": 21}
    assert (rounded["Total", "2018"], rounded["Total", "2019"]) == (15, 11)
    assert answer["result"]["largest_deviation"] == 3 and answer["result"]["additive"] is True
    # The reference has 1.25 over eight cells; Iceland and nonEU are one here, its deviation of 2 counts once.
    assert answer["result"]["mean_deviation"] == pytest.approx((1.25 * 8 - 2) / 7)

    assert run(tmp_path, "small_count_rounding", EUROPE, *param("hierarchies", tmp_path / "tree.csv")) == 0
    answer = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert answer["result"]["largest_deviation"] == 1
    assert set(answer["rows"][0]) == {"table", "dim_geo", "dim_year", "rounded"}
    assert not {r["rounded"] for r in answer["rows"]} & {1, 2}


def checked(found: Rounded, members: IntArray) -> None:
    b = found.base
    assert (members @ found.inner_rounded == found.published_rounded).all()
    assert (members @ found.inner == found.published).all()
    assert not ((found.published_rounded > 0) & (found.published_rounded < b)).any()
    changed = found.inner != found.inner_rounded
    assert (found.inner[changed] > 0).all() and (found.inner[changed] < b).all()
    assert np.isin(found.inner_rounded[changed], (0, b)).all()


@st.composite
def tables(draw: st.DrawFn) -> tuple[IntArray, IntArray]:
    inner, cells = draw(st.integers(1, 14)), draw(st.integers(0, 12))
    bits = draw(st.lists(st.integers(0, 2**inner - 1), min_size=cells, max_size=cells))
    members = np.array([[b >> i & 1 for i in range(inner)] for b in bits], dtype=np.int64).reshape(cells, inner)
    counts = draw(st.lists(st.one_of(st.integers(0, 4), st.integers(0, 60)), min_size=inner, max_size=inner))
    return members, np.array(counts, dtype=np.int64)


@settings(max_examples=80, deadline=None)
@given(tables(), st.integers(2, 6), st.integers(0, 3))
def test_totals_add_up_and_no_small_count_stands(drawn: tuple[IntArray, IntArray], base: int, seed: int) -> None:
    members, counts = drawn
    found = small_count_rounding(csr_array(members), counts, base, seed)
    checked(found, members)
    again = small_count_rounding(csr_array(members), counts, base, seed)
    assert (again.inner_rounded == found.inner_rounded).all()
    left = np.flatnonzero((found.inner_rounded > 0) & (found.inner_rounded < base))
    open_cells = ~(members[found.published_rounded == 0] > 0).any(axis=0)
    rank = np.linalg.matrix_rank(members[:, open_cells]) if members.size else 0
    for cell in left:
        unit = (np.arange(counts.size) == cell).astype(int)
        assert np.linalg.matrix_rank(np.vstack([members, unit])[:, open_cells]) == rank + 1


def test_a_small_count_that_follows_by_difference_is_rounded_too() -> None:
    members = csr_array(np.array([[1, 1, 1], [1, 0, 0], [0, 1, 0]]))
    counts = np.array([20, 30, 1])
    assert small_count_rounding(members, counts, determined=False).inner_rounded.tolist() == [20, 30, 1]
    assert small_count_rounding(members, counts).inner_rounded.tolist() == [20, 30, 0]


def test_more_cells_than_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_counts, "BATCH", 7)
    random = np.random.default_rng(4)
    counts = random.integers(0, 4, 60)
    members = np.vstack([np.ones((1, 60)), np.kron(np.eye(6), np.ones(10)), np.tile(np.eye(10), 6), np.eye(60)])
    found = small_count_rounding(csr_array(members.astype(np.int64)), counts)
    checked(found, members.astype(np.int64))
    # Every batch makes up for what the earlier ones left over, so the total stays within one base.
    assert abs(found.deviations[0]) <= 3


def test_the_choice_is_better_than_chance() -> None:
    random = np.random.default_rng(8)
    counts = random.integers(0, 3, 120)
    members = np.vstack([np.kron(np.eye(12), np.ones(10)), np.tile(np.eye(10), 12), np.eye(120)]).astype(np.int64)
    found = small_count_rounding(csr_array(members), counts)
    small = np.flatnonzero((counts > 0) & (counts < 3))
    up = int((found.inner_rounded == 3).sum())
    chance = []
    for _ in range(50):
        inner = np.where((counts > 0) & (counts < 3), 0, counts)
        inner[random.choice(small, up, replace=False)] = 3
        chance.append(float(np.square(members[:22] @ (inner - counts)).mean()))
    assert np.square(found.deviations[:22]).mean() < min(chance)


@pytest.mark.parametrize(
    ("members", "counts", "base", "said"),
    [
        ([[1, 1]], [1, 2], 1, "expected 2 or more"),
        ([[1, 1]], [1, -2], 3, "expected 0 or more"),
        ([[1, 1]], [1, 2, 3], 3, "expected as many"),
        ([[1, 2]], [1, 2], 3, "neither 0 nor 1"),
    ],
)
def test_what_is_no_count_is_refused(members: list[list[int]], counts: list[int], base: int, said: str) -> None:
    with pytest.raises(ProblemError, match=said):
        small_count_rounding(csr_array(np.array(members)), np.array(counts), base)


def test_bad_files_are_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tree.csv").write_text("dimension,code,parent\nplanet,Mars,\n", encoding="utf-8")
    cases = [
        ("dim_a,count\nx,-1\n", [], "line 2, column count: below 0"),
        ("a,count\nx,1\n", [], "a column dim_… of 维度代码 / code of a dimension, one column each is missing"),
        ("dim_a\nx\n", param("base", 1), "expected 2 or more"),
        ("dim_a\nx\n", param("hierarchies", tmp_path / "tree.csv"), "dimension planet has no column"),
    ]
    for table, extra, said in cases:
        assert run(tmp_path, "small_count_rounding", table, *extra) == 2
        error = capsys.readouterr().err
        assert said in error and len(error.strip().splitlines()) == 1


def test_microdata_and_counts_agree(tmp_path: Path) -> None:
    counted = pl.read_csv(EUROPE.encode(), infer_schema=False)
    units = [row for row in counted.rows() for _ in range(int(row[2]))]
    text = "dim_geo,dim_year\n" + "".join(f"{g},{y}\n" for g, y, _ in units)
    answers = []
    for table in (EUROPE, text):
        assert run(tmp_path, "small_count_rounding", table, *param("internal", 1)) == 0
        answers.append(json.loads((tmp_path / "out.json").read_text(encoding="utf-8")))
    assert [r["count"] for r in answers[0]["rows"]] == [r["count"] for r in answers[1]["rows"]]
    assert answers[0]["result"]["largest_deviation"] == answers[1]["result"]["largest_deviation"]
