"""Properties of the cell-suppression engine on small random tables, against one linear programme per cell."""

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl.methods.disclosure.optimal import cheapest_pattern
from etl.methods.disclosure.problem import Problem
from etl.methods.disclosure.problem_build import Source, from_microdata
from etl.methods.disclosure.problem_cells import from_cells
from etl.methods.disclosure.protection import Options, prices, protect
from etl.methods.disclosure.sensitivity import RuleSet, find_sensitive
from tests.etl.disclosure_engine_tables import in_span, interval

SMALL = settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
SOURCES = (Source("ind", ("i1", "i2")), Source("p", ("p",)), Source("s", ("s",)))
TABLES = (
    None,
    {"t1": ["ind", "p"]},
    {"t1": ["ind", "p"], "t2": ["ind", "s"]},
    {"t1": ["ind", "p"], "t2": ["p", "s"], "t3": ["s", "ind"]},
)


@st.composite
def problems(draw: st.DrawFn, negative: bool = False) -> Problem:
    """Up to 40 units of 12 groups in at most 6 × 4 × 3 cells; some groups public."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = draw(st.integers(3, 40))
    leaf = random.integers(0, draw(st.integers(1, 4)), rows)
    value = np.rint(random.lognormal(3, draw(st.sampled_from([0.3, 1.0, 2.0])), rows)).astype(int) + 1
    if negative:
        value *= random.choice([-1, 1], rows)
    frame = pl.DataFrame(
        {
            "i1": [f"A{c // 2}" for c in leaf],
            "i2": [f"B{c}" for c in leaf],
            "p": [f"p{c}" for c in random.integers(0, draw(st.integers(1, 3)), rows)],
            "s": [f"s{c}" for c in random.integers(0, 2, rows)],
            "v": value,
            "g": [f"g{c}" for c in random.integers(0, 12, rows)],
        }
    )
    public = ["g0"] if draw(st.booleans()) else []
    return from_microdata(frame, SOURCES, "v", "g", tables=draw(st.sampled_from(TABLES)), public=public)


def assert_protected(problem: Problem, hidden: np.ndarray, rules: RuleSet) -> None:
    """All required distances by an independent attacker; the two tolerances cover both solvers."""
    found = find_sensitive(problem, rules)
    assert hidden[found.unsafe].all()
    for target in np.flatnonzero(found.unsafe).tolist():
        value = float(problem.values[target])
        low, high = interval(problem, hidden, target)
        slack = 1e-5 * max(1.0, float(found.upper[target]))
        assert high >= value + found.upper[target] - slack
        assert low <= value - found.lower[target] + slack
        assert high - low >= found.width[target] - slack


@SMALL
@given(problems())
def test_every_unsafe_cell_is_protected_on_both_sides(problem):
    result = protect(problem, RuleSet())
    assert result.report.certified
    assert_protected(problem, result.hidden, RuleSet())


@SMALL
@given(problems())
def test_stated_bounds_are_what_an_attacker_finds(problem):
    result = protect(problem, RuleSet(singletons=False))
    for target in np.flatnonzero(result.hidden)[:4].tolist():
        low, high = interval(problem, result.hidden, target)
        row = result.frame.filter(problem.cells["variable"] == target).row(0, named=True)
        if row["lower"] is not None:
            assert row["lower"] == pytest.approx(low, rel=1e-5, abs=1e-4)
            assert np.isinf(high) or row["upper"] == pytest.approx(high, rel=1e-5, abs=1e-4)


@SMALL
@given(problems(negative=True))
def test_negative_values(problem):
    result = protect(problem, RuleSet())
    assert result.report.certified
    assert_protected(problem, result.hidden, RuleSet())


@SMALL
@given(problems())
def test_no_group_alone_in_cells_finds_another(problem):
    result = protect(problem, RuleSet())
    found, members = result.found, problem.incidence.toarray()
    for owner in np.unique(found.owner[found.unsafe & (found.owner >= 0)]).tolist():
        own = found.unsafe & (found.owner == owner)
        rows = members[~result.hidden | own]
        for target in np.flatnonzero(found.unsafe & ~own):
            assert not in_span(rows, members[target])


@SMALL
@given(problems())
def test_nothing_needless_is_hidden_and_exact_protection_is_exact(problem):
    rules = RuleSet(singletons=False)
    result = protect(problem, rules, Options(protection="exact"))
    members, unsafe = problem.incidence.toarray(), result.found.unsafe
    for target in np.flatnonzero(unsafe):
        assert not in_span(members[~result.hidden], members[target])
    for cell in np.flatnonzero(result.hidden & ~unsafe):
        more = ~result.hidden
        more[cell] = True
        assert any(in_span(members[more], members[target]) for target in np.flatnonzero(unsafe))


@SMALL
@given(problems())
def test_relations_and_incidence_say_the_same(problem):
    members = problem.incidence.toarray()
    nodes = np.vstack([members, np.eye(members.shape[1], dtype=int)[problem.bare]])
    assert not (problem.relations.toarray() @ nodes).any()
    free = nodes.shape[0] - (np.linalg.matrix_rank(problem.relations.toarray()) if problem.relations.shape[0] else 0)
    assert free == np.linalg.matrix_rank(nodes)
    assert len({row.tobytes() for row in members}) == problem.size


@SMALL
@given(problems())
def test_rules_agree_with_a_plain_reckoning(problem):
    found = find_sensitive(problem, RuleSet(dominance=((1, 80.0),)))
    cells = (problem.incidence @ problem.parts).toarray()[:, ~problem.known]
    for variable, row in enumerate(cells):
        x = sorted((int(v) for v in row if v), reverse=True)
        few = 0 < len(x) < 3
        p_rule = bool(x) and 10 * sum(x[2:]) < x[0]
        dominance = bool(x) and 100 * x[0] > 80 * sum(x)
        assert found.unsafe[variable] == (few or p_rule or dominance)


@settings(SMALL, max_examples=10)
@given(problems())
def test_the_optimum_is_protected_and_a_lower_bound(problem):
    rules = RuleSet(singletons=False)
    found, price = find_sensitive(problem, rules), prices(problem)
    best = cheapest_pattern(problem, found, price)
    assert_protected(problem, best.hidden, rules)
    result = protect(problem, rules)
    assert best.cost <= price[result.hidden & ~found.unsafe].sum() + 1e-6


@settings(SMALL, max_examples=10)
@given(problems())
def test_a_finished_table_with_statuses_is_protected_alike(problem):
    """Through a file of cells: what the rules found unsafe is given as ``u`` with its distances."""
    if len(problem.cells["table"].unique()) > 1:
        return
    found = find_sensitive(problem, RuleSet(singletons=False))
    at = problem.cells["variable"].to_numpy()
    unsafe = np.append(found.unsafe, False)[at]
    cells = problem.cells.with_columns(
        v=pl.Series(np.append(problem.values, 0)[at]),
        st=pl.Series(np.where(unsafe, "u", "").tolist()),
        lo=pl.Series(np.append(found.lower, 0)[at]),
        up=pl.Series(np.append(found.upper, 0)[at]),
    )
    sources = []
    for dim in problem.dims:
        pairs = tuple((c, dim.codes[p]) for c, p in zip(dim.codes[1:], dim.parents[1:].tolist(), strict=True))
        sources.append(Source(dim.name, column=dim.name, pairs=pairs))
    shown = [d.name for d in problem.dims if (problem.cells[d.name] != "Total").any()]
    again = from_cells(cells, sources, "v", "st", "lo", "up", tables={"t": shown})
    assert sorted(again.values.tolist()) == sorted(problem.values.tolist())
    result = protect(again, RuleSet(singletons=False))
    assert result.report.certified
    assert_protected(again, result.hidden, RuleSet(singletons=False, p_percent=None))
