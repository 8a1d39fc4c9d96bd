"""Weighing known errors by witnesses: posterior by hand, what is silent, digits exchanged, input that does not fit."""

import numpy as np
import pytest

from etl.methods.editing.mixture import (
    KERNEL_AREA,
    REACH,
    WitnessErrors,
    error_mixture,
    robust_spread,
    transposed_digits,
)
from etl.methods.tabular import BadInput

THOUSAND = float(np.log(1000.0))


def judge(deviations: list[list[float]], spreads: list[float], other: float = 0.0, prior: float = 0.01):  # type: ignore[no-untyped-def]
    d = np.array(deviations)
    shifts, priors = np.full((d.shape[0], 1), THOUSAND), np.full((d.shape[0], 1), prior)
    return error_mixture(d, np.array(spreads), shifts, priors, other)


def kernel(z: float) -> float:
    return float((1 + z * z / 4) ** -2.5)


def test_the_posterior_is_that_of_a_hand_calculation() -> None:
    """One witness, spread 0.5, deviation ln 700: clean 0.99 g(13.1), thousand 0.01 g(-0.713)."""
    d = float(np.log(700.0))
    found = judge([[d]], [0.5])
    clean, thousand = 0.99 * kernel(d / 0.5), 0.01 * kernel((d - THOUSAND) / 0.5)
    assert found.candidates[0, 0] == pytest.approx(thousand / (clean + thousand), rel=1e-12)
    assert found.clean[0] + found.candidates[0, 0] + found.other[0] == pytest.approx(1.0, rel=1e-12)


def test_an_unknown_error_is_weighed_by_its_evidence_over_the_whole_reach() -> None:
    """Shift 4, no candidate near: the Laplace area of the kernel over the reach, 2 ln 10,000."""
    found = judge([[4.0]], [0.1], other=0.001)
    unknown = 0.001 * KERNEL_AREA * 0.1 / (2 * REACH)
    clean, thousand = (1 - 0.01 - 0.001) * kernel(40.0), 0.01 * kernel((4.0 - THOUSAND) / 0.1)
    assert found.other[0] == pytest.approx(unknown / (unknown + clean + thousand), rel=1e-12)
    area = np.trapezoid([kernel(z) for z in np.linspace(-400, 400, 400_001)], np.linspace(-400, 400, 400_001))
    assert area == pytest.approx(KERNEL_AREA, rel=1e-4)


def test_witnesses_that_agree_decide_and_those_that_contradict_do_not() -> None:
    found = judge(
        [[THOUSAND, THOUSAND], [THOUSAND, 0.0], [0.1, -0.1], [np.nan, THOUSAND], [np.nan, np.nan]], [0.3, 0.3]
    )
    assert found.candidates[0, 0] > 0.999 and found.candidates[3, 0] > 0.95
    assert found.clean[1] == pytest.approx(0.99, abs=1e-6), "one for, one against: the prior decides"
    assert found.clean[2] > 0.9999
    assert np.isnan([found.clean[4], found.candidates[4, 0], found.other[4]]).all()


def test_more_evidence_never_makes_a_true_thousand_less_likely() -> None:
    generator = np.random.default_rng(5)
    for _ in range(50):
        near = THOUSAND + generator.normal(0, 0.1, 3)
        one, three = judge([[near[0], np.nan, np.nan]], [0.3] * 3), judge([list(near)], [0.3] * 3)
        assert three.candidates[0, 0] >= one.candidates[0, 0]


def test_a_witness_that_may_be_wrong_itself_lets_the_others_decide() -> None:
    """A neighbour a thousand times too large makes the value look a thousandth; the second witness says it is right."""
    d = np.array([[-THOUSAND, 0.1]])
    shifts, priors = np.array([[-THOUSAND, THOUSAND]]), np.array([[0.001, 0.003]])
    wrong = WitnessErrors(np.array([THOUSAND]), np.array([0.003]))
    blind = error_mixture(d, np.array([0.05, 1.0]), shifts, priors, 0.0)
    aware = error_mixture(d, np.array([0.05, 1.0]), shifts, priors, 0.0, [wrong, None])
    assert blind.candidates[0, 0] > 0.9, "without the thought the value would be multiplied by a thousand"
    first = 0.996 * 0.003 * kernel(0.1) + 0.996 * 0.997 * kernel(THOUSAND / 0.05) * kernel(0.1)
    second = 0.001 * (0.997 + 0.003 * kernel(THOUSAND / 0.05)) * kernel(THOUSAND + 0.1)
    assert aware.clean[0] == pytest.approx(first / (first + second), rel=1e-6) and aware.clean[0] > 0.99


def test_an_error_that_is_repeated_is_found_by_the_witness_that_does_not_repeat_it() -> None:
    d = np.array([[0.0, THOUSAND]])
    shifts, priors, spreads = np.array([[THOUSAND]]), np.array([[0.003]]), np.array([0.1, 0.7])
    once = WitnessErrors(np.array([-THOUSAND]), np.array([1e-6]))
    again = WitnessErrors(np.array([-THOUSAND]), np.array([1e-6]), repeated=0.1)
    lone = error_mixture(d, spreads, shifts, priors, 0.0, [once, None])
    both = error_mixture(d, spreads, shifts, priors, 0.0, [again, None])
    assert lone.clean[0] > 0.9
    found, clean = 0.003 * 0.1, 0.997 * (1 - 1e-6) * kernel(THOUSAND / 0.7)
    assert both.candidates[0, 0] == pytest.approx(found / (found + clean), rel=1e-3)


def test_values_that_are_surely_right_need_not_be_weighed() -> None:
    generator = np.random.default_rng(9)
    d = generator.normal(0, 1, (400, 3)) + np.where(generator.random(400) < 0.1, THOUSAND, 0.0)[:, None]
    shifts, priors = np.full((400, 1), THOUSAND), np.full((400, 1), 0.01)
    full = error_mixture(d, np.full(3, 0.8), shifts, priors, 0.001)
    short = error_mixture(d, np.full(3, 0.8), shifts, priors, 0.001, enough=0.5)
    weighed = short.candidates[:, 0] > 0
    assert 20 < weighed.sum() < 200
    assert np.allclose(short.candidates[weighed], full.candidates[weighed]) and np.allclose(
        short.clean[weighed], full.clean[weighed]
    )
    assert (short.clean[~weighed] <= full.clean[~weighed] + 1e-12).all() and (full.clean[~weighed] >= 0.5).all()


def test_further_evidence_moves_the_odds_by_its_likelihood_and_is_weighed_in_any_case() -> None:
    """A value 500 times the expected fails an edit that 2 % fail; a thousandth of it passes."""
    d, failing = np.array([[np.log(500.0)], [0.1]]), np.log(np.array([[0.02, 1.0, 0.5], [1.0, 1.0, 1.0]]))
    shifts, priors, spreads = np.full((2, 1), THOUSAND), np.full((2, 1), 0.001), np.array([1.5])
    before = error_mixture(d, spreads, shifts, priors, 1e-4)
    after = error_mixture(d, spreads, shifts, priors, 1e-4, enough=1e-9, evidence=failing)
    odds = [v.candidates[0, 0] / v.clean[0] for v in (before, after)]
    assert odds[1] == pytest.approx(50 * odds[0], rel=1e-9)
    assert after.other[0] / after.clean[0] == pytest.approx(25 * before.other[0] / before.clean[0], rel=1e-9)
    assert after.candidates[1, 0] == 0.0, "without evidence a value that is surely right is not weighed"


def test_digits_exchanged() -> None:
    found = transposed_digits(np.array([1234.0, 110.0, 7.0, np.nan, 12.5, 101.0]), places=4)
    assert found[0, :3].tolist() == [1243.0, 1324.0, 2134.0] and np.isnan(found[0, 3])
    assert found[1, 0] == 101.0 and np.isnan(found[1, 1]), "110: 1 and 1 are equal"
    assert np.isnan(found[2:5]).all()
    assert found[5, 0] == 110.0 and np.isnan(found[5, 1]), "011 is no number of three digits"


def test_exchanging_digits_twice_gives_the_number_back() -> None:
    numbers = np.random.default_rng(3).integers(10, 10**9, 300).astype(np.float64)
    for place in range(9):
        once = transposed_digits(numbers)[:, place]
        there = np.isfinite(once)
        assert (transposed_digits(once[there])[:, place] == numbers[there]).all()


def test_spread_is_that_of_the_middle() -> None:
    values = np.concatenate([np.linspace(-1, 1, 101), [50.0, np.nan]])
    assert robust_spread(values, floor=0.05, default=9.0) == pytest.approx(1.4826 * 0.51, abs=0.01)
    assert robust_spread(values[:5], floor=0.05, default=9.0) == 9.0
    assert robust_spread(np.zeros(30), floor=0.05, default=9.0) == 0.05


def test_input_that_does_not_fit_is_refused() -> None:
    with pytest.raises(BadInput, match="spreads"):
        judge([[1.0, 2.0]], [0.3])
    with pytest.raises(BadInput, match="one entry each"):
        error_mixture(np.zeros((1, 2)), np.ones(2), np.zeros((1, 1)), np.zeros((1, 1)), 0.0, [None])
    with pytest.raises(BadInput, match="positive"):
        judge([[1.0]], [0.0])
    with pytest.raises(BadInput, match="probabilities"):
        judge([[1.0]], [0.3], prior=-0.1)
