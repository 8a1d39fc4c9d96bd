"""Dual-version coding: shares met within one unit, candidates respected, the best assignment, and counts against a known truth."""

from itertools import permutations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxonomy.classifier.dual import (
    Concordance,
    ConcordanceError,
    assign,
    dual_code,
    rake,
    whole_counts,
)

CLASSES = ("N1", "N2", "N3", "N4")
CONCORDANCE = pl.DataFrame(
    [("O1", "N1", None), ("O2", "N1", 0.3), ("O2", "N2", 0.7), ("O3", "N2", 0.2), ("O3", "N3", 0.5), ("O3", "N4", 0.3)],
    schema={"from_code": pl.String, "to_code": pl.String, "share": pl.Float64},
    orient="row",
)


def units_and_text(n: int, seed: int) -> tuple[pl.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    old = rng.choice(["O1", "O2", "O3"], size=n)
    units = pl.DataFrame({"unit_id": [f"u{i:05d}" for i in range(n)], "from_code": old})
    return units, rng.dirichlet(np.full(len(CLASSES), 0.5), size=n)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 120), st.integers(0, 10_000))
def test_shares_are_met_within_one_unit_and_only_candidates_are_used(n: int, seed: int) -> None:
    concordance = Concordance.from_frame(CONCORDANCE)
    units, text = units_and_text(n, seed)
    found = dual_code(units, CLASSES, text, concordance)
    assert found.units["unit_id"].to_list() == sorted(units["unit_id"])
    for old, new in found.units.select("from_code", "to_code").iter_rows():
        assert new in concordance.shares[old]
    for split in found.splits:
        assert sum(split.achieved.values()) == split.units
        for code, share in concordance.shares[split.from_code].items():
            assert abs(split.achieved[code] - share * split.units) < 1.0
    assert found.units["probability"].is_between(0.0, 1.0).all()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_the_result_does_not_depend_on_the_order_of_units(seed: int) -> None:
    units, text = units_and_text(60, seed)
    text[:30] = text[0]  # many ties
    order = np.random.default_rng(seed).permutation(60)
    concordance = Concordance.from_frame(CONCORDANCE)
    one = dual_code(units, CLASSES, text, concordance)
    two = dual_code(units[order.tolist()], CLASSES, text[order], concordance)
    assert one.units.equals(two.units) and one.splits == two.splits


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 6), st.integers(2, 3), st.integers(0, 10_000))
def test_the_assignment_is_the_best_of_all(n: int, m: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(m), size=n)
    counts = whole_counts(rng.dirichlet(np.ones(m)), n)
    slots = np.repeat(np.arange(m), counts)
    best = max(np.log(p[np.arange(n), list(order)]).sum() for order in set(permutations(slots.tolist())))
    chosen = assign(p, counts)
    assert (np.bincount(chosen, minlength=m) == counts).all()
    assert np.log(p[np.arange(n), chosen]).sum() == pytest.approx(best)


@given(st.lists(st.floats(0.001, 1.0), min_size=1, max_size=8), st.integers(0, 500))
def test_whole_counts_sum_up_and_stay_within_one(shares: list[float], n: int) -> None:
    counts = whole_counts(shares, n)
    exact = np.array(shares) / sum(shares) * n
    assert counts.sum() == n and (counts >= 0).all() and (np.abs(counts - exact) < 1.0).all()


def test_raked_probabilities_have_the_shares_and_keep_the_order_of_odds() -> None:
    rng = np.random.default_rng(4)
    p = rng.dirichlet(np.full(3, 0.2), size=500)
    p = np.maximum(p, 1e-9) / np.maximum(p, 1e-9).sum(axis=1, keepdims=True)
    shares = np.array([0.6, 0.3, 0.1])
    fitted = rake(p, shares)
    assert fitted.mean(axis=0) == pytest.approx(shares, abs=1e-7)
    assert fitted.sum(axis=1) == pytest.approx(np.ones(500))
    shift = np.log(fitted / p)
    relative = shift - shift[:, :1]
    assert np.ptp(relative, axis=0) == pytest.approx(np.zeros(3), abs=1e-6), "one shift of log-odds a class"
    counts = whole_counts(shares, 500)
    assert (assign(p, counts) == assign(fitted, counts)).all(), "such a shift does not change the best assignment"


def test_a_candidate_the_model_does_not_know_still_gets_its_share() -> None:
    units = pl.DataFrame({"unit_id": ["a", "b", "c", "d"], "from_code": ["O2"] * 4})
    found = dual_code(units, ("N2",), np.ones((4, 1)), Concordance({"O2": {"N1": 0.25, "N2": 0.75}}))
    assert found.splits[0].achieved == {"N1": 1, "N2": 3}
    assert found.units["moved"].sum() == 1 and found.as_dict()["moved"] == 1


def test_one_successor_is_certain() -> None:
    units, text = units_and_text(200, 1)
    found = dual_code(units, CLASSES, text, Concordance.from_frame(CONCORDANCE)).units.filter(
        pl.col("from_code") == "O1"
    )
    assert set(found["to_code"]) == {"N1"} and found["probability"].min() == 1.0 and not found["moved"].any()


def test_what_does_not_fit_is_refused() -> None:
    units, text = units_and_text(5, 1)
    with pytest.raises(ConcordanceError, match="sum of one"):
        Concordance.from_frame(CONCORDANCE.with_columns(share=pl.lit(0.4)))
    with pytest.raises(ConcordanceError, match="twice"):
        Concordance.from_frame(pl.concat([CONCORDANCE, CONCORDANCE]))
    with pytest.raises(ConcordanceError, match="not in the concordance"):
        dual_code(units, CLASSES, text, Concordance({"O1": {"N1": 1.0}}))
    with pytest.raises(ConcordanceError, match="shape"):
        dual_code(units, CLASSES[:2], text, Concordance.from_frame(CONCORDANCE))
    with pytest.raises(ConcordanceError, match="no unit"):
        rake(np.array([[1.0, 0.0]]), np.array([0.5, 0.5]))


def test_constrained_counts_are_nearer_the_truth_than_the_classifier_alone() -> None:
    # Fixed seeds; 40 populations of 2,000 units of one split code, a classifier that leans towards N1, shares known from a
    # recoded sample of 400 units only.
    rng = np.random.default_rng(20261123)
    true_shares = np.array([0.5, 0.3, 0.2])
    alone, constrained, right_alone, right_constrained = [], [], [], []
    for _ in range(40):
        true = rng.choice(3, p=true_shares, size=2_000)
        score = rng.normal(0.0, 1.0, (2_000, 3)) + 1.5 * np.eye(3)[true] + np.array([0.8, 0.0, -0.4])
        text = np.exp(score) / np.exp(score).sum(axis=1, keepdims=True)
        sampled = np.bincount(true[rng.permutation(2_000)[:400]], minlength=3) / 400
        units = pl.DataFrame({"unit_id": [f"u{i:04d}" for i in range(2_000)], "from_code": ["O"] * 2_000})
        names = ("N1", "N2", "N3")
        found = dual_code(units, names, text, Concordance({"O": dict(zip(names, sampled.tolist(), strict=True))}))
        counts, split = np.bincount(true, minlength=3), found.splits[0]
        alone.append(np.abs(np.array([split.unconstrained[c] for c in names]) - counts).sum())
        constrained.append(np.abs(np.array([split.achieved[c] for c in names]) - counts).sum())
        given = np.array([names.index(c) for c in found.units["to_code"]])
        right_alone.append((text.argmax(axis=1) == true).mean())
        right_constrained.append((given == true).mean())
    assert np.mean(constrained) < 0.4 * np.mean(alone)
    assert np.mean(np.array(constrained) < np.array(alone)) > 0.9
    assert np.mean(right_constrained) > np.mean(right_alone), "units gain as well when the lean is corrected"
