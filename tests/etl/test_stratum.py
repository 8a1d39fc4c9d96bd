"""Ratios by stratum: hand calculation, fall-back, properties, and the bias it is there to remove."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.methods.stratum import ratio_by_strata


def test_hand_calculation_with_fall_back() -> None:
    # stratum a: respondents (3, 10), (1, 10) -> 4/20; stratum b has one respondent only -> coarse 9/30
    numerator = np.array([3.0, 1.0, np.nan, 5.0, np.nan])
    denominator = np.array([10.0, 10.0, 7.0, 10.0, np.nan])
    result = ratio_by_strata(numerator, denominator, [list("aaabb"), ["all"] * 5], min_respondents=2)
    assert result.ratio.tolist() == pytest.approx([0.2, 0.2, 0.2, 0.3, 0.3])
    assert result.level.tolist() == [0, 0, 0, 1, 1]
    assert result.respondents.tolist() == [2, 2, 2, 3, 3]


def test_no_respondent_anywhere_stays_unknown() -> None:
    result = ratio_by_strata(np.array([np.nan]), np.array([1.0]), [["a"]], min_respondents=1)
    assert np.isnan(result.ratio[0])
    assert result.level[0] == -1


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="same length"):
        ratio_by_strata(np.ones(2), np.ones(3), [["a", "b"]])


@given(
    st.lists(st.tuples(st.floats(0, 1e6), st.floats(1, 1e6), st.sampled_from("abc")), min_size=3, max_size=40),
    st.floats(0.1, 1e4),
    st.randoms(use_true_random=False),
)
def test_unit_of_measure_and_order_do_not_matter(rows, factor, random) -> None:  # type: ignore[no-untyped-def]
    y, x, h = (list(column) for column in zip(*rows, strict=True))
    plain = ratio_by_strata(np.array(y), np.array(x), [h], min_respondents=1).ratio
    scaled = ratio_by_strata(np.array(y) * factor, np.array(x), [h], min_respondents=1).ratio
    assert scaled == pytest.approx(plain * factor, rel=1e-9, abs=1e-12)
    order = list(range(len(rows)))
    random.shuffle(order)
    shuffled = ratio_by_strata(np.array(y)[order], np.array(x)[order], [[h[i] for i in order]], min_respondents=1)
    assert shuffled.ratio == pytest.approx(plain[order], rel=1e-9)


def test_post_stratified_count_removes_the_bias_of_the_plain_count() -> None:
    """4 % AI, sensitivity .85, specificity .98: the plain count is a third too high, the corrected one is not."""
    rng = np.random.default_rng(20260401)
    n, replicates = 20_000, 60
    truth = rng.random(n) < 0.04
    predicted = np.where(truth, rng.random(n) < 0.85, rng.random(n) >= 0.98)
    plain = predicted.sum() / truth.sum() - 1
    assert plain > 0.25
    errors = []
    for _ in range(replicates):
        asked = rng.random(n) < 0.3
        outcome = np.where(asked, truth.astype(float), np.nan)
        strata = [np.where(predicted, "yes", "no").tolist()]
        rate = ratio_by_strata(outcome, np.ones(n), strata).ratio
        errors.append(np.where(asked, truth, rate).sum() / truth.sum() - 1)
    standard_error = np.std(errors, ddof=1) / np.sqrt(replicates)
    assert abs(np.mean(errors)) < 4 * standard_error + 0.002
