"""The common input of cell suppression: microdata and finished tables."""

import numpy as np
import polars as pl
import pytest

from etl.methods.disclosure.problem import ProblemError
from etl.methods.disclosure.problem_build import Source, from_microdata
from etl.methods.disclosure.problem_cells import from_cells
from tests.etl.disclosure_engine_tables import variable

UNEVEN = pl.DataFrame(
    {
        "i1": ["A", "A", "A", "B", "B", "C"],
        "i2": ["A1", "A2", "A1", "B", "B", None],
        "p": ["x", "y", "x", "x", "y", "y"],
        "v": [1.5, 2.0, 3.0, 4.0, 5.0, 6.25],
    }
)


def test_uneven_hierarchies_repeated_codes_and_decimals():
    problem = from_microdata(UNEVEN, [Source("ind", ("i1", "i2")), Source("p", ("p",))], "v")
    assert problem.scale == 2
    assert problem.dims[0].codes == ("Total", "A", "B", "C", "A1", "A2")
    assert problem.values[variable(problem)] == 2175
    assert problem.values[variable(problem, ind="A", p="x")] == 450
    # A1 has contributions at x only: one figure, one variable.
    assert variable(problem, ind="A1") == variable(problem, ind="A1", p="x") == variable(problem, ind="A", p="x")
    assert not (problem.relations @ problem.node_values).any()


def test_units_coded_to_an_inner_code_are_nodes_of_their_own():
    frame = pl.DataFrame({"i": ["A1", "A", "A2", "B"], "v": [1, 2, 3, 4]})
    pairs = (("A", None), ("A1", "A"), ("A2", "A"), ("B", None))
    problem = from_microdata(frame, [Source("i", column="i", pairs=pairs)], "v")
    assert problem.values[variable(problem, i="A")] == 6
    assert problem.bare.size == 1
    assert problem.atoms[problem.bare[0]] == 2
    assert not (problem.relations @ problem.node_values).any()


def test_atoms_never_told_apart_are_one():
    frame = pl.DataFrame({"a": ["x", "x", "y"], "b": ["s", "t", "s"], "v": [1, 2, 4]})
    sources = [Source("a", ("a",)), Source("b", ("b",))]
    problem = from_microdata(frame, sources, "v", tables={"t": ["a"]})
    assert sorted(problem.atoms.tolist()) == [3, 4]


def test_finished_table_and_microdata_give_the_same_problem():
    micro = from_microdata(UNEVEN, [Source("ind", ("i1", "i2")), Source("p", ("p",))], "v")
    values = np.append(micro.values, 0)[micro.cells["variable"].to_numpy()] / 100
    cells = micro.cells.with_columns(v=pl.Series(values)).drop("variable", "table", "depth")
    pairs = tuple(
        (c, micro.dims[0].codes[p]) for c, p in zip(micro.dims[0].codes[1:], micro.dims[0].parents[1:], strict=True)
    )
    problem = from_cells(cells, [Source("ind", column="ind", pairs=pairs), Source("p", ("p",))], "v")
    assert problem.values.tolist() == micro.values.tolist()
    assert (problem.incidence != micro.incidence).nnz == 0


def test_a_table_that_does_not_add_up_is_refused_and_says_where():
    frame = pl.DataFrame({"p": ["a", "b", "Total"], "v": [1, 2, 4]})
    with pytest.raises(ProblemError, match=r"p=Total: 4 ≠ 3 .*p"):
        from_cells(frame, [Source("p", ("p",))], "v")
    with pytest.raises(ProblemError, match=r"missing"):
        from_cells(frame[:2], [Source("p", ("p",))], "v")
    with pytest.raises(ProblemError, match=r"twice: p=a"):
        from_cells(pl.concat([frame, frame[:1]]), [Source("p", ("p",))], "v")


def test_linked_finished_tables_need_the_cells_both_sum():
    rows = [("a", "Total", 3), ("b", "Total", 4), ("Total", "x", 5), ("Total", "y", 2), ("Total", "Total", 7)]
    frame = pl.DataFrame(rows, schema=["p", "s", "v"], orient="row")
    with pytest.raises(ProblemError, match="finest cross"):
        from_cells(frame, [Source("p", ("p",)), Source("s", ("s",))], "v", tables={"t1": ["p"], "t2": ["s"]})
    assert from_cells(frame, [Source("p", ("p",)), Source("s", ("s",))], "v", tables={"t1": ["p"]}).size == 3


@pytest.mark.parametrize(
    ("frame", "match"),
    [
        (pl.DataFrame({"p": ["a", None], "v": [1, 2]}), "row 2 has no code"),
        (pl.DataFrame({"p": ["a"], "v": ["1"]}), "expected numbers"),
        (pl.DataFrame({"p": ["a"], "v": [1e-7]}), "more than 6 decimals"),
        (pl.DataFrame({"p": ["a"], "v": [2**61]}), "beyond 2"),
        (pl.DataFrame({"q": ["a"], "v": [1]}), "no columns"),
    ],
)
def test_unusable_microdata_is_refused(frame, match):
    with pytest.raises(ProblemError, match=match):
        from_microdata(frame, [Source("p", ("p",))], "v")


def test_a_code_under_two_parents_is_refused():
    frame = pl.DataFrame({"a": ["A", "B"], "b": ["x", "x"], "v": [1, 2]})
    with pytest.raises(ProblemError, match="lies under"):
        from_microdata(frame, [Source("i", ("a", "b"))], "v")


def test_a_table_may_stop_at_a_level_of_a_dimension():
    sources = [Source("ind", ("i1", "i2")), Source("p", ("p",))]
    problem = from_microdata(UNEVEN, sources, "v", tables={"leaf": ["ind"], "branch": ["ind:1", "p"]})
    shown = {t: set(f["ind"]) for (t,), f in problem.cells.partition_by("table", as_dict=True).items()}
    assert shown == {"leaf": {"Total", "A", "B", "C", "A1", "A2"}, "branch": {"Total", "A", "B", "C"}}
    whole = from_microdata(UNEVEN, sources, "v")
    for row in problem.cells.filter(pl.col("variable") >= 0).iter_rows(named=True):
        assert problem.values[row["variable"]] == whole.values[variable(whole, ind=row["ind"], p=row["p"])]
    assert not (problem.relations @ problem.node_values).any()
    for wrong in ("ind:0", "ind:x", "colour"):
        with pytest.raises(ProblemError, match=r"table 't'.*(level|unknown dimension)"):
            from_microdata(UNEVEN, sources, "v", tables={"t": [wrong]})


def test_what_is_no_answer_adds_to_the_figure_and_to_no_contributor():
    frame = pl.DataFrame({"p": ["x", "x", "y"], "v": [5, 7, 9], "who": ["g", None, "h"], "seen": [True, False, True]})
    problem = from_microdata(frame, [Source("p", ("p",))], "v", "who", observed="seen")
    assert problem.values[variable(problem, p="x")] == 12 and problem.groups == ("g", "h")
    assert (problem.incidence @ problem.parts).toarray()[variable(problem, p="x")].tolist() == [5, 0]
