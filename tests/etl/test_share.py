"""Evidence ladder and intervals of the AI share: by hand, as properties, by simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.methods.share import (
    Evidence,
    best_evidence,
    imputed_total,
    prediction_interval,
    ratio_draws,
    rounded_share,
    stratum_share,
)
from taxonomy.ladder import load_ladder, rung_number

NAN = float("nan")


def test_the_ladder_is_that_of_the_design_and_only_a_return_confirms() -> None:
    ladder = load_ladder()
    assert [r.id for r in ladder] == ["survey", "ledger", "invoice", "audited", "model", "coefficient", "none"]
    assert [r.id for r in ladder if r.confirms] == ["survey"]
    assert rung_number("coefficient") == 6
    with pytest.raises(KeyError, match="known: survey, ledger"):
        rung_number("rumour")


def test_a_survey_answer_is_a_point_with_its_rounding_by_hand() -> None:
    found = rounded_share(np.array([400_000.0, NAN, 0.0, 1_001.0]), np.array([1e6, 1e6, 2e6, 1_000.0]), half_unit=500)
    assert found.share[0] == 0.4
    assert found.lower[0] == pytest.approx(399_500 / 1_000_500) and found.upper[0] == pytest.approx(400_500 / 999_500)
    assert np.isnan([found.share[1], found.lower[1], found.upper[1]]).all(), "not answered is not zero"
    assert (found.share[2], found.lower[2]) == (0.0, 0.0) and found.upper[2] == pytest.approx(500 / 1_999_500)
    assert (found.share[3], found.upper[3]) == (1.0, 1.0), "the form's tolerance lets a part exceed the whole"


def test_no_share_of_a_whole_that_is_not_positive() -> None:
    assert np.isnan(rounded_share(np.array([5.0]), np.array([0.0]), half_unit=1).share).all()


def test_prediction_interval_by_hand() -> None:
    values = np.arange(1, 40) / 40
    assert prediction_interval(values) == (1 / 40, 39 / 40), "39 respondents: the extremes are 2.5 % from each side"
    assert prediction_interval(values[:38]) == (0.0, 1.0), "38 are too few for 95 %"
    assert prediction_interval(np.arange(1, 80) / 80) == (2 / 80, 78 / 80)
    assert prediction_interval(np.array([])) == (0.0, 1.0)


def test_prediction_interval_covers_whatever_the_distribution() -> None:
    random = np.random.default_rng(5)
    for size in (12, 39, 60, 130):
        hits = 0
        for _ in range(1500):
            draws = np.where(random.random(size + 1) < 0.3, 0.0, random.beta(4, 2, size + 1))
            low, high = prediction_interval(draws[:-1])
            hits += low <= draws[-1] <= high
        assert hits / 1500 >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 1500), size


def test_the_best_rung_is_taken_by_hand() -> None:
    def evidence(rung: int, *share: float) -> Evidence:
        values = np.array(share)
        return Evidence(rung, values, values - 0.01 * rung, values + 0.01 * rung)

    found = best_evidence(
        [evidence(6, 0.5, 0.5, 0.5, NAN), evidence(1, 0.9, NAN, NAN, NAN), evidence(5, 0.7, 0.7, NAN, NAN)]
    )
    assert found.rung.tolist() == [1, 5, 6, 7]
    assert found.share.tolist() == [0.9, 0.7, 0.5, 0.0]
    assert found.lower.tolist() == pytest.approx([0.89, 0.65, 0.44, 0.0])
    assert found.upper.tolist() == pytest.approx([0.91, 0.75, 0.56, 1.0]), "nothing known: anything from 0 to 1"
    with pytest.raises(ValueError, match="distinct whole numbers from 1 to 6"):
        best_evidence([evidence(7, 0.5)])
    wrong = Evidence(2, np.array([0.5]), np.array([0.6]), np.array([0.7]))
    with pytest.raises(ValueError, match="rung 2: an interval does not hold its share"):
        best_evidence([wrong])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 100), st.booleans()), min_size=1, max_size=50))
def test_shares_stay_within_their_bounds(units: list[tuple[float, float, bool]]) -> None:
    share, whole = np.array([s for s, _, _ in units]), np.array([x for _, x, _ in units])
    signed = np.array([f for _, _, f in units])
    part = np.where(signed, share * whole, NAN)
    whole = np.where(signed, whole, NAN)
    model = stratum_share(part, whole, [["all"] * share.size], rung=5, min_respondents=3)
    found = best_evidence([rounded_share(part, whole, half_unit=0.005), model])
    assert ((found.lower >= 0) & (found.lower <= found.share + 1e-12)).all()
    assert ((found.share <= found.upper + 1e-12) & (found.upper <= 1)).all()
    assert set(found.rung[signed]) <= {1} and set(found.rung[~signed]) <= {5, 7}


def replicate(random: np.random.Generator, respondents: int, missing: int) -> tuple[bool, float]:
    """Very unequal sizes, shares with a lump at zero: whether the interval holds the truth, and the relative error."""
    n = respondents + missing
    size = np.exp(random.normal(0, 1.1, n))
    share = np.where(random.random(n) < 0.7, np.clip(random.normal(0.66, 0.18, n), 0.3, 1.0), 0.0)
    targets = np.arange(n) >= respondents
    part, whole = np.where(targets, NAN, share * size), np.where(targets, NAN, size)
    drawn = ratio_draws(part, whole, [["all"] * n], targets, random, draws=300)
    estimate = np.nansum(part) / np.nansum(whole) * size[targets]
    found = imputed_total(estimate, drawn * size[targets])
    truth = float((share * size)[targets].sum())
    return found.lower <= truth <= found.upper, estimate.sum() / truth - 1 if truth else 0.0


@pytest.mark.parametrize(("respondents", "missing"), [(10, 10), (15, 5), (30, 10), (80, 30)])
def test_the_interval_of_an_imputed_total_covers_as_promised(respondents: int, missing: int) -> None:
    random = np.random.default_rng(respondents)
    replicates = 600
    hits = sum(replicate(random, respondents, missing)[0] for _ in range(replicates))
    spread = np.sqrt(0.95 * 0.05 / replicates)
    assert 0.95 - 3 * spread <= hits / replicates <= 0.99


def test_drawn_ratios_scatter_about_the_ratio_of_totals() -> None:
    random = np.random.default_rng(3)
    size = np.exp(random.normal(0, 1, 60))
    part = np.where(np.arange(60) < 50, 0.5 * size + 0.1 * size * random.random(60), NAN)
    whole = np.where(np.arange(60) < 50, size, NAN)
    drawn = ratio_draws(part, whole, [["all"] * 60], np.arange(60) >= 50, random, draws=4000)
    assert drawn.shape == (4000, 10)
    assert drawn.mean() == pytest.approx(np.nansum(part) / np.nansum(whole), rel=2e-3)


def test_an_imputed_total_of_nobody_is_zero_without_doubt() -> None:
    found = imputed_total(np.array([]), np.empty((100, 0)))
    assert (found.estimate, found.lower, found.upper) == (0.0, 0.0, 0.0)
    few = ratio_draws(np.array([1.0, NAN]), np.array([2.0, NAN]), [["a", "a"]], np.array([False, True]),
                      np.random.default_rng(0), draws=5)  # fmt: skip
    assert np.isnan(few).all(), "one respondent gives no ratio"
