"""Rule R30, its sensitivity and the safe set of thresholds: by hand, as properties, by simulation."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.methods.membership import membership, membership_rate, publishable, sensitivity

NAN = float("nan")
SHARES = st.lists(st.one_of(st.just(NAN), st.floats(0, 1)), min_size=1, max_size=60)


def test_the_rule_by_hand() -> None:
    share = np.array([0.0, 0.2999999, 300 / 1000, 1.0, NAN, NAN])
    rate = np.array([0.9, 0.9, 0.9, 0.9, 0.25, NAN])
    found = membership(share, rate)
    assert found.value[:5].tolist() == [0.0, 0.0, 1.0, 1.0, 0.25] and np.isnan(found.value[5])
    assert found.status.tolist() == ["confirmed"] * 4 + ["imputed", "unknown"]


def test_a_model_however_sure_never_confirms() -> None:
    found = membership(np.full(50, NAN), np.full(50, 1.0))
    assert set(found.status) == {"imputed"}


@pytest.mark.parametrize("bad", [0.0, 1.2, -0.1])
def test_a_threshold_outside_its_range_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="expected a share above 0"):
        membership(np.array([0.5]), np.array([0.5]), threshold=bad)


def test_a_share_above_one_is_refused() -> None:
    with pytest.raises(ValueError, match="signed_share: expected 1 values within 0 and 1"):
        membership(np.array([1.2]), np.array([0.5]))


def test_the_rate_of_a_stratum_by_hand() -> None:
    share = np.array([0.4] * 6 + [0.2] * 2 + [0.0] * 4 + [NAN] * 3)
    strata = [["a"] * 12 + ["a", "a", "b"], ["all"] * 15]
    for threshold, rate in ((0.1, 8 / 12), (0.3, 0.5), (0.5, 0.0)):
        assert membership_rate(share, strata, threshold=threshold)[-3:].tolist() == [rate] * 3
    counts = sensitivity(share, strata)
    assert [(c.confirmed, c.imputed) for c in counts] == [(8, pytest.approx(2.0)), (6, 1.5), (0, 0.0)]
    assert counts[2].upper > 0, "none of twelve is no proof that there is none"
    assert all(c.confirmed <= c.lower <= c.total <= c.upper <= c.confirmed + 3 for c in counts)


def test_other_years_inform_the_rate_but_are_not_counted() -> None:
    share = np.array([0.4] * 12 + [NAN] * 4)
    counted = np.array([True, True] + [False] * 10 + [True] + [False] * 3)
    (count,) = sensitivity(share, [["all"] * 16], counted=counted, thresholds=[0.3])
    assert (count.confirmed, count.imputed, count.unknown) == (2, 1.0, 0)
    (few,) = sensitivity(share[10:], [["all"] * 6], thresholds=[0.3])
    assert (few.confirmed, few.imputed, few.unknown) == (2, 0.0, 4), "two respondents give no rate: unknown, not zero"


@settings(max_examples=60, deadline=None)
@given(SHARES, st.integers(1, 3))
def test_counts_never_rise_with_the_threshold(shares: list[float], groups: int) -> None:
    share = np.array(shares)
    strata = [[str(i % groups) for i in range(share.size)], ["all"] * share.size]
    counts = sensitivity(share, strata, thresholds=[0.1, 0.3, 0.5, 0.9], min_respondents=2, draws=50)
    totals = [c.total for c in counts]
    assert all(a >= b - 1e-12 for a, b in itertools.pairwise(totals))
    assert all(c.confirmed + c.unknown <= share.size and c.lower <= c.total <= c.upper for c in counts)


def test_the_interval_covers_the_members_among_those_who_did_not_answer() -> None:
    """Strata of 12 and 30 respondents, rates from 2 to 97 %: 95 % intervals hold the true count about as often as they say."""
    random = np.random.default_rng(11)
    replicates, hits = 300, 0
    for _ in range(replicates):
        shares, strata = [], []
        for name, (respondents, missing, rate) in {"a": (12, 8, 0.97), "b": (30, 40, 0.3), "c": (25, 60, 0.02)}.items():
            shares.append(np.where(random.random(respondents + missing) < rate, 0.6, 0.1))
            strata += [name] * (respondents + missing)
        truth = np.concatenate(shares)
        signed = np.concatenate([np.arange(n + m) < n for n, m in ((12, 8), (30, 40), (25, 60))])
        (found,) = sensitivity(np.where(signed, truth, NAN), [strata], thresholds=[0.3], draws=400)
        hits += found.lower <= (truth >= 0.3).sum() <= found.upper
    assert 0.91 <= hits / replicates <= 0.99


def test_thresholds_that_would_show_a_few_units_are_not_published() -> None:
    many = [0.05] * 5 + [0.2] * 5 + [0.4] * 5 + [0.8] * 5
    names = [f"g{i}" for i in range(20)]
    assert publishable(np.array(many), names) == (True, True, True)
    low = np.array(many[:5] + [0.2] * 2 + many[10:])
    assert publishable(low, names[: low.size]) == (False, True, True), "10 % minus 30 % would be two units"
    high = np.array(many[:15] + [0.8] * 2)
    assert publishable(high, names[: high.size]) == (True, True, False), "50 % itself would be two units"
    band = np.array(many[:10] + [0.4] * 1 + [0.8] * 5)
    assert publishable(band, names[: band.size]) == (True, True, False), "30 % minus 50 % would be one unit"
    base = np.array([0.05, 0.2, 0.2, 0.2, 0.4, 0.4, 0.4, 0.8, 0.8, 0.8])
    assert publishable(base, names[:10])[0] is False, "the public frame minus 10 % would be one unit"


def test_units_of_one_group_are_one_contributor_and_models_are_none() -> None:
    share = np.array([0.05] * 3 + [0.2] * 4 + [0.4] * 3 + [0.8] * 3)
    names = ["p", "q", "r"] + ["one"] * 4 + ["s", "t", "u", "v", "w", "x"]
    assert publishable(share, names) == (False, True, True)
    assert publishable(np.where(share == 0.2, NAN, share), names) == (True, True, True), "nobody answered there"
    with pytest.raises(ValueError, match="is not among the thresholds"):
        publishable(share, names, thresholds=[0.1, 0.5])


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 8)), min_size=1, max_size=40))
def test_no_difference_of_published_counts_is_a_small_group(units: list[tuple[float, int]]) -> None:
    share, names = np.array([s for s, _ in units]), np.array([str(g) for _, g in units])
    thresholds = [0.1, 0.2, 0.3, 0.5, 0.7]
    flags = publishable(share, names.tolist(), thresholds=thresholds)
    shown = [t for t, may in zip(thresholds, flags, strict=True) if may]
    pairs = [(a, b) for i, a in enumerate(shown) for b in shown[i + 1 :]]
    pairs += [(0.0, t) for t in shown if t < 0.3] + [(t, np.inf) for t in shown if t > 0.3]
    for low, high in pairs:
        count = np.unique(names[(share >= low) & (share < high)]).size
        assert count == 0 or count >= 3, (low, high)
