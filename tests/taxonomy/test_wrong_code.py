"""Wrong declared codes: what a code stands for, Bayes by hand, and a register whose wrong codes are known."""

import numpy as np
import polars as pl
import pytest

from taxonomy.classifier.wrong_code import Contradiction, declared_mask, posterior, suspect_codes
from taxonomy.scheme import load_scheme

GBT = load_scheme("gbt4754_2017")
DIVISIONS = ("39", "62", "65", "51")


def test_a_code_stands_for_itself_what_is_above_and_what_is_below() -> None:
    mask = declared_mask(["65", "6513", "I", " c ", "3961", "", None, "9999", "01"], DIVISIONS, GBT)
    rows = [[DIVISIONS[i] for i in np.flatnonzero(row)] for row in mask]
    assert rows == [["65"], ["65"], ["65"], ["39"], ["39"], [], [], [], []]


def test_posterior_is_bayes() -> None:
    # Declared 39 (right in 90 %), shares .4/.3/.2/.1, text says 65 with .9: by hand
    base, text = np.array([0.4, 0.3, 0.2, 0.1]), np.array([[0.04, 0.03, 0.9, 0.03]])
    mask = np.array([[True, False, False, False]])
    joint = np.array([0.9 * 0.04 / 0.4, 0.1 * 0.03 / 0.6, 0.1 * 0.9 / 0.6, 0.1 * 0.03 / 0.6])
    assert posterior(mask, text, base, np.array([0.9]))[0] == pytest.approx(joint / joint.sum())
    # A code that is nearly always right needs a louder text.
    sure = posterior(mask, text, base, np.array([0.999]))[0, 0]
    assert sure > 0.9 > joint[0] / joint.sum()


@pytest.fixture(scope="module")
def register() -> tuple[pl.DataFrame, np.ndarray, np.ndarray, np.ndarray]:
    """20,000 units: true division, text probabilities that are calibrated, declared codes of which a tenth is wrong."""
    rng = np.random.default_rng(9)
    n, base = 20_000, np.array([0.4, 0.3, 0.2, 0.1])
    text = rng.dirichlet(base * 0.8, size=n)
    true = np.array([rng.choice(4, p=row) for row in text])
    base = np.bincount(true, minlength=4) / n
    is_wrong = rng.random(n) < 0.1
    declared = true.copy()
    for i in np.flatnonzero(is_wrong):
        others = np.array([c for c in range(4) if c != true[i]])
        declared[i] = rng.choice(others, p=base[others] / base[others].sum())
    units = pl.DataFrame(
        {
            "unit_id": [f"u{i:05d}" for i in range(n)],
            "gbt_code": [DIVISIONS[d] for d in declared],
            "size": rng.lognormal(0.0, 1.0, n),
        }
    )
    return units, text, declared != true, base


def test_the_list_finds_wrong_codes_and_its_probabilities_hold(register) -> None:  # type: ignore[no-untyped-def]
    units, text, wrong, base = register
    shares = dict(zip(DIVISIONS, base.tolist(), strict=True))
    rule = Contradiction(least_wrong=0.5, least_text=0.5, most_declared=0.2, reliability=0.9)
    found = suspect_codes(units, DIVISIONS, text, GBT, rule, base=shares)
    truth = dict(zip(units["unit_id"], wrong.tolist(), strict=True))
    hit = np.array([truth[u] for u in found["unit_id"]])
    assert found.height > 500
    assert hit.mean() > 6 * wrong.mean(), "far denser in wrong codes than the register"
    assert hit.mean() == pytest.approx(found["p_wrong"].mean(), abs=0.04), "P(wrong) means what it says"
    assert hit.sum() / wrong.sum() > 0.4
    gain = found["gain"].to_list()
    assert gain == sorted(gain, reverse=True)
    size = dict(zip(units["unit_id"], units["size"], strict=True))
    expected = [size[u] * p for u, p in found.select("unit_id", "p_wrong").iter_rows()]
    assert gain == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_thresholds_are_all_needed_and_a_reliable_code_is_left_alone(register) -> None:  # type: ignore[no-untyped-def]
    units, text, _, _ = register
    loose = suspect_codes(units, DIVISIONS, text, GBT, Contradiction(0.3, 0.4, 0.3))
    strict = suspect_codes(units, DIVISIONS, text, GBT, Contradiction(0.6, 0.8, 0.05))
    assert 0 < strict.height < loose.height and set(strict["unit_id"]) <= set(loose["unit_id"])
    assert strict["p_suggested"].min() >= 0.8 and strict["p_declared"].max() <= 0.05
    trusted = suspect_codes(units, DIVISIONS, text, GBT, Contradiction(0.6, 0.8, 0.05), reliability={"39": 0.9999999})
    own, others = pl.col("declared") == "39", pl.col("declared") != "39"
    assert trusted.filter(own).height < 0.2 * strict.filter(own).height
    assert trusted.filter(others).equals(strict.filter(others))


def test_units_without_a_usable_code_are_not_on_the_list_and_shapes_are_checked() -> None:
    text = np.array([[0.01, 0.01, 0.97, 0.01]] * 3)
    units = pl.DataFrame({"unit_id": ["a", "b", "c"], "gbt_code": ["39", None, "XX"]})
    found = suspect_codes(units, DIVISIONS, text, GBT, Contradiction())
    assert found["unit_id"].to_list() == ["a"]
    assert found.row(0, named=True)["suggested"] == "65"
    with pytest.raises(ValueError, match="shape"):
        suspect_codes(units, DIVISIONS, text[:2], GBT, Contradiction())
    with pytest.raises(ValueError, match="between 0 and 1"):
        Contradiction(reliability=1.0)
