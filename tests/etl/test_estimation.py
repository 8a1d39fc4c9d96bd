"""Expansion, ratio, domains, variance, bootstrap, bands, below-threshold part, value added, additive cells."""

import math
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from scipy.stats import t as student

from etl.methods.estimation.additive import quantise, reconcile, roll_up
from etl.methods.estimation.bands import cv_band
from etl.methods.estimation.below_threshold import (
    below_by_benchmark,
    below_by_sample,
    below_is_empty,
    whole_total,
)
from etl.methods.estimation.bootstrap import bootstrap, bootstrap_weights
from etl.methods.estimation.design import StratifiedSample, stratified_sample
from etl.methods.estimation.domain import domain_estimates
from etl.methods.estimation.estimate import Estimate
from etl.methods.estimation.expansion import expansion_total
from etl.methods.estimation.nonresponse import nonresponse_total
from etl.methods.estimation.ratio import ratio, ratio_total
from etl.methods.estimation.value_added import ai_value_added, net_taxes, value_added_by_income
from etl.methods.estimation.variance import calibrated_total, linearised_variance
from etl.methods.tabular import BadInput, run_table, table_methods
from etl.methods.weighting.calibration import calibrate
from etl.methods.weighting.nonresponse import nonresponse_adjustment

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


def cochran_49() -> tuple[np.ndarray, np.ndarray, StratifiedSample]:
    table = pl.read_csv(GOLDEN / "cochran" / "cities_49.csv")
    x, y = (table[c].to_numpy().astype(float) for c in ("population_1920", "population_1930"))
    return x, y, stratified_sample(["all"] * 49, {"all": 196})


def skewed(seed: int = 3) -> tuple[np.ndarray, np.ndarray, list[str], StratifiedSample]:
    """A sample of three strata, one of them taken in full: y, x, domains, sample."""
    rng = np.random.default_rng(seed)
    strata = ["a"] * 20 + ["b"] * 30 + ["c"] * 5
    x = rng.lognormal(2, 0.5, 55) * np.repeat([1, 4, 40], [20, 30, 5])
    y = 2 * x * rng.lognormal(0, 0.3, 55)
    return y, x, rng.choice(["n", "s", "w"], 55).tolist(), stratified_sample(strata, {"a": 200, "b": 90, "c": 5})


# --- published ---------------------------------------------------------------------------------------------------


def test_lohr_agricultural_census_by_regions() -> None:
    """Lohr, *Sampling: Design and Analysis*, example 3.2 (acres of farms, 300 of 3,078 counties): total 909,736,034
    from the printed means and standard error 50,417,248. A two-valued sample with the printed means and variances
    stands in for the counties: estimator and variance use nothing else."""
    regions = {
        "northeast": (220, 21, 97_629.8, 7_647_472_708),
        "north central": (1054, 103, 300_504.2, 29_618_183_543),
        "south": (1382, 135, 211_315.0, 53_587_487_856),
        "west": (422, 41, 662_295.5, 396_185_950_266),
    }
    strata: list[str] = []
    values: list[float] = []
    for name, (_, n, mean, variance) in regions.items():
        half, odd = n // 2, n % 2
        step = math.sqrt(variance * (n - 1) / (2 * half))
        strata += [name] * n
        values += [mean + step] * half + [mean - step] * half + [mean] * odd
    sample = stratified_sample(strata, {k: v[0] for k, v in regions.items()})
    found = expansion_total(np.array(values), sample)
    assert found.value == pytest.approx(909_736_034, abs=100)  # means are printed to a tenth of an acre
    assert round(found.standard_error) == 50_417_248


def test_cochran_49_cities_ratio() -> None:
    """Cochran (1977), 6.2 and 6.4: ratio 1.239, ratio estimate 28,397 of the total of 196 cities; standard error 604."""
    x, y, sample = cochran_49()
    assert (y.sum(), x.sum()) == (6262, 5054)
    assert ratio(y, x, sample).value == pytest.approx(1.239, abs=5e-4)
    found = ratio_total(y, x, sample, {"all": 22_919.0}, g_weighted=False)
    assert round(found.estimate.value) == 28_397
    assert round(found.estimate.standard_error) == 604
    assert expansion_total(y, sample).value == pytest.approx(25_048)


def test_g_weighted_error_is_the_plain_one_times_g() -> None:
    x, y, sample = cochran_49()
    plain, weighted = (ratio_total(y, x, sample, {"all": 22_919.0}, g_weighted=g).estimate for g in (False, True))
    assert weighted.standard_error == pytest.approx(plain.standard_error * 22_919 / (4 * 5054))


# --- variance ----------------------------------------------------------------------------------------------------


def test_variance_by_hand_and_take_all_contributes_nothing() -> None:
    # a: N 10, values 1, 3: (1 - .2) 100/2 * 2 = 80; b: taken in full; c: N 6, values 0, 3, 6: (1/2) 36/3 * 9 = 54
    sample = stratified_sample(list("aabbccc"), {"a": 10, "b": 2, "c": 6})
    y = np.array([1.0, 3, 500, 7, 0, 3, 6])
    found = linearised_variance(y, sample.weight, sample)
    assert found.by_stratum.tolist() == pytest.approx([80, 0, 54])
    assert found.degrees == pytest.approx(134**2 / (80**2 / 1 + 54**2 / 2))
    assert expansion_total(y, sample).value == pytest.approx(20 + 507 + 18)
    census = stratified_sample(["a", "a"], {"a": 2})
    full = expansion_total(np.array([1.0, 2.0]), census)
    assert (full.variance, full.interval()) == (0.0, (3.0, 3.0))


def test_a_lonely_unit_is_refused_or_centred() -> None:
    sample = stratified_sample(list("aab"), {"a": 10, "b": 5})
    y = np.array([1.0, 3, 8])
    with pytest.raises(ValueError, match="stratum b has one sampled unit"):
        expansion_total(y, sample)
    centred = expansion_total(y, sample, lonely="centre")
    z = np.array([5.0, 15, 40])
    assert centred.variance == pytest.approx(80 + 0.8 * (40 - z.mean()) ** 2)


def test_the_variance_estimator_is_unbiased_over_all_samples() -> None:
    """Every sample of 3 of 6 and 2 of 5: the mean of the estimated variances is the variance of the estimates."""
    from itertools import combinations

    first, second = np.array([1.0, 2, 4, 9, 15, 40]), np.array([0.0, 3, 3, 8, 70])
    values, variances = [], []
    for a in combinations(first, 3):
        for b in combinations(second, 2):
            sample = stratified_sample(list("aaabb"), {"a": 6, "b": 5})
            found = expansion_total(np.array([*a, *b]), sample)
            values.append(found.value)
            variances.append(found.variance)
    assert np.mean(values) == pytest.approx(first.sum() + second.sum())
    assert np.mean(variances) == pytest.approx(np.var(values))


def test_skewness_is_that_of_the_estimator() -> None:
    rng = np.random.default_rng(1)
    population = rng.exponential(1, 40_000)  # third moment of the mean of n exponentials: 2 / sqrt(n)
    sample = stratified_sample(["a"] * 4000, {"a": 4_000_000})
    assert expansion_total(population[:4000], sample).skewness == pytest.approx(2 / 4000**0.5, rel=0.15)


@pytest.mark.parametrize("scheme", ["rao_wu", "preston"])
def test_bootstrap_agrees_with_linearisation(scheme: str) -> None:
    y, x, _, sample = skewed()
    drawn = bootstrap_weights(sample.weight, sample, 4000, scheme=scheme, seed=5)  # type: ignore[arg-type]
    assert (drawn >= -1e-9).all() or scheme == "preston"
    assert (drawn[sample.code == 2] == 1).all()  # taken in full
    total = bootstrap(lambda w: float(w @ y), sample.weight, drawn)
    expected = expansion_total(y, sample)
    # relative standard error of a variance from 4,000 near-normal replicates: sqrt(2 / 4000) = 2.2 %
    assert total.value == pytest.approx(expected.value)
    assert total.variance == pytest.approx(expected.variance, rel=0.09)
    quotient = bootstrap(lambda w: float(w @ y) / float(w @ x), sample.weight, drawn)
    assert quotient.variance == pytest.approx(ratio(y, x, sample).variance, rel=0.12)
    low, high = total.interval()
    assert low < total.value < high


def test_expectation_of_the_rescaled_bootstrap_is_exact() -> None:
    """Two units of four: all four equally likely draws of one unit give the textbook variance exactly."""
    sample = stratified_sample(["a", "a"], {"a": 4})
    y = np.array([1.0, 5.0])
    lam = math.sqrt(0.5)
    replicates = [sample.weight * (1 - lam + lam * 2 * np.array(r)) @ y for r in ((1, 0), (0, 1))]
    assert np.mean([(r - 12) ** 2 for r in replicates]) == pytest.approx(expansion_total(y, sample).variance)
    drawn = bootstrap_weights(sample.weight, sample, 50, seed=1).T @ y
    assert np.abs(drawn[:, None] - np.array(replicates)).min(axis=1).max() < 1e-9


# --- ratio, calibrated, domains --------------------------------------------------------------------------------------


def test_separate_and_combined_ratio() -> None:
    y, x, _, sample = skewed()
    totals = {"a": 1700.0, "b": 3300.0, "c": 1600.0}
    separate = ratio_total(y, x, sample, totals)
    by_hand = sum(t * y[sample.code == h].sum() / x[sample.code == h].sum() for h, t in enumerate(totals.values()))
    assert separate.estimate.value == pytest.approx(by_hand) and separate.estimate.method == "separate_ratio"
    combined = ratio_total(y, x, sample, {"all": 6600.0}, ["all"] * 55)
    assert combined.estimate.value == pytest.approx(6600 * (sample.weight @ y) / (sample.weight @ x))
    assert combined.estimate.method == "combined_ratio"
    assert combined.estimate.cv is not None and combined.estimate.cv < (expansion_total(y, sample).cv or 0)
    # y proportional to x: no error left
    assert ratio_total(3 * x, x, sample, totals).estimate.variance == pytest.approx(0, abs=1e-9)


def test_the_combined_ratio_is_a_calibration() -> None:
    y, x, _, sample = skewed()
    weight = calibrate(sample.weight, x[:, None], np.array([6600.0]), scale=1 / x).weight
    expected = ratio_total(y, x, sample, {"all": 6600.0}, ["all"] * 55).estimate
    assert float(weight @ y) == pytest.approx(expected.value)


def test_calibrated_total_has_the_error_of_its_residuals() -> None:
    y, x, _, sample = skewed()
    z = np.column_stack([np.ones(55), x])
    weight = calibrate(sample.weight, z, np.array([295.0, 6600.0])).weight
    found = calibrated_total(y, z, sample.weight, weight, sample)
    assert found.value == pytest.approx(weight @ y)
    d = sample.weight
    b = np.linalg.solve((z * d[:, None]).T @ z, (z * d[:, None]).T @ y)
    assert found.variance == pytest.approx(linearised_variance(y - z @ b, weight, sample).variance)
    exact = calibrated_total(2 + 3 * x, z, sample.weight, weight, sample)
    assert exact.value == pytest.approx(2 * 295 + 3 * 6600) and exact.variance == pytest.approx(0, abs=1e-8)


def test_domains_add_up_and_a_domain_that_is_a_stratum_keeps_its_error() -> None:
    y, x, domains, sample = skewed()
    found = domain_estimates(y, domains, sample)
    assert [d.domain for d in found] == ["n", "s", "w"]
    assert sum(d.total.value for d in found) == pytest.approx(expansion_total(y, sample).value)
    own = domain_estimates(y, [sample.labels[c] for c in sample.code], sample)
    by_stratum = linearised_variance(y, sample.weight, sample).by_stratum
    assert [d.total.variance for d in own] == pytest.approx(by_stratum.tolist())
    assert own[0].mean.value == pytest.approx(y[sample.code == 0].mean())
    assert own[0].mean.standard_error == pytest.approx(own[0].total.standard_error / 200)
    z = np.column_stack([np.ones(55), x])
    sharper = domain_estimates(y, ["all"] * 55, sample, auxiliary=z)[0].total
    assert sharper.variance < expansion_total(y, sample).variance


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda y, x, s: expansion_total(np.where(y > 50, np.nan, y), s), "missing"),
        (lambda y, x, s: ratio_total(y, x, s, {"a": 1.0, "b": 1.0}), "no known total"),
        (lambda y, x, s: ratio_total(y, x, s, {"g": 1.0, "h": 1.0}, ["g"] * 10 + ["h"] * 45), "two groups"),
        (lambda y, x, s: ratio_total(y, 0 * x, s, {"a": 1.0, "b": 1.0, "c": 1.0}), "not positive"),
        (lambda y, x, s: ratio_total(y, x, s, {"a": 1.0, "b": -3.0, "c": 1.0}), "group b: the known total .* is -3"),
        (lambda y, x, s: ratio_total(y, x, s, {"a": 1.0, "b": 0.0, "c": 1.0}), "group b: the known total"),
        (lambda y, x, s: stratified_sample(["a"], {"a": 3, "b": 4}), "none in the sample"),
        (lambda y, x, s: stratified_sample(["a", "a"], {"a": 1}), "population of 1"),
        (lambda y, x, s: stratified_sample(["a", "b"], {"a": 1}), "no population size"),
        (lambda y, x, s: bootstrap_weights(s.weight, s, 1), "at least 2"),
    ],
)
def test_what_cannot_be_estimated_is_refused(call, said: str) -> None:  # type: ignore[no-untyped-def]
    y, x, _, sample = skewed()
    with pytest.raises(ValueError, match=said):
        call(y, x, sample)


def test_full_response_has_the_variance_of_the_sample_alone() -> None:
    y, _, _, sample = skewed()
    every = np.ones(55, dtype=bool)
    found = nonresponse_total(y, sample.weight, every, np.zeros(55, dtype=np.int64), sample)
    expected = expansion_total(y, sample)
    assert found.value == pytest.approx(expected.value) and found.variance == pytest.approx(expected.variance)
    assert found.degrees == pytest.approx(expected.degrees)


def test_a_stratum_that_did_not_answer_is_refused_or_pooled() -> None:
    sample = stratified_sample(list("aaabb"), {"a": 30, "b": 20})
    y, weight = np.array([1.0, 3, 5, 4, np.nan]), np.array([10.0, 10, 10, 20, 0])
    answered, group = np.isfinite(y), np.array([0, 0, 0, 1, 1])
    with pytest.raises(ValueError, match="stratum b: fewer than two"):
        nonresponse_total(y, weight, answered, group, sample)
    found = nonresponse_total(y, weight, answered, group, sample, lonely="centre")
    # a: S² 4; b takes it over: 900 (1/3 - 1/30) 4 + 400 (1/2 - 1/20) 4; second phase about the mean of its one unit
    assert found.value == pytest.approx(170) and found.variance == pytest.approx(1080 + 720)


def test_the_variance_after_nonresponse_is_the_true_one() -> None:
    """Selection and response drawn 2,500 times; half of the stratum answers less often and is larger."""
    rng = np.random.default_rng(20261127)
    y = rng.lognormal(2, 0.6, 400) * np.repeat([1, 3], 200)
    kind = np.repeat([0, 1], 200)
    found = []
    for _ in range(2500):
        rows = rng.choice(400, 80, replace=False)
        answered = rng.random(80) < np.where(kind[rows] == 1, 0.5, 0.9)
        sample = stratified_sample(["a"] * 80, {"a": 400})
        outcome = np.where(answered, "respondent", "nonrespondent").tolist()
        adjusted = nonresponse_adjustment(sample.weight, outcome, [kind[rows].astype(str).tolist(), ["a"] * 80])
        seen = np.where(answered, y[rows], np.nan)
        one = nonresponse_total(seen, adjusted.weight, answered, adjusted.group, sample)
        found.append((one.value - y.sum(), one.variance))
    errors, variances = np.array(found).T
    assert abs(errors.mean()) < 4 * errors.std() / 2500**0.5
    # relative standard error of a variance of 2,500 draws: 2.8 %
    assert variances.mean() == pytest.approx(errors.var(), rel=0.09)


# --- intervals, bands ----------------------------------------------------------------------------------------------


def test_intervals_by_formula() -> None:
    found = Estimate(100.0, 25.0, 9.0, 10, "x", skewness=0.3)
    q = student.ppf(0.975, 9)
    assert found.interval() == pytest.approx((100 - 5 * q, 100 + 5 * q))
    assert found.interval(0.9, "normal") == pytest.approx((100 - 5 * norm.ppf(0.95), 100 + 5 * norm.ppf(0.95)))
    low, high = found.interval(kind="log")
    assert low * high == pytest.approx(100**2) and high / 100 == pytest.approx(math.exp(q * 0.05))
    low, high = found.interval(kind="skewness")
    assert 100 - low < 5 * q < high - 100  # a positively skewed estimator errs downwards: the interval reaches up
    for limit, z in ((low, q), (high, -q)):  # Hall's transformation of the studentised error gives the quantile back
        pivot = (100 - limit) / 5
        g = 0.3
        assert pivot + g / 3 * pivot**2 + g**2 / 27 * pivot**3 + g / 6 == pytest.approx(z)
    assert Estimate(0.0, 1.0, 5.0, 3, "x").cv is None
    with pytest.raises(ValueError, match="positive"):
        Estimate(-1.0, 1.0, 5.0, 3, "x").interval(kind="log")


@pytest.mark.parametrize(
    ("cv", "letter"),
    [
        (0.0, "A"),
        (0.0499, "A"),
        (0.05, "B"),
        (0.12, "C"),
        (0.2, "D"),
        (0.499, "E"),
        (0.5, "F"),
        (9.0, "F"),
        (None, None),
    ],
)
def test_bands(cv: float | None, letter: str | None) -> None:
    assert cv_band(cv) == letter


def test_bands_refuse_bounds_that_do_not_ascend() -> None:
    with pytest.raises(ValueError, match="five ascending"):
        cv_band(0.1, [0.1, 0.05, 0.2, 0.3, 0.4])


# --- below the threshold, value added --------------------------------------------------------------------------------


def test_the_part_below_the_threshold_is_never_left_out() -> None:
    above = Estimate(900.0, 100.0, 50.0, 80, "expansion")
    with pytest.raises(ValueError, match="missing"):
        whole_total(above, None)
    found = whole_total(above, below_by_benchmark(80.0, 400.0, 500.0, 0.1, units=500))
    assert found.estimate.value == pytest.approx(1000) and found.estimate.variance == pytest.approx(100 + 100)
    assert found.below_share == pytest.approx(0.1) and found.model_share == pytest.approx(0.1)
    sampled = whole_total(above, below_by_sample(Estimate(100.0, 44.0, 30.0, 40, "expansion")))
    assert (sampled.model_share, sampled.estimate.standard_error) == (0.0, 12.0)
    assert sampled.estimate.degrees == pytest.approx(144**2 / (100**2 / 50 + 44**2 / 30))
    assert whole_total(above, below_is_empty()).estimate.value == 900
    with pytest.raises(ValueError, match="relative_error"):
        below_by_benchmark(80.0, 400.0, 500.0, 0.0, units=1)


def test_value_added_by_the_income_method() -> None:
    taxes = net_taxes(np.array([3.0, 1]), np.array([9.0, np.nan]), np.array([2.0, 0]))
    found = value_added_by_income(np.array([50.0, 10]), taxes, np.array([5.0, 1]), np.array([-20.0, 4]))
    assert found[0] == 45 and np.isnan(found[1])  # a loss lowers it; a missing tax is not a tax of 0
    with pytest.raises(ValueError, match="depreciation is negative"):
        value_added_by_income(np.ones(1), np.ones(1), np.array([-1.0]), np.ones(1))


def test_the_error_of_the_share_is_carried() -> None:
    sample = stratified_sample(list("aaa"), {"a": 3})  # a census: all error comes from the shares
    v, s, sd = np.array([100.0, 50, 10]), np.array([0.5, 1.0, 0.2]), np.array([0.1, 0.0, 0.05])
    apart = ai_value_added(v, s, sd, sample)
    assert apart.estimate.value == pytest.approx(102)
    assert apart.share_variance == pytest.approx(10**2 + 0.5**2) and apart.sampling_variance == 0
    together = ai_value_added(v, s, sd, sample, correlation=1.0)
    assert together.estimate.standard_error == pytest.approx(10.5)
    rng = np.random.default_rng(4)
    draws = (v * (s + sd * rng.normal(size=(40_000, 3)))).sum(axis=1)
    assert apart.estimate.variance == pytest.approx(draws.var(), rel=0.03)
    with pytest.raises(ValueError, match="outside 0 to 1"):
        ai_value_added(v, s + 0.5, sd, sample)


def test_sampling_and_share_errors_add() -> None:
    y, _, _, sample = skewed()
    share, error = np.full(55, 0.4), np.full(55, 0.1)
    w, fraction = sample.weight, sample.fraction[sample.code]
    for kind, expected in (("measurement", fraction * (w * y * 0.1) ** 2), ("model", w * (y * 0.1) ** 2)):
        found = ai_value_added(y, share, error, sample, kind=kind)  # type: ignore[arg-type]
        assert found.sampling_variance == pytest.approx(0.16 * expansion_total(y, sample).variance)
        assert found.share_variance == pytest.approx(float(expected.sum()))
        assert found.estimate.variance == pytest.approx(found.sampling_variance + found.share_variance)


def test_the_carried_error_is_the_true_one_for_both_kinds() -> None:
    """Sampling and errors of shares drawn 3,000 times: variance estimates average to the variance of the errors."""
    rng = np.random.default_rng(20261126)
    v, s = rng.lognormal(3, 0.8, 60), rng.uniform(0.3, 0.7, 60)
    sd = np.full(60, 0.15)
    found: dict[str, list[tuple[float, float]]] = {"measurement": [], "model": []}
    for _ in range(3000):
        rows = rng.choice(60, 20, replace=False)
        noise = rng.normal(0, 0.15, 60) / 1.0
        sample = stratified_sample(["a"] * 20, {"a": 60})
        answered = np.clip(s + np.clip(noise, -0.29, 0.29), 0, 1)
        one = ai_value_added(v[rows], answered[rows], sd[rows], sample, kind="measurement").estimate
        found["measurement"].append((one.value - v @ s, one.variance))
        other = ai_value_added(v[rows], s[rows], sd[rows], sample, kind="model").estimate
        found["model"].append((other.value - v @ (s + noise), other.variance))
    for kind, rows_ in found.items():
        errors, variances = np.array(rows_).T
        # relative standard error of a variance of 3,000 draws: 2.6 %; clipping of the answers lowers theirs a little
        assert variances.mean() == pytest.approx(errors.var(), rel=0.1), kind


# --- cells that add ------------------------------------------------------------------------------------------------


def test_reconciled_cells_meet_both_margins_and_move_by_their_error() -> None:
    cells, variance = np.array([10.0, 20, 30, 40]), np.array([1.0, 4, 1, 0])
    groups = np.array([[1, 1, 0, 0], [0, 0, 1, 1], [1, 1, 1, 1]])
    found = reconcile(cells, variance, groups, np.array([35.0, 72.0, 107.0]))
    assert found == pytest.approx([11, 24, 32, 40])  # 5 shared as 1 : 4; the last cell has no error and stays
    with pytest.raises(ValueError, match="cannot be met"):
        reconcile(cells, variance, groups, np.array([35.0, 72.0, 108.0]))


@given(st.lists(st.floats(-1e6, 1e9), min_size=1, max_size=30), st.integers(0, 2))
def test_quantised_cells_add_to_the_published_total(cells: list[float], decimals: int) -> None:
    total = sum((Decimal(c) for c in cells), Decimal(0)).quantize(Decimal(1).scaleb(-decimals))
    found = quantise(np.array(cells), decimals, total)
    assert sum(found, Decimal(0)) == total
    assert all(abs(f - Decimal(c)) <= Decimal(1).scaleb(-decimals) for f, c in zip(found, cells, strict=True))
    free = quantise(np.array(cells), decimals)
    assert all(abs(f - Decimal(c)) <= Decimal(1).scaleb(-decimals) / 2 for f, c in zip(free, cells, strict=True))


def test_a_total_that_rounding_does_not_explain_is_refused() -> None:
    with pytest.raises(ValueError, match="more than rounding"):
        quantise(np.array([1.0, 2.0]), 0, Decimal(9))


def test_every_level_is_an_exact_sum_of_the_same_atoms() -> None:
    rng = np.random.default_rng(9)
    atoms = pl.DataFrame(
        {"district": ["n", "n", "s", "s", "s"], "class": ["A1", "B1", "A1", "A2", "B1"],
         "branch": ["A", "B", "A", "A", "B"],
         "value": pl.Series(quantise(rng.lognormal(18, 3, 5)), dtype=pl.Decimal(20, 2))}
    )  # fmt: skip
    levels = {"city": [], "district": ["district"], "branch": ["branch"], "class": ["branch", "class"]}
    found = roll_up(atoms, levels)
    sums = found.group_by("level").agg(pl.col("value").sum())["value"].unique()
    assert sums.len() == 1 and sums[0] == atoms["value"].sum()
    inside = found.filter(pl.col("level") == "class").group_by("branch").agg(pl.col("value").sum()).sort("branch")
    assert inside["value"].to_list() == found.filter(pl.col("level") == "branch")["value"].to_list()
    with pytest.raises(ValueError, match="Decimal"):
        roll_up(atoms.with_columns(pl.col("value").cast(pl.Float64)), levels)


# --- tables --------------------------------------------------------------------------------------------------------


def test_estimate_total_table() -> None:
    frame = pl.DataFrame(
        {"unit": [str(i) for i in range(7)], "stratum": list("aabbccc"), "value": ["1", "3", "500", "7", "0", "3", "6"],
         "domain": list("xyxyxyx")}
    )  # fmt: skip
    population = pl.DataFrame({"stratum": list("abc"), "units": ["10", "2", "6"]})
    method = table_methods()["estimate_total"]
    found = run_table(method, frame, {"population": population})
    assert found.result["estimate"] == pytest.approx(545) and found.result["standard_error"] == pytest.approx(134**0.5)
    assert found.result["band"] == "A"
    assert found.rows["domain"].to_list() == ["x", "y"] and found.rows["estimate"].sum() == pytest.approx(545)
    drawn = run_table(method, frame, {"population": population, "variance": "rao_wu", "replicates": "3000"})
    assert drawn.result["standard_error"] == pytest.approx(134**0.5, rel=0.06)
    with pytest.raises(BadInput, match="estimate_total: stratum d has units but none"):
        run_table(
            method, frame, {"population": pl.DataFrame({"stratum": list("abcd"), "units": ["10", "2", "6", "1"]})}
        )
    with pytest.raises(BadInput, match="no column units"):
        run_table(method, frame, {"population": pl.DataFrame({"stratum": ["a"], "size": ["1"]})})


@pytest.mark.parametrize(
    ("weights", "units", "value", "interval", "said"),
    [
        (["5", "-5"], "10", "3", "t", "unit 1, weight -5.0: 0 or more"),
        (["5", "5"], "10.5", "3", "t", "stratum a has 10.5 units; a whole number"),
        (["5", "5"], "-10", "3", "t", "stratum a has -10 units"),
        (["5", "5"], "10", "-3", "log", "choose interval t, normal or skewness"),
    ],
)
def test_estimate_total_refuses(weights: list[str], units: str, value: str, interval: str, said: str) -> None:
    frame = pl.DataFrame({"unit": ["0", "1"], "stratum": ["a", "a"], "value": ["1", value], "weight": weights})
    population = pl.DataFrame({"stratum": ["a"], "units": [units]})
    with pytest.raises(BadInput, match=f"estimate_total: .*{said}"):
        run_table(table_methods()["estimate_total"], frame, {"population": population, "interval": interval})


def test_a_hundred_domains_of_zero_before_the_first_figure() -> None:
    """A null coefficient of variation in the first hundred rows stopped the table at the first number."""
    size = 121
    frame = pl.DataFrame(
        {
            "unit": [f"u{i}" for i in range(size)], "stratum": ["a"] * size,
            "value": ["0"] * 120 + ["5"], "domain": [f"d{i:03d}" for i in range(size)],
        }
    )  # fmt: skip
    population = pl.DataFrame({"stratum": ["a"], "units": ["200"]})
    found = run_table(table_methods()["estimate_total"], frame, {"population": population})
    assert found.rows["cv"].null_count() == 120 and found.rows["estimate"][-1] == pytest.approx(5 * 200 / size)


def test_ratio_estimate_by_the_test_data_of_the_ons() -> None:
    """ONSdigital/statistical-methods-library, ht_ratio, 03_combined_ratio: calibration factors 1.022 and 1.355."""
    for strata, factor in (
        ({"3": ([2, 11, 8], 8), "4": ([12, 5, 12, 11], 8)}, (139, 1.022)),
        ({"1": ([2], 4), "2": ([11, 6, 8], 4)}, (56, 1.355)),
    ):
        rows = [(h, str(x)) for h, (sampled, _) in strata.items() for x in sampled]
        frame = pl.DataFrame({"stratum": [r[0] for r in rows], "auxiliary": [r[1] for r in rows]}).with_columns(
            unit=pl.Series([f"u{i}" for i in range(len(rows))]), value=pl.lit("1"), group=pl.lit("g")
        )
        parameters = {
            "population": pl.DataFrame({"stratum": list(strata), "units": [str(n) for _, n in strata.values()]}),
            "totals": pl.DataFrame({"group": ["g"], "total": [str(factor[0])]}),
            "lonely": "centre",
        }
        found = run_table(table_methods()["ratio_estimate"], frame, parameters)
        assert found.rows["calibration_factor"][0] == pytest.approx(factor[1], abs=5e-4)


def test_ratio_estimate_table() -> None:
    x, y, _ = cochran_49()
    frame = pl.DataFrame({"unit": [str(i) for i in range(49)], "stratum": ["all"] * 49, "value": y, "auxiliary": x})
    files = {"population": pl.DataFrame({"stratum": ["all"], "units": ["196"]}),
             "totals": pl.DataFrame({"group": ["all"], "total": ["22919"]})}  # fmt: skip
    found = run_table(table_methods()["ratio_estimate"], frame.cast(pl.String), files | {"g_weighted": "0"})
    assert round(found.result["estimate"]) == 28_397 and round(found.result["standard_error"]) == 604
    assert found.rows.row(0, named=True)["ratio"] == pytest.approx(6262 / 5054)
