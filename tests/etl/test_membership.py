"""Rule R30, its sensitivity and the safe set of thresholds: by hand, as properties, by simulation."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.methods.membership import membership, membership_rate, sensitivity

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
