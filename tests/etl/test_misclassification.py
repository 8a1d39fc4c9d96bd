"""Adjusted counts: hand calculations, published formulae, properties, zero-error strata, choice, simulation, evidence."""

import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binom

from etl.methods.misclassification import (
    Adjusted,
    Gold,
    adjusted_counts,
    adjusted_totals,
    allocate_gold,
    change,
    moments,
    shift_test,
    tally,
    tally_sizes,
)
from etl.methods.misclassification.rates import class_shares, confusion, laws_of_strata, rate_draws
from tests.benchmarks import prove_misclassification as simulation

# Predicted AI: 100 units, gold 10, of which 8 AI. Predicted none: 900 units, gold 30, of which 1 AI.
PAIR = Gold(np.array([[8, 2], [1, 29]]), np.array([100, 900]), np.array([0, 1]))


def gold_samples(max_classes: int = 4) -> st.SearchStrategy[Gold]:
    """Gold samples with two bands per predicted class."""

    @st.composite
    def build(draw: st.DrawFn) -> Gold:
        classes = draw(st.integers(2, max_classes))
        rows = [draw(st.lists(st.integers(0, 30), min_size=classes, max_size=classes)) for _ in range(2 * classes)]
        counts = np.array(rows)
        counts[:, 0] += counts.sum(axis=1) == 0
        more = np.array(draw(st.lists(st.integers(0, 5000), min_size=2 * classes, max_size=2 * classes)))
        return Gold(counts, counts.sum(axis=1) + more, np.repeat(np.arange(classes), 2))

    return build()


# --- allocation


def test_allocation_is_neyman_where_cases_are_no_constraint() -> None:
    # weights 9000 * sqrt(.01 * .99) = 895.5 and 1000 * sqrt(.25) = 500: 64.2 and 35.8 of 100
    design = allocate_gold(np.array([9000, 1000]), np.array([0.01, 0.5]), 100, np.array([True, False]), min_cases=0)
    assert design.size.tolist() == [64, 36]
    assert design.inclusion.tolist() == pytest.approx([64 / 9000, 36 / 1000])
    assert design.expected_cases == pytest.approx(0.64)
    assert design.reliable


def test_allocation_with_enough_cases_is_the_best_of_all_that_have_them() -> None:
    units, rate = np.array([5000, 400, 300]), np.array([0.002, 0.06, 0.5])
    not_ai = np.array([True, True, False])
    design = allocate_gold(units, rate, 90, not_ai, min_cases=3.0, minimum=5)
    plain = allocate_gold(units, rate, 90, not_ai, min_cases=0.0, minimum=5)
    assert plain.expected_cases < 3.0 <= design.expected_cases

    def variance(size: tuple[int, ...]) -> float:
        return float((units**2 * rate * (1 - rate) / np.array(size)).sum())

    best = min(
        variance((a, b, 90 - a - b))
        for a, b in itertools.product(range(5, 81), repeat=2)
        if 90 - a - b >= 5 and a * rate[0] + b * rate[1] >= 3.0
    )
    assert variance(tuple(design.size)) <= best * 1.01


def test_allocation_says_when_no_sample_of_that_size_can_be_reliable() -> None:
    # 1 % AI, sensitivity .90: one AI unit in 981 predicted not AI, so that 2,000 gold units hold two cases
    design = allocate_gold(np.array([196_220, 3780]), np.array([200 / 196_220, 0.476]), 2000, np.array([True, False]))
    assert not design.reliable
    assert design.size.sum() == 2000


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 100_000), st.floats(0, 1), st.booleans()), min_size=2, max_size=8),
    st.integers(50, 3000),
    st.floats(0, 20),
)
def test_allocation_keeps_size_and_bounds(strata, n, cases) -> None:  # type: ignore[no-untyped-def]
    units, rate, not_ai = (np.array(column) for column in zip(*strata, strict=True))
    if not np.minimum(units, 5).sum() <= n <= units.sum():
        with pytest.raises(ValueError, match="change n or join strata"):
            allocate_gold(units, rate, n, not_ai, min_cases=cases, minimum=5)
        return
    design = allocate_gold(units, rate, n, not_ai, min_cases=cases, minimum=5)
    assert design.size.sum() == n
    assert (design.size <= units).all()
    assert (design.size >= np.minimum(units, 5)).all()
    assert design.reliable == (design.expected_cases >= cases)
    assert design.expected_cases == pytest.approx(float((design.size * rate)[not_ai].sum()))


# --- estimators by hand and by published formula


def test_calibration_by_hand() -> None:
    result = adjusted_counts(PAIR, PAIR.frame, known=PAIR.counts)
    found = result.estimate()
    assert found.adjusted == pytest.approx(100 * 8 / 10 + 900 * 1 / 30)
    assert found.plain == 100
    assert result.adjusted[:, 0].tolist() == pytest.approx([110, 890])
    assert (result.estimator, result.reason, result.notes) == ("calibration", "gold_current", ("few_cases",))
    assert found.lower < 110 < found.upper


def test_misclassification_is_the_inverse_of_the_confusion_matrix() -> None:
    # then: 80 of 110 AI units and 20 of 890 others predicted AI; now 150 of 1000 predicted AI (Rogan & Gladen 1978)
    hit, false = 80 / 110, 20 / 890
    result = adjusted_counts(PAIR, np.array([150, 850]), estimator="misclassification")
    assert result.estimate().adjusted == pytest.approx(1000 * (0.15 - false) / (hit - false))
    assert result.reason == "requested"


def test_inverse_of_many_classes_and_its_edge() -> None:
    law = np.array([[[0.8, 0.1, 0.05], [0.1, 0.7, 0.05], [0.1, 0.2, 0.9]]])
    predicted = np.arange(3)
    share = np.array([[0.3, 0.2, 0.5]])
    assert confusion(law, predicted)[0].tolist() == law[0].tolist()
    assert class_shares(law, share, predicted)[0] == pytest.approx(np.linalg.solve(law[0], share[0]), abs=1e-8)
    # fewer units predicted class 0 than its false positives alone: the inverse is negative, the estimate is 0
    low = np.array([[0.01, 0.2, 0.79]])
    assert np.linalg.solve(law[0], low[0])[0] < 0
    edge = class_shares(law, low, predicted)[0]
    assert edge[0] == pytest.approx(0, abs=1e-6)
    assert edge.sum() == pytest.approx(1)


def test_many_bands_reach_the_maximum_of_the_likelihood() -> None:
    rng = np.random.default_rng(3)
    law = rng.dirichlet(np.ones(6), size=2).T[None]
    share = rng.dirichlet(np.full(6, 20.0))[None]
    best = class_shares(law, share, np.array([0, 0, 0, 1, 1, 1]))[0]
    grid = np.linspace(0.0005, 0.9995, 2000)
    fitted = law[0, :, :1] * grid + law[0, :, 1:] * (1 - grid)
    assert best[0] == pytest.approx(grid[(share[0][:, None] * np.log(fitted)).sum(axis=0).argmax()], abs=1e-3)


@pytest.mark.parametrize(
    ("share", "sensitivity", "specificity", "plain", "misclassification", "calibration"),
    [(0.04, 0.85, 0.98, 33, 10.6, 7.5), (0.01, 0.90, 0.99, 89, 26.8, 17.3)],
)
def test_formulae_agree_with_the_simulated_table_of_the_design_note(  # type: ignore[no-untyped-def]
    share, sensitivity, specificity, plain, misclassification, calibration
) -> None:
    found = moments(share, sensitivity, specificity, 2000)
    assert 100 * found.plain_bias == pytest.approx(plain, abs=0.5)
    assert 100 * found.misclassification_error == pytest.approx(misclassification, rel=0.04)
    assert 100 * found.calibration_error == pytest.approx(calibration, rel=0.04)


# --- intervals


@pytest.mark.parametrize(("n", "errors"), [(10, 0), (10, 1), (400, 0), (400, 7)])
def test_rates_of_two_classes_are_jeffreys_also_without_errors(n: int, errors: int) -> None:
    drawn = rate_draws(np.array([[n - errors, errors]], dtype=float), np.array([0]), 100_000, np.random.default_rng(5))
    for tail in (0.025, 0.5, 0.975):
        expected = beta.ppf(tail, errors + 0.5, n - errors + 0.5)
        density = beta.pdf(expected, errors + 0.5, n - errors + 0.5)
        error = 5 * math.sqrt(tail * (1 - tail) / 100_000) / density
        assert np.quantile(drawn[:, 0, 1], tail) == pytest.approx(expected, abs=error)


def test_sum_of_wrong_classes_does_not_depend_on_their_number() -> None:
    rng = np.random.default_rng(6)
    for classes in (2, 5, 31):
        counts = np.zeros((1, classes))
        counts[0, -1] = 500
        drawn = rate_draws(counts, np.array([classes - 1]), 50_000, rng)
        assert drawn.sum(axis=2) == pytest.approx(1.0)
        assert (1 - drawn[:, 0, -1]).mean() == pytest.approx(0.5 / 501, rel=0.05)


def test_no_error_found_is_not_no_error() -> None:
    gold = Gold(np.array([[50, 0], [0, 500]]), np.array([1000, 100_000]), np.array([0, 1]), expected_cases=12.0)
    found = adjusted_counts(gold, gold.frame, known=gold.counts).estimate()
    assert found.adjusted == 1000
    assert found.lower < 1000
    assert found.upper > 1000 + 100_000 / 500
    assert found.reliable


def test_everything_in_gold_leaves_nothing_to_estimate() -> None:
    gold = Gold(np.array([[7, 3], [2, 88]]), np.array([10, 90]), np.array([0, 1]))
    found = adjusted_counts(gold, gold.frame, known=gold.counts).estimate()
    assert (found.lower, found.adjusted, found.upper, found.cv) == (9, 9, 9, 0)


def test_few_cases_mark_the_interval_and_the_plan_counts_more_than_the_find() -> None:
    assert not adjusted_counts(PAIR, PAIR.frame).estimate().reliable
    planned = replace(PAIR, expected_cases=10.0)
    assert adjusted_counts(planned, PAIR.frame).estimate().reliable
    assert not adjusted_counts(replace(PAIR, expected_cases=9.9), PAIR.frame).reliable


@settings(max_examples=25, deadline=None)
@given(gold_samples(), st.sampled_from(["calibration", "misclassification"]), st.integers(1, 3), st.data())
def test_bounds_and_additivity(gold: Gold, estimator, districts, data) -> None:  # type: ignore[no-untyped-def]
    shares = np.array(data.draw(st.lists(st.integers(0, 400), min_size=districts, max_size=districts)))
    now = np.outer(gold.frame, shares) // 100
    now[:, 0] += 1
    result = adjusted_counts(gold, now, estimator=estimator, draws=40, seed=1)
    for figures in (result.adjusted[None], result.draws):
        assert (figures >= -1e-9).all()
        assert figures.sum(axis=1) == pytest.approx(np.broadcast_to(now.sum(axis=0), figures.shape[::2]))
    assert result.plain.sum(axis=0).tolist() == now.sum(axis=0).tolist()
    city = adjusted_counts(gold, now.sum(axis=1), estimator=estimator, draws=40, seed=1)
    assert result.adjusted.sum(axis=1) == pytest.approx(city.adjusted[:, 0], abs=1e-6 * now.sum())
    found = result.estimate()
    assert 0 <= found.lower <= found.adjusted <= found.upper <= now.sum()
    up = result.roll_up([0] * (gold.classes - 1) + [1], [0] * districts)
    assert up.draws[:, 0, 0] == pytest.approx(result.sum_draws())
    again = up.estimate()
    assert (again.adjusted, again.lower, again.upper) == pytest.approx((found.adjusted, found.lower, found.upper))


@settings(max_examples=25, deadline=None)
@given(gold_samples(), st.sampled_from(["calibration", "misclassification"]), st.randoms(use_true_random=False))
def test_names_and_order_do_not_matter(gold: Gold, estimator, random) -> None:  # type: ignore[no-untyped-def]
    now = gold.frame * 2 + np.arange(len(gold.frame)) % 3
    base = adjusted_counts(gold, now, estimator=estimator, draws=2).adjusted
    strata, labels = list(range(len(gold.frame))), list(range(gold.classes - 1))
    random.shuffle(strata)
    random.shuffle(labels)
    labels.append(gold.classes - 1)
    new_name = np.argsort(labels)
    moved = Gold(gold.counts[strata][:, labels], gold.frame[strata], new_name[gold.predicted[strata]])
    other = adjusted_counts(moved, now[strata], estimator=estimator, draws=2).adjusted
    assert other[new_name] == pytest.approx(base, abs=1e-3 * now.sum() ** 0.5)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=60), st.randoms(use_true_random=False))
def test_order_of_gold_units_does_not_matter(rows, random) -> None:  # type: ignore[no-untyped-def]
    before = tally(*(np.array([row[i] for row in rows], dtype=np.int64) for i in (0, 1)), 4, 3)
    random.shuffle(rows)
    after = tally(*(np.array([row[i] for row in rows], dtype=np.int64) for i in (0, 1)), 4, 3)
    assert before.tolist() == after.tolist()
    assert before.sum() == len(rows)


def test_equal_arguments_give_equal_draws() -> None:
    one, two, three = (adjusted_counts(PAIR, PAIR.frame, seed=s).draws for s in (4, 4, 5))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, three)


# --- choice


def test_shift_test_by_hand_and_its_tolerance() -> None:
    then, now, ai = np.array([100, 900]), np.array([150, 850]), np.array([True, False])
    # pooled 125 and 875 in each: 2 * 25^2 / 125 + 2 * 25^2 / 875
    found = shift_test(then, now, ai=ai)
    assert found.statistic == pytest.approx(2 * 625 / 125 + 2 * 625 / 875)
    assert (found.dof, found.rejected) == (1, True)
    assert found.distance == pytest.approx(0.05 / 0.1)
    assert not shift_test(then, now, ai=ai, tolerance=0.6).rejected
    assert shift_test(then, then, ai=ai).p_value == 1.0
    pooled = shift_test(np.array([100, 900, 1, 2]), np.array([100, 900, 2, 1]), ai=np.array([True, False, True, True]))
    assert pooled.dof == 2


def test_choice_between_the_estimators_and_its_reasons() -> None:
    gold = Gold(np.array([[160, 40], [12, 588]]), np.array([2000, 18_000]), np.array([0, 1]), age=1)
    moved, same = np.array([3000, 17_000]), np.array([2003, 17_997])

    def chosen(result: Adjusted) -> tuple[str, str]:
        return result.estimator, result.reason

    assert chosen(adjusted_counts(gold, same)) == ("calibration", "no_shift")
    shifted = adjusted_counts(gold, moved)
    assert chosen(shifted) == ("misclassification", "shift")
    assert shifted.shift.rejected
    old = adjusted_counts(replace(gold, age=3), same)
    assert chosen(old) == ("misclassification", "gold_expired")
    assert "gold_expired" in old.notes
    fresh = adjusted_counts(gold, same, estimator="misclassification").estimate()
    aged = old.estimate()
    assert aged.adjusted == fresh.adjusted
    # two periods beyond validity leave a quarter of the gold: twice the width
    assert (aged.upper - aged.lower) / (fresh.upper - fresh.lower) == pytest.approx(2, rel=0.15)


def test_on_the_frame_of_gold_both_estimators_agree() -> None:
    one, two = (adjusted_counts(PAIR, PAIR.frame, estimator=e).adjusted for e in ("calibration", "misclassification"))
    assert one == pytest.approx(two, abs=1e-4)


def test_shift_of_another_kind_and_weak_classifiers_are_marked() -> None:
    counts = np.array([[90, 10], [60, 40], [8, 192], [2, 598]])
    gold = Gold(counts, np.array([1000, 1000, 4000, 34_000]), np.array([0, 0, 1, 1]), age=1)
    rates = counts / counts.sum(axis=1, keepdims=True)
    law, share = laws_of_strata(rates[None], gold.frame)
    mixture = np.rint(40_000 * law[0] @ (share[0] * [1.5, 1] / (share[0] * [1.5, 1]).sum())).astype(int)
    assert adjusted_counts(gold, mixture).notes == ()
    # the wavering band of predicted AI doubles at the cost of the sure one: no change of shares does that
    other = adjusted_counts(gold, np.array([200, 1900, 4000, 33_900]))
    assert "not_prior_shift" in other.notes
    assert not other.reliable
    blunt = Gold(np.array([[30, 70], [28, 72]]), np.array([1000, 9000]), np.array([0, 1]), age=2)
    assert "weak_classifier" in adjusted_counts(blunt, blunt.frame).notes


def test_class_gold_never_saw_is_noted_and_has_an_upper_limit() -> None:
    gold = Gold(np.array([[40, 0, 2], [1, 0, 1], [1, 0, 400]]), np.array([400, 5, 40_000]), np.arange(3), 1, 20.0)
    for estimator in ("calibration", "misclassification"):
        result = adjusted_counts(gold, gold.frame, estimator=estimator)
        assert "class_unseen" in result.notes
        found = result.estimate([1])
        assert (found.plain, found.adjusted) == (5, pytest.approx(0, abs=1e-6))
        assert found.upper > 0
        assert math.isnan(found.cv) or found.adjusted > 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Gold(np.array([[1, 2]]), np.array([9, 9]), np.array([0])), "expected"),
        (lambda: Gold(np.array([[1, 2]]), np.array([9]), np.array([2])), "must lie in 0..1"),
        (lambda: Gold(np.array([[5, 5]]), np.array([9]), np.array([0])), "exceed the units"),
        (lambda: Gold(np.array([[5, 5], [0, 0]]), np.array([90, 9]), np.array([0, 1])), r"strata \[1\] hold units"),
        (lambda: adjusted_counts(PAIR, np.array([100])), "same strata"),
        (lambda: adjusted_counts(PAIR, np.array([-1, 900])), "negative units"),
        (lambda: adjusted_counts(PAIR, np.array([5, 900]), known=PAIR.counts), "from this frame"),
        (lambda: adjusted_counts(PAIR, PAIR.frame).roll_up([0, 0]), "alone in the last group"),
        (lambda: allocate_gold(np.array([9]), np.array([2.0]), 5, np.array([True])), r"within \[0, 1\]"),
        (lambda: moments(0.1, 0.5, 0.5, 100), "above 1"),
        (lambda: tally_sizes(np.array([0]), np.array([0]), np.array([np.nan]), 1, 2), "impute"),
        (lambda: shift_test(np.array([1]), np.array([0]), ai=np.array([True])), "with units in both"),
    ],
)
def test_errors_say_what_to_do(call, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        call()


# --- totals and change


def test_totals_by_hand_and_in_any_unit() -> None:
    # gold of stratum 0: sizes 30 of 40 AI; of stratum 1: 2 of 50
    sizes = tally_sizes(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.array([30.0, 10, 2, 48]), 2, 2)
    gold = Gold(np.array([[1, 1], [1, 1]]), np.array([20, 100]), np.array([0, 1]))
    counts = adjusted_counts(gold, gold.frame)
    x, x2 = np.array([500.0, 3000.0]), np.array([20_000.0, 120_000.0])
    total = adjusted_totals(counts, gold, sizes, x, x2).estimate()
    assert total.plain == 500
    assert total.adjusted == pytest.approx(500 * 30 / 40 + 3000 * 2 / 50)
    assert 0 <= total.lower <= total.adjusted <= total.upper <= 3500
    thousand = tally_sizes(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.array([0.03, 0.01, 0.002, 0.048]), 2, 2)
    small = adjusted_totals(counts, gold, thousand, x / 1000, x2 / 1e6).estimate()
    assert 1000 * small.adjusted == pytest.approx(total.adjusted)
    assert 1000 * small.upper == pytest.approx(total.upper, rel=0.05)


def test_totals_of_equal_sizes_are_the_counts() -> None:
    rng = np.random.default_rng(8)
    gold = Gold(np.array([[80, 20], [6, 294]]), np.array([1000, 9000]), np.array([0, 1]), age=1)
    stratum, truth = (np.repeat(v, gold.counts.ravel()) for v in (np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])))
    order = rng.permutation(len(stratum))
    sizes = tally_sizes(stratum[order], truth[order], np.full(len(order), 5.0), 2, 2)
    for now in (gold.frame, np.array([1600, 8400])):
        counts = adjusted_counts(gold, now, draws=8000)
        totals = adjusted_totals(counts, gold, sizes, 5.0 * now, 25.0 * now, seed=1)
        one, five = counts.estimate(), totals.estimate()
        assert five.adjusted == pytest.approx(5 * one.adjusted)
        assert (five.lower, five.upper) == pytest.approx((5 * one.lower, 5 * one.upper), rel=0.04)
        assert totals.draws.sum(axis=1) == pytest.approx(5 * now.sum())


def test_known_sizes_are_not_estimated() -> None:
    gold = Gold(np.array([[7, 3], [2, 88]]), np.array([10, 90]), np.array([0, 1]))
    stratum, truth = (np.repeat(v, gold.counts.ravel()) for v in (np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])))
    size = np.arange(1.0, 101.0)
    sizes = tally_sizes(stratum, truth, size, 2, 2)
    counts = adjusted_counts(gold, gold.frame, known=gold.counts)
    x = np.bincount(stratum, weights=size)
    known, squares = sizes.sums[:, :, None], sizes.squares[:, None]
    found = adjusted_totals(counts, gold, sizes, x, sizes.squares, known=known, known_squares=squares).estimate()
    assert (found.lower, found.upper) == (found.adjusted, found.adjusted)
    assert found.adjusted == size[truth == 0].sum()
    with pytest.raises(ValueError, match="from this frame"):
        adjusted_totals(counts, gold, sizes, x / 2, x2 := sizes.squares, known=known, known_squares=x2[:, None])
    with pytest.raises(ValueError, match="before roll_up"):
        adjusted_totals(counts.roll_up([0, 1]), gold, sizes, x, sizes.squares)


def test_change_shares_the_errors_of_one_gold_sample() -> None:
    gold = Gold(np.array([[160, 40], [12, 588]]), np.array([20_000, 180_000]), np.array([0, 1]), expected_cases=12.0)
    before = adjusted_counts(gold, gold.frame)
    now = np.array([22_000, 178_000])
    after = adjusted_counts(replace(gold, age=1), now, estimator="misclassification")
    other = adjusted_counts(replace(gold, age=1), now, estimator="misclassification", seed=1)
    found, apart = change(before, after), change(before, other)
    assert found.plain_growth == pytest.approx(0.1)
    assert found.growth == pytest.approx(after.estimate().adjusted / before.estimate().adjusted - 1)
    assert found.growth_interval[0] < found.growth < found.growth_interval[1]
    assert (found.shared, apart.shared, found.reliable) == (True, False, True)
    widths = [c.difference_interval[1] - c.difference_interval[0] for c in (found, apart)]
    assert widths[0] < widths[1] / 3
    another = adjusted_counts(Gold(gold.counts * 2, gold.frame, gold.predicted), now)
    with pytest.raises(ValueError, match="another seed"):
        change(before, another)


def test_no_growth_on_nothing() -> None:
    gold = Gold(np.array([[0, 40], [0, 60]]), np.array([100, 900]), np.array([0, 1]))
    result = adjusted_counts(gold, gold.frame)
    found = change(result, result)
    assert math.isnan(found.growth)
    assert found.difference == 0


# --- simulation and evidence


def test_a_short_simulation_keeps_the_promises() -> None:
    """The promised scenarios with other seeds and few replicates: coverage within the exact 99.9 % range."""
    setup = yaml.safe_load(simulation.SCENARIOS.read_text(encoding="utf-8"))
    quick = setup | {"draws": 500}
    for name, facts in setup["scenarios"].items():
        if not facts.get("promised"):
            continue
        n = 100 if "gold_rate" in facts else 200
        found = simulation.scenario(facts | {"seed": 20261107}, quick, n)
        assert binom.ppf(0.0005, n, 0.95) <= found["covered"], name
        assert abs(found["bias_pct"]) <= max(2.0, 4 * found["bias_se_pct"]), name
        assert found["rmse_pct"] < found["plain_rmse_pct"], name
        assert set(found["chosen"]) == {
            "misclassification/shift" if "gold_rate" in facts else "calibration/gold_current"
        }


def test_evidence_is_of_this_code_and_these_seeds() -> None:
    evidence = json.loads(simulation.TARGET.read_text(encoding="utf-8"))
    setup = yaml.safe_load(simulation.SCENARIOS.read_text(encoding="utf-8"))
    assert evidence["code_sha256"] == simulation.fingerprint(), (
        "run tests/benchmarks/prove_misclassification.py and commit"
    )
    assert evidence["settings"]["replicates"] == setup["replicates"] >= 2000
    for name, facts in setup["scenarios"].items():
        assert evidence["seeds"][name] == [facts["population_seed"], facts["seed"]]
        found = evidence["scenarios"][name]
        if facts.get("promised"):
            low, high = found["promises"]["coverage_range"]
            assert low <= found["coverage"] <= high
            assert abs(found["bias_pct"]) <= found["promises"]["bias_limit_pct"]
        if facts.get("expect_unreliable"):
            assert found["marked"]["few_cases"] == setup["replicates"]
