"""Gold for calibrating and gold for judging: apart for good, and the promise holds after a calibration that looked."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import binom

from taxonomy.classifier.bundle import Bundle
from taxonomy.classifier.calibrate import CORE_ONLY, NOT_CORE, Calibration, fit, probabilities
from taxonomy.classifier.gold_use import calibrated, calibrating, calibration_share, judging, truth_position
from taxonomy.classifier.promise import choose_thresholds
from taxonomy.classifier.store import ensure_bundle, load, save

SCOPES = (
    "餐饮服务；食品销售",
    "工业机器人的研发、生产",
    "大模型应用开发；人工智能应用软件开发",
    "服装批发；国内贸易",
    "智能芯片设计；软件开发",
)


def test_a_unit_stays_in_its_part_and_the_parts_have_their_shares() -> None:
    ids = pl.Series([f"u{i:05d}" for i in range(20_000)])
    part = calibrating(ids, 0.25)
    assert part.mean() == pytest.approx(0.25, abs=0.01)
    assert calibrating(ids.reverse(), 0.25).reverse().to_list() == part.to_list()
    assert (calibrating(ids, 0.5) | ~part).all(), "a larger share holds the smaller one"
    gold = pl.DataFrame({"unit_id": ids, "inclusion_probability": 0.2})
    rest = judging(gold, 0.25)
    assert set(rest["unit_id"]) == set(ids.filter(~part)) and rest["inclusion_probability"].max() == pytest.approx(0.15)
    assert (1.0 / rest["inclusion_probability"]).sum() == pytest.approx(
        (1.0 / gold["inclusion_probability"]).sum(), rel=0.02
    )
    assert judging(gold, 0.0) is gold


@pytest.mark.parametrize(
    ("codes", "expected"),
    [(["A11"], 0), (["none"], NOT_CORE), (["A11", "A12"], CORE_ONLY), (["A1"], CORE_ONLY), (["A11", "none"], None), ([], None), (None, None)],
)  # fmt: skip
def test_what_a_label_teaches_calibration(codes: list[str] | None, expected: int | None) -> None:
    assert truth_position(codes, ("A11", "A12")) == expected


def test_core_without_a_leaf_counts_for_core_alone() -> None:
    rng = np.random.default_rng(4)
    scores = rng.normal(0.0, 2.0, (400, 3))
    p = probabilities(scores, Calibration(1.5, 1.5))
    leaf = np.array([rng.choice(4, p=[1.0 - row.sum(), *row]) for row in p]) - 1
    coarse = np.where((leaf >= 0) & (rng.random(400) < 0.5), CORE_ONLY, leaf)
    fine, mixed = fit(scores, leaf), fit(scores, coarse)
    assert mixed.core == fine.core and mixed.leaf != fine.leaf and mixed.gold == 400
    only = fit(scores, np.where(leaf >= 0, CORE_ONLY, NOT_CORE))
    assert only.core == fine.core and only.leaf == 1.0


@pytest.fixture(scope="module")
def bundle(bundles) -> Bundle:  # type: ignore[no-untyped-def]
    return ensure_bundle(bundles)


def gold_frame(n: int = 400) -> pl.DataFrame:
    rng = np.random.default_rng(8)
    code = {1: "A51", 2: "B21", 4: "A11"}
    which = rng.integers(0, len(SCOPES), n)
    truth = [[code[w]] if w in code and rng.random() < 0.7 else ["none"] for w in which.tolist()]
    return pl.DataFrame(
        {
            "unit_id": [f"u{i:04d}" for i in range(n)],
            "name": [f"深圳市第{i}号有限公司" for i in range(n)],
            "business_scope": [SCOPES[w] for w in which.tolist()],
            "main_products": pl.Series([None] * n, dtype=pl.String),
            "gbt_code": pl.Series([None] * n, dtype=pl.String),
            "inclusion_probability": rng.choice([0.1, 0.5], n),
            "codes": pl.Series(truth, dtype=pl.List(pl.String)),
        }
    )


def test_only_the_calibrating_part_moves_a_bundle(bundle: Bundle, tmp_path) -> None:  # type: ignore[no-untyped-def]
    gold = gold_frame()
    found = calibrated(bundle, gold, "g1", 0.25)
    part = calibrating(gold["unit_id"], 0.25)
    assert found.hash != bundle.hash and found.calibration.gold == part.sum() and calibration_share(found) == 0.25
    assert found.calibration.core > 1.3, "three in ten AI texts are none: the scores were too sure"
    assert found.training["calibration"] == {"sample": "g1", "share": 0.25, "units": int(part.sum())}
    assert calibrated(bundle, gold.reverse(), "g1", 0.25).hash == found.hash
    other = pl.when(pl.col("codes").list.first() == "none").then(pl.lit(["A11"])).otherwise(pl.lit(["none"]))
    flipped = gold.with_columns(codes=pl.when(part).then("codes").otherwise(other))
    assert calibrated(bundle, flipped, "g1", 0.25) == found, "answers that judge it change nothing of the bundle"
    assert (
        calibrated(bundle, gold.with_columns(codes=pl.when(part).then(other).otherwise("codes")), "g1", 0.25) != found
    )
    again = load(save(found, tmp_path))
    assert again.calibration == found.calibration and again.training == found.training
    assert calibrated(bundle, gold.head(100), "g1", 0.25) is bundle, "fewer than fifty units calibrate nothing"
    assert calibrated(bundle, gold.with_columns(codes=pl.lit(None, pl.List(pl.String))), "g1", 0.25) is bundle
    assert bundle.calibration == Calibration() and calibration_share(bundle) == 0.0


def _accepted(rng: np.random.Generator, apart: bool) -> bool:
    """One register of which 8 % is coded wrongly whatever its kind; a calibration that believes the kinds of unit without an
    error in the gold it saw; then the promise of at most 5 %. True when it is given, which is always wrong."""
    n, drawn, kinds = 4_000, 800, 60
    kind, wrong = rng.integers(0, kinds, n), rng.random(n) < 0.08
    order = rng.permutation(n)
    gold = order[:drawn]
    seen = gold[: drawn // 4] if apart else gold
    errors = np.bincount(kind[seen], weights=wrong[seen], minlength=kinds)
    confidence = np.where(errors[kind] == 0, 0.99, 0.4)
    stratum = np.full(n, "A", dtype=object)
    if apart:
        stratum[seen] = "A:calibrating"
    frame = pl.DataFrame({"group": ["A"] * n, "stratum": stratum.tolist(), "confidence": confidence})
    rank = np.argsort(order) / n
    rows = frame.with_columns(correct=pl.Series(~wrong), random=pl.Series(rank))[gold.tolist()]
    return choose_thresholds(rows, frame, error=0.05).groups[0].route == "auto"


def test_the_bound_survives_calibration_only_on_gold_set_apart() -> None:
    runs = 150
    rng = np.random.default_rng(20261125)
    kept = sum(_accepted(rng, True) for _ in range(runs))
    assert kept <= binom.ppf(0.99, runs, 0.05), "a promise of 95 % is broken in at most one of twenty samples"
    assert sum(_accepted(rng, False) for _ in range(30)) == 30, "the same gold for both would always promise wrongly"
