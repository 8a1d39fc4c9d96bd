"""A share of a domain as a ratio of two estimated counts: against the textbook formula, a census, repeated sampling."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from etl.methods.estimation.design import stratified_sample
from etl.methods.estimation.estimate import Estimate
from etl.methods.estimation.ratio import ratio


def share(
    strata: Sequence[str], weight: NDArray[np.float64], inside: NDArray[np.bool_], of: NDArray[np.bool_]
) -> Estimate:
    """As the published shares are estimated: the weights of a stratum add up to its population."""
    names = np.asarray(strata)
    sample = stratified_sample(strata, {str(h): float(weight[names == h].sum()) for h in np.unique(names)})
    return ratio((inside & of).astype(np.float64), of.astype(np.float64), sample, weight=weight, lonely="centre")


def test_one_stratum_is_the_variance_of_a_proportion() -> None:
    """Cochran (1977), Sampling Techniques, 3rd ed., eq. 3.8: v(p) = (1 − f) p q / (n − 1)."""
    inside = np.array([True] * 12 + [False] * 28)
    found = share(["a"] * 40, np.full(40, 5.0), inside, np.ones(40, bool))
    assert found.value == pytest.approx(0.3)
    assert found.variance == pytest.approx((1 - 40 / 200) * 0.3 * 0.7 / 39)
    assert found.cv == pytest.approx(np.sqrt(found.variance) / 0.3)


def test_strata_add_up_as_in_the_textbook() -> None:
    """Cochran (1977), eq. 5.53: v(p_st) = Σ W_h² (1 − f_h) p_h q_h / (n_h − 1), domain = everybody."""
    sizes = {"a": (20, 3.0, 8), "b": (30, 10.0, 6)}
    strata, weight, inside = [], [], []
    for name, (n, w, yes) in sizes.items():
        strata += [name] * n
        weight += [w] * n
        inside += [i < yes for i in range(n)]
    found = share(strata, np.array(weight), np.array(inside), np.ones(50, bool))
    total = sum(n * w for n, w, _ in sizes.values())
    assert found.value == pytest.approx(sum(w * yes for _, w, yes in sizes.values()) / total)
    variance = 0.0
    for n, w, yes in sizes.values():
        p, part = yes / n, n * w / total
        z_mean_shift = p - found.value  # the linearised mean of a stratum does not enter its spread
        assert abs(z_mean_shift) > 0
        variance += part**2 * (1 - 1 / w) * p * (1 - p) / (n - 1)
    assert found.variance == pytest.approx(variance)


def test_a_census_has_no_sampling_variance_and_zero_no_cv() -> None:
    everybody = np.ones(10, bool)
    assert share(["a"] * 10, np.ones(10), np.arange(10) < 3, everybody).variance == 0
    none = share(["a"] * 10, np.full(10, 2.0), np.zeros(10, bool), everybody)
    assert none.value == 0 and none.cv is None


def test_a_lone_respondent_overstates_rather_than_hides() -> None:
    strata = ["a"] * 9 + ["b"]
    inside = np.array([True, False, True, False, False, True, False, False, False, True])
    alone = share(strata, np.full(10, 4.0), inside, np.ones(10, bool))
    without = share(strata[:9], np.full(9, 4.0), inside[:9], np.ones(9, bool))
    assert alone.variance > without.variance * (9 / 10) ** 2


def test_intervals_of_a_domain_cover_its_share() -> None:
    """600 samples of one population: a nominal 95 % interval of a domain's share."""
    rng = np.random.default_rng(11)
    stratum = np.repeat(["a", "b"], [600, 2400])
    inside = rng.random(3000) < np.where(stratum == "a", 0.5, 0.2)
    of = rng.random(3000) < 0.6
    true = inside[of].mean()
    covered = 0
    for _ in range(600):
        chosen = np.concatenate([rng.choice(600, 120, replace=False), 600 + rng.choice(2400, 160, replace=False)])
        weight = np.where(stratum[chosen] == "a", 5.0, 15.0)
        found = share(stratum[chosen].tolist(), weight, inside[chosen], of[chosen])
        covered += abs(found.value - true) <= 1.96 * np.sqrt(found.variance)
    assert 0.92 <= covered / 600 <= 0.975


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match=r"larger|population of 1"):
        share(["a", "a"], np.array([0.5, 0.5]), np.ones(2, bool), np.ones(2, bool))
    with pytest.raises(ValueError, match="denominator is not positive"):
        share(["a", "a"], np.array([2.0, 2.0]), np.ones(2, bool), np.zeros(2, bool))
