"""The cell-suppression engine on published and hand-worked cases.

Handbook: Hundepool et al., *Handbook on Statistical Disclosure Control*, 2nd ed. (sdcTools/HandbookSDC), chapter 4,
sections "Sensitive cells in magnitude tables" and "Secondary tabular data protection methods".
"""

import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from etl.methods.disclosure.elimination import PRIMES, priority, reduce, suppress
from etl.methods.disclosure.optimal import cheapest_pattern
from etl.methods.disclosure.problem import ProblemError
from etl.methods.disclosure.problem_build import Source, from_microdata
from etl.methods.disclosure.problem_cells import from_cells
from etl.methods.disclosure.protection import Options, prices, protect
from etl.methods.disclosure.search import Search
from etl.methods.disclosure.sensitivity import RuleSet, find_sensitive
from tests.etl.disclosure_engine_tables import cell, in_span, interval, square, variable

P10 = RuleSet(min_contributors=1, p_percent=10)


def only_dominance(n: int, k: float) -> RuleSet:
    return RuleSet(min_contributors=1, p_percent=None, dominance=((n, k),))


# --- primary rules ---------------------------------------------------------------------------------------------------


def test_handbook_example_1_one_k_dominance_misses_the_second_contributor():
    problem = cell([50_000, 49_000, 1_000])
    assert not find_sensitive(problem, only_dominance(1, 90)).unsafe[0]
    found = find_sensitive(problem, P10)
    assert found.unsafe[0]
    assert found.upper[0] == found.lower[0] == 5_000 - 1_000


def test_handbook_example_2_two_k_dominance_protects_too_much():
    problem = cell([52_000, 50_000, 8_000])
    assert not find_sensitive(problem, P10).unsafe[0]
    assert find_sensitive(problem, only_dominance(2, 90.9)).unsafe[0]


def test_handbook_example_4_protection_level_of_dominance():
    found = find_sensitive(cell([300, 20, 10]), only_dominance(1, 85))
    assert found.unsafe[0]
    assert found.upper[0] == 23  # 100/85 * 300 - 330 = 22.94, rounded up to whole units


def test_handbook_example_5_protection_level_of_the_p_percent_rule():
    found = find_sensitive(cell([300, 20, 10]), P10)
    assert found.upper[0] == 30 - 10


def test_handbook_sampling_weights_compare_the_estimate_with_the_sample():
    assert not find_sensitive(cell([100, 10], [4, 7]), P10).unsafe[0]
    assert not find_sensitive(cell([100, 1], [2, 3]), P10).unsafe[0]
    assert find_sensitive(cell([100, 1], [1, 3]), P10).unsafe[0]


def test_handbook_waivers_look_at_the_largest_without_one():
    rule = P10
    # X - x_s - x_r with s = g2 (50), r = g1 (100): 155 - 150 = 5, just p% of 50.
    assert not find_sensitive(cell([100, 50, 5], waivers=["g1"]), rule).unsafe[0]
    found = find_sensitive(cell([100, 50, 4], waivers=["g1"]), rule)
    assert found.unsafe[0]
    assert found.upper[0] == 1
    assert not find_sensitive(cell([100, 50], waivers=["g1", "g2"]), RuleSet()).unsafe[0]
    assert find_sensitive(cell([100, 50], waivers=["g1"]), RuleSet()).unsafe[0]


def test_public_contributors_are_removed_before_the_rules():
    problem = cell([500, 40, 30, 30], public=["g1"])
    found = find_sensitive(problem, RuleSet())
    assert not found.unsafe[0]
    assert find_sensitive(cell([500, 40, 30], public=["g1"]), RuleSet()).unsafe[0]
    assert not find_sensitive(cell([500], public=["g1"]), RuleSet()).unsafe[0]
    assert problem.floors[0] == 500


def test_negative_values_count_by_size_and_lose_the_bound_of_zero():
    problem = cell([100, -100, 3])
    found = find_sensitive(problem, P10)
    assert problem.negative
    assert found.unsafe[0]
    assert found.upper[0] == 10 - 3


def test_rules_are_exact_at_the_edge_and_beyond_53_bits():
    edge = cell([10**17, 10**17, 10**16])
    assert not find_sensitive(edge, P10).unsafe[0]
    assert find_sensitive(cell([10**17 + 1, 10**17, 10**16]), P10).unsafe[0]


def test_groups_are_one_contributor_and_rows_without_one_are_their_own():
    frame = pl.DataFrame({"p": ["P"] * 4, "x": [10, 10, 10, 10], "g": ["h", "h", None, None]})
    source = [Source("p", ("p",))]
    assert find_sensitive(from_microdata(frame, source, "x", "g"), RuleSet()).n[0] == 3
    assert find_sensitive(from_microdata(frame, source, "x"), RuleSet()).n[0] == 4


def test_frequency_tables_take_the_frequency_rule_alone():
    frame = pl.DataFrame({"p": ["a", "a", "b", "b", "b", "b"]})
    problem = from_microdata(frame, [Source("p", ("p",))])
    found = find_sensitive(problem, RuleSet())
    assert found.unsafe[variable(problem, p="a")]
    assert not found.unsafe[variable(problem, p="b")]
    assert found.upper.max() == 0
    assert found.width[variable(problem, p="a")] == 1


@pytest.mark.parametrize("bad", [{"min_contributors": 0}, {"p_percent": 101}, {"dominance": ((0, 50),)}])
def test_rules_out_of_range_are_refused(bad):
    with pytest.raises(ValueError, match=r"expected|dominance"):
        RuleSet(**bad)


# --- what an attacker can infer ---------------------------------------------------------------------------------------


def test_handbook_example_3_feasibility_interval():
    problem = square([[5, 2], [1, 2], [3, 3]], [["m", "m"], ["m", "m"], ["", ""]])
    hidden = np.zeros(problem.size, dtype=bool)
    hidden[[variable(problem, row=r, column=c) for r in ("r1", "r2") for c in ("c1", "c2")]] = True
    target = variable(problem, row="r1", column="c1")
    assert interval(problem, hidden, target) == pytest.approx((3, 6))
    found = find_sensitive(problem, RuleSet())
    search = Search(problem, found, prices(problem), hidden)
    up, down = search.extents(np.array([target]))[:, 0]
    assert (5 - down, 5 + up) == pytest.approx((3, 6))


#: Two hidden cells in every line at least, and yet r1 + r2 - c1 - c2 gives (r2, c3) exactly.
TRAP = [["m", "m", "", ""], ["m", "m", "u", ""], ["", "", "m", "m"], ["", "", "m", "m"]]
FIGURES = [[20, 50, 10, 19], [8, 19, 22, 15], [17, 32, 12, 20], [30, 11, 14, 60]]


def test_two_hidden_cells_in_every_line_are_not_enough():
    problem = square(FIGURES, TRAP)
    hidden = np.isin(problem.given, ("m", "u"))
    target = variable(problem, row="r2", column="c3")
    assert interval(problem, hidden, target) == pytest.approx((22, 22))
    with pytest.raises(ProblemError, match="forced"):
        protect(square(FIGURES, TRAP, rest="z"), RuleSet())
    result = protect(problem, RuleSet())
    assert result.report.certified
    low, high = interval(problem, result.hidden, target)
    assert low <= 22 - 3 + 1e-6
    assert high >= 22 + 3 - 1e-6


def test_elimination_alone_finds_the_trap():
    problem = square(FIGURES, TRAP)
    hidden = np.isin(problem.given, ("m", "u"))
    target = np.arange(problem.size) == variable(problem, row="r2", column="c3")
    order = priority(problem)
    none = np.full(problem.size, -1)
    result = reduce(problem.incidence, order[~hidden[order]], target, np.zeros_like(target), none, PRIMES[0])
    assert not result.published[~hidden].all()


def test_two_single_contributors_in_a_sum_need_a_third():
    rows = [
        ("a", 100, "g"),
        ("b", 100, "h"),
        *(("c", 100, f"c{i}") for i in range(5)),
        *(("d", 90, f"d{i}") for i in range(5)),
    ]
    frame = pl.DataFrame(rows, schema=["p", "v", "g"], orient="row")
    problem = from_microdata(frame, [Source("p", ("p",))], "v", "g")
    alone = protect(problem, RuleSet(singletons=False))
    assert (alone.frame["status"] != "published").sum() == 2
    safe = protect(problem, RuleSet())
    assert safe.report.certified
    assert (safe.frame["status"] != "published").sum() == 3


def test_a_group_alone_in_several_cells_is_one_attacker():
    rows = [("a", 100, "g"), ("b", 100, "g"), ("c", 100, "h"), ("c", 1, "i")]
    rows += [(p, 50 + 5 * k, f"{p}{i}") for k, p in enumerate("defg") for i in range(5)]
    frame = pl.DataFrame(rows, schema=["p", "v", "g"], orient="row")
    problem = from_microdata(frame, [Source("p", ("p",))], "v", "g")
    result = protect(problem, RuleSet())
    own = [variable(problem, p="a"), variable(problem, p="b")]
    members = problem.incidence.toarray()
    known = np.vstack([members[~result.hidden], members[own]])
    assert not in_span(known, members[variable(problem, p="c")])
    weak = ~suppress(problem, result.found, singletons=False).published
    assert in_span(np.vstack([members[~weak], members[own]]), members[variable(problem, p="c")])


def test_linked_tables_are_protected_together():
    """t1 alone and t2 alone hide enough; their common margin ties them."""
    random = np.random.default_rng(7)
    frame = pl.DataFrame(
        {
            "ind": random.choice(["i1", "i2", "i3", "i4"], 60),
            "size": random.choice(["s1", "s2", "s3"], 60),
            "place": random.choice(["p1", "p2", "p3"], 60),
            "v": random.lognormal(4, 1.5, 60).astype(int) + 1,
        }
    )
    sources = [Source(n, (n,)) for n in ("ind", "size", "place")]
    tables = {"t1": ["ind", "size"], "t2": ["ind", "place"], "t3": ["size", "place"]}
    problem = from_microdata(frame, sources, "v", tables=tables)
    assert problem.bare.size > 0
    result = protect(problem, RuleSet())
    assert result.report.certified
    for target in np.flatnonzero(result.found.unsafe):
        low, high = interval(problem, result.hidden, int(target))
        assert high >= problem.values[target] + result.found.upper[target] * (1 - 1e-5) - 1e-6
        assert low <= problem.values[target] - result.found.lower[target] * (1 - 1e-5) + 1e-6


# --- protection ------------------------------------------------------------------------------------------------------


def test_given_distances_and_statuses_hold():
    frame = pl.DataFrame(
        {
            "p": ["a", "b", "c", "d", "Total"],
            "v": [10, 20, 30, 40, 100],
            "st": ["u", "s", "", "z", "z"],
            "lo": [4.0, None, None, None, None],
            "up": [15.0, None, None, None, None],
        }
    )
    problem = from_cells(frame, [Source("p", ("p",))], "v", "st", "lo", "up")
    result = protect(problem, RuleSet())
    status = dict(result.frame.select("p", "status").rows())
    assert status["a"] == "primary"
    assert status["d"] == status["Total"] == "published"
    bounds = result.frame.filter(pl.col("p") == "a").row(0, named=True)
    assert bounds["lower"] <= 6
    assert bounds["upper"] >= 25


def test_what_cannot_be_protected_is_named():
    frame = pl.DataFrame({"p": ["a", "b", "Total"], "v": [10, 20, 30], "st": ["u", "", "z"], "up": [25.0, None, None]})
    with pytest.raises(ProblemError, match="p=a"):
        protect(from_cells(frame, [Source("p", ("p",))], "v", "st", upper="up"), RuleSet())


def test_public_contributions_bound_what_can_be_hidden():
    rows = [("a", 1000, "pub"), ("a", 50, "x"), ("b", 60, "y"), *(("c", 40, f"c{i}") for i in range(4))]
    frame = pl.DataFrame(rows, schema=["p", "v", "g"], orient="row")
    problem = from_microdata(frame, [Source("p", ("p",))], "v", "g", public=["pub"])
    result = protect(problem, RuleSet())
    low, high = interval(problem, result.hidden, variable(problem, p="a"))
    assert low >= 1000
    assert high >= 1055 - 1e-3


def test_negative_values_are_protected_without_the_bound_of_zero():
    rows = [("a", -100, "x"), ("b", 60, "y"), *((p, v, f"{p}{v}") for p in "cd" for v in (40, -30, 20, 35))]
    frame = pl.DataFrame(rows, schema=["p", "v", "g"], orient="row")
    result = protect(problem := from_microdata(frame, [Source("p", ("p",))], "v", "g"), RuleSet())
    assert result.report.certified
    low, high = interval(problem, result.hidden, variable(problem, p="a"))
    assert low <= -110
    assert high >= -90


def test_exact_protection_hides_no_more_than_interval_protection():
    problem = square(FIGURES, TRAP)
    exact = protect(problem, RuleSet(), Options(protection="exact"))
    assert exact.report.protection == "exact"
    low, high = interval(problem, exact.hidden, variable(problem, row="r2", column="c3"))
    assert high - low > 1e-6


def test_earlier_decisions_come_first():
    problem = square(FIGURES, [["u", "", "", ""], ["", "", "", ""], ["", "", "", ""], ["", "", "", ""]])
    before = protect(problem, RuleSet())
    hidden = np.flatnonzero(before.hidden).tolist()
    again = protect(problem, RuleSet(), Options(withheld=hidden, earlier=np.flatnonzero(~before.hidden).tolist()))
    assert np.array_equal(before.hidden, again.hidden)


def test_out_of_time_is_never_called_certified():
    problem = square(FIGURES, TRAP)
    result = protect(problem, RuleSet(), Options(time_limit=0.0))
    assert not result.report.certified
    assert result.report.open


def test_everything_unsafe_ends_and_asks_for_redesign():
    problem = square([[5, 7], [3, 9]], [["u", "u"], ["u", "u"]])
    result = protect(problem, RuleSet(), Options(redesign=0.5))
    assert result.report.certified
    assert result.report.redesign[-1] == ("table", 2, 1.0)


def test_progress_is_told_and_rounding_never_hurts():
    told: list[str] = []
    problem = square(FIGURES, TRAP)
    protect(problem, RuleSet(), Options(progress=lambda stage, done, total: told.append(stage)))
    assert "certify" in told
    rounded = protect(problem, RuleSet(), Options(rounding=10))
    assert rounded.report.certified
    assert rounded.hidden.sum() <= protect(problem, RuleSet()).hidden.sum()


def test_the_search_is_near_the_optimum_and_never_below():
    problem = square(FIGURES, TRAP)
    found = find_sensitive(problem, RuleSet())
    price = prices(problem)
    best = cheapest_pattern(problem, found, price)
    result = protect(problem, RuleSet())
    cost = price[result.hidden & ~found.unsafe].sum()
    assert best.bound - 1e-6 <= best.cost <= cost + 1e-6
    assert cost <= best.cost * 1.3


def test_nothing_is_compiled_at_import():
    code = (
        "from etl.methods.disclosure import kernel, region, protection\n"
        "assert not kernel.eliminate.signatures and not region.cut.signatures"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
