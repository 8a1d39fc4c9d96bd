"""Shares with intervals: published values, the design's variance, and coverage by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonomy.classifier.intervals import Design, Measure, clopper_pearson, f1_from_jaccard, unknown


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(0, 10, 0.0, 0.3085), (5, 20, 0.0866, 0.4910), (10, 10, 0.6915, 1.0), (81, 263, 0.2527, 0.3676)],
)
def test_clopper_pearson_gives_the_tabled_limits(hits: int, n: int, low: float, high: float) -> None:
    found = clopper_pearson(hits, n)
    assert found == pytest.approx((low, high), abs=5e-5)


def test_limits_refuse_what_is_no_proportion() -> None:
    for hits, n in ((3, 2), (-1, 5), (0, 0)):
        with pytest.raises(ValueError, match="expected 0 <= hits <= n"):
            clopper_pearson(hits, n)


def test_equal_weights_give_the_simple_interval() -> None:
    hit = np.array([1.0] * 30 + [0.0] * 10)
    found = Design.equal(40).share(hit)
    assert found.value == pytest.approx(0.75)
    assert found.effective_n == pytest.approx(39.0)  # 40 less the degree of freedom of the mean
    assert (found.low, found.high) == pytest.approx(clopper_pearson(0.75 * 39.0, 39.0))


def test_weighted_share_and_variance_by_hand() -> None:
    # Two strata: weights 10 (hits 1, 0) and 2 (hits 1, 1). p = 14/24; z = w (y - p) / 24.
    design = Design(np.array([10.0, 10.0, 2.0, 2.0]), np.array([0, 0, 1, 1]))
    hit = np.array([1.0, 0.0, 1.0, 1.0])
    p = 14.0 / 24.0
    z = np.array([10 * (1 - p), 10 * -p, 2 * (1 - p), 2 * (1 - p)]) / 24.0
    variance = 2.0 * ((z[0] - z[:2].mean()) ** 2 + (z[1] - z[:2].mean()) ** 2)  # the second stratum does not vary
    found = design.share(hit)
    assert found.value == pytest.approx(p)
    assert found.effective_n == pytest.approx(p * (1 - p) / variance)


def test_no_variation_falls_back_on_kish_and_never_claims_certainty() -> None:
    design = Design(np.array([9.0, 1.0, 1.0, 1.0]), np.zeros(4, dtype=np.int64))
    found = design.share(np.ones(4))
    assert found.value == 1.0 and found.high == 1.0
    assert found.effective_n == pytest.approx(144.0 / 84.0)
    assert found.low == pytest.approx(clopper_pearson(144.0 / 84.0, 144.0 / 84.0)[0])


def test_an_empty_domain_is_unknown_with_a_reason_and_never_nan() -> None:
    found = Design.equal(3).share(np.ones(3), np.zeros(3, dtype=bool)).as_dict()
    assert found["value"] is None and found["low"] is None
    assert found["reason_zh"] and found["reason_en"]
    assert Measure(math.nan, 0.0, math.inf).as_dict()["value"] is None
    with pytest.raises(KeyError, match="known"):
        unknown("because")


def test_intervals_of_a_stratified_sample_cover_the_truth() -> None:
    # Three strata, sampled at 2 %, 10 % and 50 %, with error rates that differ: 95 % intervals, 1,000 replicates.
    rng = np.random.default_rng(11)
    sizes, rates, errors = (8_000, 1_500, 500), (0.02, 0.10, 0.50), (0.02, 0.15, 0.40)
    population = [rng.random(n) < e for n, e in zip(sizes, errors, strict=True)]
    truth = sum(p.sum() for p in population) / sum(sizes)
    counts = [int(n * r) for n, r in zip(sizes, rates, strict=True)]
    weight = np.concatenate([np.full(c, n / c) for n, c in zip(sizes, counts, strict=True)])
    design = Design(weight, np.repeat([0, 1, 2], counts))
    covered, means = 0, []
    for _ in range(1_000):
        drawn = [p[rng.permutation(len(p))[:c]] for p, c in zip(population, counts, strict=True)]
        found = design.share(np.concatenate(drawn))
        assert found.value is not None and found.low is not None and found.high is not None
        covered += found.low <= truth <= found.high
        means.append(found.value)
    assert abs(np.mean(means) - truth) < 4.0 * np.std(means) / math.sqrt(1_000)
    assert covered >= 935  # 95 % less two standard errors; Korn-Graubard intervals are conservative


@given(st.integers(0, 60), st.integers(1, 60))
def test_f1_is_that_of_its_counts(hits: int, misses: int) -> None:
    # J = TP/(TP+FP+FN); F1 = 2TP/(2TP+FP+FN) of the same counts.
    jaccard = Measure(hits / (hits + misses), 0.0, 1.0)
    found = f1_from_jaccard(jaccard)
    assert found.value == pytest.approx(2 * hits / (2 * hits + misses))
    assert (found.low, found.high) == (0.0, 1.0)
