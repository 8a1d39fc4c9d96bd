"""The error promise: exact bounds, order of looks, thinning, and what an unfinished programme gets."""

import hashlib
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from taxonomy.classifier.gold import class_group
from taxonomy.classifier.promise import PromiseError, choose_thresholds, upper_bound, with_routes


def table(
    strata: dict[str, tuple[int, int, int]], group: str = "A", confidence: dict[str, float] | None = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Gold and population from ``stratum → (population, gold, errors among gold, taken first)``."""
    gold, population = [], []
    for order, (name, (size, drawn, errors)) in enumerate(strata.items()):
        at = (confidence or {}).get(name, 0.99)
        population += [{"group": group, "stratum": name, "confidence": at}] * size
        gold += [
            {
                "group": group,
                "stratum": name,
                "confidence": at,
                "correct": i >= errors,
                "random": (i + order / 10) / 1e6,
            }
            for i in range(drawn)
        ]
    schema = {
        "group": pl.String,
        "stratum": pl.String,
        "confidence": pl.Float64,
        "correct": pl.Boolean,
        "random": pl.Float64,
    }
    return pl.DataFrame(gold, schema=schema), pl.DataFrame(population)


def test_clopper_pearson_against_its_definition_and_the_rule_of_three() -> None:
    assert upper_bound(0, 100, 0.95) == pytest.approx(1 - 0.05 ** (1 / 100))
    assert upper_bound(0, 300, 0.95) == pytest.approx(3 / 300, rel=0.01)
    assert upper_bound(5, 5, 0.95) == 1.0 and upper_bound(0, 0, 0.95) == 1.0
    for x, n in ((1, 20), (7, 130), (40, 1_000)):
        assert binom.cdf(x, n, upper_bound(x, n, 0.95)) == pytest.approx(0.05)
    with pytest.raises(PromiseError, match="0 <= errors <= n"):
        upper_bound(3, 2, 0.95)


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 400), st.floats(1e-6, 0.6), st.floats(0.76, 0.999))
def test_the_bound_covers_exactly_as_often_as_it_says(n: int, p: float, confidence: float) -> None:
    x = np.arange(n + 1)
    covered = np.array([upper_bound(int(k), n, confidence) >= p for k in x])
    assert binom.pmf(x, n, p)[covered].sum() >= confidence - 1e-9


def test_a_supported_promise_is_frozen_and_json_ready() -> None:
    gold, population = table({"A:0.99": (5_000, 400, 4)})
    promise = choose_thresholds(gold, population, error=0.05)
    (group,) = promise.groups
    assert group.route == "auto" and group.threshold == 0.5 and group.share_auto == 1.0
    assert (group.n, group.errors, group.observed_error) == (400, 4, 0.01)
    assert group.bound == pytest.approx(upper_bound(4, 400, 0.95)) and group.bound <= 0.05
    assert json.loads(json.dumps(promise.to_dict()))["groups"][0]["threshold"] == 0.5
    with pytest.raises(AttributeError):
        promise.error = 0.5  # type: ignore[misc]


def test_too_little_gold_and_too_many_errors_are_told_apart() -> None:
    few = choose_thresholds(*table({"A:x": (500, 40, 0)}), error=0.05).groups[0]
    assert few.route == "review" and few.threshold is None and "too little gold" in few.reason_en
    bad = choose_thresholds(*table({"A:x": (500, 300, 30)}), error=0.05).groups[0]
    assert bad.route == "review" and "too many errors" in bad.reason_en and bad.bound is not None and bad.bound > 0.05
    assert "标准样本" in few.reason_zh and "标准样本" in bad.reason_zh


def test_missing_labels_count_as_errors() -> None:
    gold, population = table({"A:x": (5_000, 400, 0)})
    undone = gold.with_columns(correct=pl.when(pl.int_range(pl.len()) >= 30).then("correct"))
    assert choose_thresholds(gold, population, error=0.05).groups[0].route == "auto"
    group = choose_thresholds(undone, population, error=0.05).groups[0]
    assert group.route == "review" and group.unfinished == 30 and "unfinished" in group.reason_en


def test_what_was_coded_in_full_is_known_and_not_inferred() -> None:
    whole = choose_thresholds(*table({"A:x": (17, 17, 0)}), error=0.05).groups[0]
    assert (whole.route, whole.bound, whole.n) == ("auto", 0.0, 17)
    one = choose_thresholds(*table({"A:x": (17, 17, 1)}), error=0.05).groups[0]
    assert one.route == "review" and one.observed_error == pytest.approx(1 / 17)
    mixed = choose_thresholds(*table({"A:x": (100, 100, 8), "A:y": (900, 300, 2)}), error=0.05).groups[0]
    expected = 8 / 1_000 + 0.9 * upper_bound(2, 300, 0.95)
    assert mixed.route == "auto" and mixed.bound == pytest.approx(expected)


def test_units_without_gold_count_as_wrong() -> None:
    few = choose_thresholds(*table({"A:x": (5_000, 400, 0), "A:y": (50, 0, 0)}), error=0.05).groups[0]
    assert few.bound == pytest.approx((50 + 5_000 * upper_bound(0, 400, 0.95)) / 5_050) and few.route == "auto"
    many = choose_thresholds(*table({"A:x": (5_000, 400, 0), "A:y": (500, 0, 0)}), error=0.05).groups[0]
    assert many.route == "review" and "too little gold" in many.reason_en


def test_the_sequence_stops_at_the_first_failure() -> None:
    strata = {"A:3": (4_000, 400, 0), "A:2": (1_000, 200, 120), "A:1": (90_000, 4_000, 0)}
    at = {"A:3": 0.97, "A:2": 0.9, "A:1": 0.8}
    gold, population = table(strata, confidence=at)
    group = choose_thresholds(gold, population, error=0.05, grid=(0.97, 0.9, 0.8)).groups[0]
    assert [look.passed for look in group.looks] == [True, False]
    assert group.threshold == 0.97 and group.share_auto == pytest.approx(4_000 / 95_000)
    shared = choose_thresholds(gold, population, error=0.05, grid=(0.97, 0.9, 0.8), method="bonferroni").groups[0]
    assert [look.passed for look in shared.looks] == [True, False, True] and shared.threshold == 0.8


def test_the_level_is_shared_by_groups_and_looks() -> None:
    gold, population = table({"A:x": (5_000, 400, 9)})
    other_gold, other = table({"B:x": (5_000, 400, 9)}, group="B")
    both = choose_thresholds(pl.concat([gold, other_gold]), pl.concat([population, other]), error=0.05, looks=4)
    assert both.level_per_group == pytest.approx(0.05 / 8)
    assert both.groups[0].bound == pytest.approx(upper_bound(9, 400, 1 - 0.05 / 8))
    alone = choose_thresholds(gold, population, error=0.05)
    assert alone.groups[0].bound is not None and both.groups[0].bound > alone.groups[0].bound  # type: ignore[operator]


def test_dense_strata_are_thinned_and_a_thin_one_is_not_drowned() -> None:
    # 9,000 units of which 300 were coded, all wrong ones in a tiny stratum that was coded in full.
    gold, population = table({"A:big": (9_000, 300, 0), "A:small": (90, 89, 0)})
    look = choose_thresholds(gold, population, error=0.05).groups[0].looks[-1]
    assert look.n == 303, "the small stratum is thinned to the rate 1/30 of the big one"
    pooled = table({"A:big": (9_000, 30, 20), "A:small": (300, 299, 0)})
    naive = upper_bound(20, 329, 0.95)
    group = choose_thresholds(*pooled, error=0.12).groups[0]
    assert naive < 0.12 and group.route == "review", "pooling unequal sampling rates would promise what is false"
    assert group.observed_error == pytest.approx(20 / 30 * 9_000 / 9_300)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 0.2), st.floats(0.8, 0.99))
def test_more_errors_never_help_and_bounds_never_lie_below_what_was_seen(
    seed: int, error: float, confidence: float
) -> None:
    rng = np.random.default_rng(seed)
    strata = {f"A:{i}": (int(rng.integers(50, 3_000)), 0, 0) for i in range(4)}
    strata = {k: (n, int(rng.integers(5, min(n, 300))), 0) for k, (n, _, _) in strata.items()}
    at = {f"A:{i}": float(c) for i, c in enumerate(rng.uniform(0.5, 1.0, 4))}
    gold, population = table(strata, confidence=at)
    gold = gold.with_columns(
        correct=pl.Series(rng.random(gold.height) > 0.03), random=pl.Series(rng.random(gold.height))
    )
    worse = gold.with_columns(correct=pl.col("correct") & pl.Series(rng.random(gold.height) > 0.1))
    first = choose_thresholds(gold, population, error=error, confidence=confidence).groups[0]
    second = choose_thresholds(worse, population, error=error, confidence=confidence).groups[0]
    assert second.share_auto <= first.share_auto
    for group in (first, second):
        for look in group.looks:
            assert look.bound >= min(1.0, look.errors / max(look.n, 1)) - 1e-12
            assert look.passed == (look.bound <= error)
    order = rng.permutation(gold.height)
    assert choose_thresholds(gold[order.tolist()], population, error=error, confidence=confidence).groups[0] == first


def test_arguments_are_checked() -> None:
    gold, population = table({"A:x": (50, 10, 0)})
    for bad in (
        {"error": 0.0},
        {"error": 0.05, "confidence": 0.5},
        {"error": 0.05, "grid": ()},
        {"error": 0.05, "looks": 0},
    ):
        with pytest.raises(PromiseError, match="expected 0 < error"):
            choose_thresholds(gold, population, **bad)  # type: ignore[arg-type]
    with pytest.raises(PromiseError, match="draw it anew"):
        choose_thresholds(gold.with_columns(stratum=pl.lit("Z")), population, error=0.05)


def test_routes_follow_the_promise() -> None:
    gold, population = table({"A:x": (5_000, 400, 2)}, confidence={"A:x": 0.97})
    promise = choose_thresholds(gold, population, error=0.05, grid=(0.97, 0.9))
    decided = pl.DataFrame(
        {"ai_class": ["A11", "A1", "B11", None], "route": ["model", "parent", "model", "model"],
         "probability": [0.95, 0.85, 0.99, 0.99]},
    )  # fmt: skip
    assert with_routes(decided, promise, class_group())["promised"].to_list() == [True, False, False, False]


def test_the_simulation_in_small() -> None:
    """Twenty replicates of two scenarios of the benchmark; the whole of it is ``tests/benchmarks/prove_promise.py``."""
    from tests.benchmarks import prove_promise

    rules = prove_promise.settings()
    for scenario in ("worst_at_the_top", "step_down"):
        found = prove_promise.run(scenario, "fixed_sequence", rules, 20)
        assert found["passed"] and found["gold_units"] == rules["gold"]["size"]
    assert found["mean_share_coded"] > 0.3, "where the top is clean, much of it is coded alone"


def test_the_evidence_of_the_simulation_is_there_passed_and_of_this_code() -> None:
    root = Path(__file__).parents[2]
    path = root / "docs" / "quality" / "evidence" / "promise.json"
    assert path.is_file(), "run tests/benchmarks/prove_promise.py"
    evidence = json.loads(path.read_text())
    assert evidence["passed"] and all(r["replicates"] >= 2_000 for r in evidence["results"])
    for name, digest in evidence["code"].items():
        current = hashlib.sha256((root / name).read_bytes()).hexdigest()
        assert current == digest, f"{name} changed since the simulation; run tests/benchmarks/prove_promise.py"
