"""Error localisation: published examples, Banff's answers, and brute force over all sets on small random problems."""

import itertools
from fractions import Fraction
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from etl.methods.editing.adjust import adjust_to_edits
from etl.methods.editing.expressions import EditError
from etl.methods.editing.linear import LinearEdit, linear_edits
from etl.methods.editing.localisation import Localiser, localise_errors
from etl.methods.editing.rules import Edit, check_edits, edits_from_lines

GOLDEN = Path(__file__).parents[1] / "golden" / "error_localisation" / "records.csv"
TEXTBOOK = ["T = C + P", "P <= 0.5*T", "T <= 550*N"]


def edits(*lines: str) -> tuple[LinearEdit, ...]:
    return linear_edits(edits_from_lines(lines))


def test_example_of_the_r_package_editrules() -> None:
    """de Jonge and van der Loo, editrules: p + c = t, c >= 0.6 t, p = 755, c = 125, t = 200 → p, which becomes 75."""
    rules = edits("p + c == t", "c - 0.6*t >= 0", "c >= 0", "p >= 0")
    found = Localiser(rules, ["p", "c", "t"]).localise(np.array([755.0, 125.0, 200.0]))
    assert (found.variables, found.objective, found.status) == (("p",), 1.0, "optimal")
    assert found.repair["p"] == pytest.approx(75.0)


def test_one_balance_any_variable_will_do_and_weights_decide() -> None:
    """The same package's first example: with equal weights the first listed, with weight 2 on t still one of the others."""
    record = np.array([[755.0, 125.0, 200.0]])
    assert localise_errors(record, edits("p + c == t"), ["p", "c", "t"])[0].variables == ("p",)
    assert localise_errors(record, edits("p + c == t"), ["p", "c", "t"], {"p": 3.0, "c": 2.0})[0].variables == ("t",)


def test_record_of_the_handbook() -> None:
    """de Waal, Pannekoek and Scholtus (2011): (T, P, C, N) = (100, 40000, 60000, 5) → profit and costs."""
    rules = edits(*TEXTBOOK, "-0.1*T <= P", "T >= 0")
    found = Localiser(rules, ["T", "P", "C", "N"], {"T": 2, "N": 3}).localise(np.array([100, 40000, 60000, 5.0]))
    assert (found.variables, found.objective, found.bound) == (("P", "C"), 2.0, 2.0)


def test_weights_of_banff() -> None:
    table = pl.read_csv(GOLDEN)
    names = ["T", "P", "C", "N"]
    rules = edits(*TEXTBOOK, *(f"{n} >= 0" for n in names))
    found = localise_errors(
        table.select(names).cast(pl.Float64).to_numpy(), rules, names, {"T": 2, "P": 1, "C": 1, "N": 3}
    )
    assert [f.objective for f in found] == table["banff_weight"].to_list()
    agree = sum(
        " ".join(sorted(f.variables)) == (fields or "") for f, fields in zip(found, table["banff_fields"], strict=True)
    )
    assert agree >= 22  # ties are drawn at random there


def feasible(
    matrix: np.ndarray, low: np.ndarray, high: np.ndarray, record: np.ndarray, chosen: tuple[int, ...]
) -> bool:
    free = [j in chosen for j in range(record.size)]
    bounds = [(None, None) if f else (x, x) for f, x in zip(free, record, strict=True)]
    rows = np.vstack([matrix[np.isfinite(high)], -matrix[np.isfinite(low)]])
    limits = np.concatenate([high[np.isfinite(high)], -low[np.isfinite(low)]])
    return bool(linprog(np.zeros(record.size), A_ub=rows, b_ub=limits, bounds=bounds, method="highs").status == 0)


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[LinearEdit], np.ndarray, dict[str, float]]:
    size = draw(st.integers(2, 4))
    names = [f"x{j}" for j in range(size)]
    rules = []
    for i in range(draw(st.integers(1, 5))):
        row = draw(st.lists(st.integers(-2, 2), min_size=size, max_size=size).filter(any))
        kind, bound = draw(st.sampled_from(["le", "ge", "eq"])), float(draw(st.integers(-5, 5)))
        low, high = (bound if kind != "le" else -np.inf), (bound if kind != "ge" else np.inf)
        rules.append(LinearEdit(f"e{i}", {n: float(c) for n, c in zip(names, row, strict=True) if c}, low, high))
    record = np.array(
        draw(st.lists(st.one_of(st.integers(-9, 9), st.none()), min_size=size, max_size=size)), dtype=float
    )
    return rules, record, {n: float(draw(st.integers(1, 3))) for n in names}


@given(problems())
@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_no_lighter_set_exists(problem: tuple[list[LinearEdit], np.ndarray, dict[str, float]]) -> None:
    """Every set of variables tried by an independent programme: least weight, then fewest, then first in the table."""
    rules, record, weights = problem
    names = list(weights)
    missing = tuple(map(int, np.flatnonzero(np.isnan(record))))
    matrix = np.array([[r.coefficients.get(n, 0.0) for n in names] for r in rules])
    low, high = np.array([r.lower for r in rules]), np.array([r.upper for r in rules])
    sets = [
        s for k in range(len(names) + 1) for s in itertools.combinations(range(len(names)), k) if set(missing) <= set(s)
    ]
    filled = np.nan_to_num(record)
    good = [s for s in sets if feasible(matrix, low, high, filled, s)]
    found = Localiser(rules, names, weights).localise(record)
    if not good:
        assert found.status == "infeasible" and found.objective is None
        return
    best = min(good, key=lambda s: (sum(weights[names[j]] for j in s), len(s), s))
    assert found.variables == tuple(names[j] for j in best)
    assert found.objective == found.bound == sum(weights[names[j]] for j in best)
    assert found.status == ("consistent" if not best else "optimal")
    programme = Localiser(rules, names, weights, most_sets=0).localise(record)
    assert (programme.status, programme.objective) == (found.status, found.objective)
    repaired = np.array([found.repair.get(n, x) for n, x in zip(names, filled, strict=True)])
    assert (matrix @ repaired >= low - 1e-6).all() and (matrix @ repaired <= high + 1e-6).all()


def test_missing_values_are_always_in_the_set() -> None:
    rules = edits("a + b = c", "b >= 0")
    found = Localiser(rules, ["a", "b", "c"]).localise(np.array([10.0, np.nan, 5.0]))
    assert found.variables == ("a", "b") and found.objective == 2.0
    alone = Localiser(rules, ["a", "b", "c"]).localise(np.array([3.0, np.nan, 5.0]))
    assert alone.variables == ("b",) and alone.repair["b"] == pytest.approx(2.0)


def test_amounts_of_very_different_size_are_told_apart() -> None:
    """A thousand-fold error of a large firm: the balance of billions, the ratio to staff of tens."""
    rules = edits("revenue = goods + services", "revenue <= 5000000 * staff", "goods >= 0", "services >= 0")
    names = ["revenue", "goods", "services", "staff"]
    found = Localiser(rules, names).localise(np.array([3.2e9, 3.2e12, 1.0e5, 1200.0]))
    assert found.variables == ("goods",) and found.repair["goods"] == pytest.approx(3.2e9 - 1e5)
    one_yuan = Localiser(rules, names).localise(np.array([3.2e9 + 100, 3.2e9, 0.0, 1200.0]))
    assert one_yuan.status == "optimal" and len(one_yuan.variables) == 1


@pytest.mark.parametrize(
    ("rules", "record", "changed"),
    [
        (["x > 0"], [0.0005, 9, 9], ()),
        (["x > 0"], [0.0, 9, 9], ("x",)),
        (["x < y"], [0.0003, 0.0004, 9], ()),
        (["x < y"], [0.0004, 0.0004, 9], ("x",)),
        (["0.5 > x"], [0.4995, 9, 9], ()),
        # what satisfies a strict edit by less than the gap is not changed because of another edit
        (["x > 0", "x + y = z", "y <= 1"], [0.0005, 5, 1], ("y",)),
        (["x > 0", "x = y"], [0.0005, 7, 0], ("x",)),
        # one yuan of thousands of millions
        (["x + y == z"], [1e9, 2e9, 3000000001], ("x",)),
        (["x + y == z"], [1e9, 2e9, 3000000000], ()),
        (["x + y == z", "x <= 1000000000"], [1e9, 2e9, 3000000001], ("y",)),
        (["x + y == z", "x <= 1000000000000"], [1e12, 9e12, 1e13 + 1], ("y",)),
        (["x + y == z", "x <= 1000000000000", "y = 9000000000000"], [1e12, 9e12, 1e13 + 1], ("z",)),
        (["x + y == z"], [123456789.01, 0.02, 123456789.03], ()),
    ],
)
def test_records_are_judged_as_written(rules: list[str], record: list[float], changed: tuple[str, ...]) -> None:
    names = ["x", "y", "z"]
    localiser = Localiser(edits(*rules), names)
    found = localiser.localise(np.array(record))
    assert found.variables == changed
    repaired = np.array([found.repair.get(n, v) for n, v in zip(names, record, strict=True)])
    assert not localiser.fails(repaired).any()
    programme = Localiser(edits(*rules), names, most_sets=0).localise(np.array(record))
    assert programme.objective == found.objective


def test_a_strict_edit_is_mended_with_room_to_see() -> None:
    assert Localiser(edits("x > 0"), ["x"]).localise(np.array([-1.0])).repair["x"] == pytest.approx(0.001)


@given(
    st.sampled_from(
        ["x + y == z", "x - z == -y", "x + y <= z", "x < y", "x + y > z", "0.1*x = y - 0.2*z", "x + y != z"]
    ),
    st.integers(0, 13),
    st.lists(st.integers(-30, 30), min_size=3, max_size=3),
    st.sampled_from([1.0, 0.01, 0.1]),
)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_edits_are_checked_and_localised_by_the_same_tolerance(
    rule: str, power: int, units: list[int], step: float
) -> None:
    """Amounts near 10^power that satisfy the edit exactly, or miss it by a few steps; exact arithmetic decides."""
    base = [3 * 10**power, 4 * 10**power, 7 * 10**power]
    exact = [Fraction(b) + Fraction(str(step)) * u for b, u in zip(base, units, strict=True)]
    record = [float(x) for x in exact]
    x, y, z = exact
    tenth = Fraction(1, 10)
    truth = {
        "x + y == z": x + y == z, "x - z == -y": x + y == z, "x + y <= z": x + y <= z, "x < y": x < y,
        "x + y > z": x + y > z, "0.1*x = y - 0.2*z": tenth * x == y - 2 * tenth * z, "x + y != z": x + y != z,
    }[rule]  # fmt: skip
    if step < 1 and power > 11:  # cents of such amounts are beyond double precision
        return
    table = pl.DataFrame({"id": [1], **dict(zip("xyz", [[v] for v in record], strict=True))})
    assert check_edits(table, [Edit("e", rule)], ["id"]).is_empty() == truth
    if "!=" not in rule:
        assert Localiser(edits(rule), list("xyz")).fails(np.array(record)).any() != truth


def test_an_edit_without_the_missing_value_is_judged() -> None:
    fails = Localiser(edits("x + y = z", "x <= 3"), ["x", "y", "z"]).fails(np.array([4.0, np.nan, 9.0]))
    assert fails.tolist() == [False, True]


def many() -> tuple[tuple[LinearEdit, ...], list[str], np.ndarray]:
    """Four negative parts of thirty, a total of 700 that may be 100 at most, the other parts 130: six more must change."""
    names = [f"p{j:02d}" for j in range(30)] + ["total"]
    rules = edits(" + ".join(names[:-1]) + " = total", *(f"{n} >= 0" for n in names), "total <= 100")
    return rules, names, np.array([*np.full(4, -3.0), *np.full(26, 5.0), 700.0])


def test_where_many_sets_weigh_alike_the_programme_decides() -> None:
    rules, names, record = many()
    found = Localiser(rules, names).localise(record, time_limit=60)
    assert (found.status, found.proof, found.objective) == ("optimal", "programme", 11.0)
    assert found.variables == (*names[:10], "total")


def test_without_time_a_set_that_works_and_a_bound_are_given() -> None:
    rules, names, record = many()
    hurried = Localiser(rules, names).localise(record, time_limit=0.0)
    assert (hurried.status, hurried.proof) == ("time_limit", "")
    assert hurried.bound is not None and hurried.objective is not None and hurried.bound <= 11.0 <= hurried.objective
    assert len(hurried.repair) == len(hurried.variables)


def test_contradictory_edits_are_said_to_be() -> None:
    rules = edits("a >= 3", "a <= 2")
    assert Localiser(rules, ["a"]).localise(np.array([1.0])).status == "infeasible"
    assert Localiser(rules, ["a"]).localise(np.array([np.nan])).status == "infeasible"


def test_linear_forms() -> None:
    form = edits("2*(a + 3) - b/4 >= -(c - 1) + 5")[0]
    assert form.coefficients == {"a": 2.0, "b": -0.25, "c": 1.0} and form.lower == 0.0 and form.upper == np.inf
    ratio = edits("a / b <= 1.5")
    assert [(dict(e.coefficients), e.lower, e.upper) for e in ratio] == [
        ({"a": 1.0, "b": -1.5}, -np.inf, 0.0),
        ({"b": 1.0}, 0.0, np.inf),
    ]
    assert (edits("a < 5")[0].upper, edits("a < 5")[0].gap) == (5.0, 0.001) and edits("a >= 1 and a <= 2")[
        1
    ].upper == 2.0
    assert edits("0.5 <= a / (b + c)")[0].coefficients == {"b": 0.5, "c": 0.5, "a": -1.0}


@pytest.mark.parametrize(
    "line", ["a * b <= 1", "a / b = c", "if a > 0 then b > 0", "a != 2", "abs(a) <= 1", "3 > 2", "a - a >= 1"]
)
def test_what_is_not_linear_is_refused(line: str) -> None:
    with pytest.raises(EditError, match=r"not linear|no variable"):
        edits(line)


def test_a_variable_of_infinite_weight_keeps_its_value() -> None:
    """The balance alone as in a test of the R package errorlocate (infinite weights: only cost may change), then more edits."""
    only = localise_errors(
        np.array([[755.0, 125.0, 200.0]]), edits("profit + cost == turnover"), ["profit", "cost", "turnover"],
        {"profit": np.inf, "cost": 1.0, "turnover": np.inf},
    )[0]  # fmt: skip
    assert (only.variables, only.status) == (("cost",), "optimal") and only.repair["cost"] == pytest.approx(-555)
    rules = edits("profit + cost == turnover", "cost >= 0.6*turnover", "turnover >= 0")
    names = ["profit", "cost", "turnover"]
    trusted = {"profit": np.inf, "cost": 1.0, "turnover": np.inf}
    record = np.array([755.0, 125.0, 200.0])
    for most_sets in (400, 0):
        found = Localiser(rules, names, {"profit": np.inf, "turnover": 1.0}, most_sets=most_sets).localise(record)
        assert (found.variables, found.status) == (("cost", "turnover"), "optimal")
        alone = Localiser(rules, names, trusted, most_sets=most_sets).localise(np.array([75.0, 12.5, 200.0]))
        assert (alone.variables, alone.objective, alone.status) == (("cost",), 1.0, "optimal")
        assert alone.repair["cost"] == pytest.approx(125)
        none = Localiser(rules, names, trusted, most_sets=most_sets).localise(record)
        assert (none.status, none.objective) == ("infeasible", None) and set(none.held) == {"profit", "turnover"}
        everything = Localiser(rules, names, dict.fromkeys(names, np.inf), most_sets=most_sets).localise(record)
        assert everything.status == "infeasible" and everything.held
    filled = Localiser(rules, names, trusted).localise(np.array([75.0, 12.5, np.nan]))
    assert filled.variables == ("cost", "turnover") and filled.objective == 1.0
    assert Localiser(edits("a >= 3", "a <= 2"), ["a"]).localise(np.array([1.0])).held == ()


def test_imputed_values_move_as_little_as_needed() -> None:
    rules = edits("a + b = c", "b <= 3", "a >= 0")
    free = np.array([True, True, False])
    moved = adjust_to_edits(np.array([5.0, 4.0, 10.0]), free, rules, ["a", "b", "c"])
    assert moved is not None and moved.tolist() == pytest.approx([7.0, 3.0, 10.0])
    fine = np.array([7.0, 3.0, 10.0])
    assert adjust_to_edits(fine, free, rules, ["a", "b", "c"]) is fine
    a_yuan_short = adjust_to_edits(np.array([1e9, 0.0, 1e9 + 1]), free, rules, ["a", "b", "c"])
    assert a_yuan_short is not None and a_yuan_short.sum() == pytest.approx(2e9 + 2, abs=0.01)
    assert adjust_to_edits(np.array([5.0, 4.0, 10.0]), np.array([False] * 3), rules, ["a", "b", "c"]) is None
    assert (
        adjust_to_edits(np.array([-5.0, 4.0, -10.0]), free, edits("a + b = c", "a >= 0", "b >= 0"), ["a", "b", "c"])
        is None
    )
