"""Agreement against published worked examples and an independent implementation."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from taxonomy.classifier.agreement import agreement_by_level, cohen_kappa, krippendorff_alpha

# Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, section C: four observers, twelve units, missing data.
FOUR_OBSERVERS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]


def pairs(table: list[list[int]]) -> tuple[list[int], list[int]]:
    """A contingency table as two sequences."""
    cells = [(i, j) for i, row in enumerate(table) for j, count in enumerate(row) for _ in range(count)]
    return [i for i, _ in cells], [j for _, j in cells]


def test_alpha_of_krippendorff_2011_with_missing_data() -> None:
    found = krippendorff_alpha(FOUR_OBSERVERS)
    # By hand from the coincidence matrix: 40 pairable values (9, 13, 10, 5, 3); matches 7 + 10 + 8 + 4 + 3 = 32.
    # alpha = 1 - (n-1)(n - matches) / (n² - Σ n_c²) = 1 - 39 · 8 / (1600 - 384).
    assert found.n == 11, "the unit one observer alone has coded cannot be compared"
    assert found.value == pytest.approx(1 - 39 * 8 / (1600 - 384), abs=1e-12)
    assert round(found.value, 3) == 0.743
    assert found.low < found.value < found.high


def test_alpha_of_krippendorff_2011_binary_and_nominal_pairs() -> None:
    binary = [[0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]]
    nominal = ["aabbdcccedda", "babbbcccedd" + "d"]
    assert round(krippendorff_alpha(binary).value, 3) == 0.095
    assert round(krippendorff_alpha([list(row) for row in nominal]).value, 3) == 0.692


def test_kappa_of_fleiss_levin_and_paik() -> None:
    # Fleiss, Levin & Paik, Statistical Methods for Rates and Proportions, 3rd ed., table 18.1 (100 diagnoses):
    # p_o = .89, p_e = .66.
    first, second = pairs([[75, 1, 4], [5, 4, 1], [0, 0, 10]])
    found = cohen_kappa(first, second)
    assert found.observed == pytest.approx(0.89) and found.expected == pytest.approx(0.66)
    assert found.value == pytest.approx(0.23 / 0.34, abs=1e-12)


def test_kappa_interval_agrees_with_the_spread_of_repeated_samples() -> None:
    table = np.array([[75, 1, 4], [5, 4, 1], [0, 0, 10]])
    first, second = pairs((4 * table).tolist())
    found = cohen_kappa(first, second)
    half = (found.high - found.low) / 2 / 1.959964
    rng = np.random.default_rng(20221101)
    values = []
    for draw in rng.multinomial(400, table.ravel() / 100, size=2_000):
        p = draw.reshape(3, 3) / 400
        expected = p.sum(axis=0) @ p.sum(axis=1)
        values.append((np.trace(p) - expected) / (1 - expected))
    assert half == pytest.approx(float(np.std(values)), rel=0.06)


def test_kappa_equals_an_independent_implementation() -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        first = rng.integers(0, 5, 60)
        second = np.where(rng.random(60) < 0.6, first, rng.integers(0, 5, 60))
        assert cohen_kappa(first.tolist(), second.tolist()).value == pytest.approx(cohen_kappa_score(first, second))


def test_limits_of_agreement() -> None:
    perfect = cohen_kappa(["A", "B", "A"], ["A", "B", "A"])
    assert perfect.value == 1.0 and perfect.high == 1.0
    assert np.isnan(cohen_kappa(["A", "A"], ["A", "A"]).value), "one category alone: chance explains everything"
    assert cohen_kappa([None, "A"], ["A", None]).n == 0
    assert krippendorff_alpha([["A", "B"], ["B", "A"]]).value < 0
    assert np.isnan(krippendorff_alpha([["A", None], [None, "A"]]).value)


def test_agreement_by_level_uses_sets_where_they_agree() -> None:
    first = [["A11"], ["A11", "A12"], ["B21"], ["none"], ["C12"], []]
    second = [["A12"], ["A11", "A12"], ["B21"], ["none"], ["D11"], ["A11"]]
    branch, klass, leaf = agreement_by_level(first, second)
    assert [x.level for x in (branch, klass, leaf)] == ["branch", "class", "leaf"]
    assert branch.kappa.n == 5 and branch.left_out == 1
    assert klass.kappa.observed == pytest.approx(4 / 5)
    assert leaf.kappa.n == 4 and leaf.left_out == 2, "a set of two leaves says nothing of the leaf"
    assert leaf.kappa.observed == pytest.approx(2 / 4)
