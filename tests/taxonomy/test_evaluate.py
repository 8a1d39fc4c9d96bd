"""The quality report against scikit-learn and against figures worked out by hand; no NaN, no unit, a stable set of keys."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import brier_score_loss, cohen_kappa_score, precision_recall_fscore_support

from taxonomy.classifier.evaluate import HEADINGS, RunFacts, decisions_digest, evaluate
from taxonomy.classifier.judged import JudgeError, ancestor_at, is_right, judge, ranked_answers, read_gold
from taxonomy.classifier.quality_table import SCHEMA, pooled, quality_rows
from tests.taxonomy.quality_data import decision, decisions_and_truth, gold_of


@pytest.fixture(scope="module")
def sample() -> tuple[pl.DataFrame, pl.DataFrame]:
    decisions, truth = decisions_and_truth()
    rng = np.random.default_rng(3)
    drawn = np.sort(rng.permutation(decisions.height)[:800])
    inclusion = np.where(rng.random(800) < 0.5, 0.2, 0.8)
    units = [decisions["unit_id"][int(i)] for i in drawn]
    return decisions, gold_of(units, [truth[i] for i in drawn], inclusion.tolist())


@pytest.fixture(scope="module")
def body(sample: tuple[pl.DataFrame, pl.DataFrame]) -> dict[str, Any]:
    return evaluate(*sample, RunFacts(as_of="2026-03-31", promise={"all": 0.2})).as_dict()


def test_five_headings_and_json_without_nan(body: dict[str, Any]) -> None:
    assert set(HEADINGS) <= set(body) and body["schema_version"] == "2"
    assert json.loads(json.dumps(body, allow_nan=False)) == body


def leaf_arrays(sample: tuple[pl.DataFrame, pl.DataFrame]) -> tuple[list[str], list[str], np.ndarray]:
    """Truth, best answer and weight of each gold unit, worked out from the test's own data."""
    decisions, gold = sample
    joined = gold.join(decisions, on="unit_id", how="left").sort("unit_id")
    said = [json.loads(e)["class"] for e in joined["evidence"]]
    return [c[0] for c in joined["codes"].to_list()], said, 1.0 / joined["inclusion_probability"].to_numpy()


def test_precision_recall_f1_equal_scikit_learn_with_the_same_weights(
    sample: tuple[pl.DataFrame, pl.DataFrame], body: dict[str, Any]
) -> None:
    truth, said, weight = leaf_arrays(sample)
    labels = sorted(set(truth) | set(said))
    oracle = precision_recall_fscore_support(truth, said, labels=labels, sample_weight=weight, zero_division=0.0)
    found = {r["code"]: r for r in body["accuracy"]["by_class"] if r["level"] == "leaf" and r["answer"] == "top1"}
    assert sorted(found) == labels
    for i, code in enumerate(labels):
        for j, name in enumerate(("precision", "recall", "f1")):
            measure = found[code][name]
            assert measure["value"] == pytest.approx(oracle[j][i], abs=2e-6), (code, name)
            assert measure["low"] <= measure["value"] <= measure["high"]
        assert found[code]["support"] == truth.count(code)


def test_kappa_brier_and_accuracy_equal_other_computations(
    sample: tuple[pl.DataFrame, pl.DataFrame], body: dict[str, Any]
) -> None:
    truth, said, weight = leaf_arrays(sample)
    kappa = next(r for r in body["accuracy"]["agreement"] if (r["who"], r["level"]) == ("model_human", "leaf"))
    assert kappa["kappa"]["value"] == pytest.approx(cohen_kappa_score(truth, said, sample_weight=weight), abs=2e-6)
    right = np.array([a == b for a, b in zip(truth, said, strict=True)])
    top1 = next(
        r for r in body["accuracy"]["by_level"] if (r["level"], r["top"], r["scope"]) == ("leaf", 1, "all")
    )  # fmt: skip
    assert top1["accuracy"]["value"] == pytest.approx(float(np.average(right, weights=weight)), abs=2e-6)
    joined = sample[1].join(sample[0], on="unit_id").sort("unit_id")
    p = joined["probability"].to_numpy()
    overall = body["accuracy"]["calibration"][0]
    assert overall["route"] == "all"
    assert overall["brier"]["value"] == pytest.approx(brier_score_loss(right, p, sample_weight=weight), abs=2e-6)
    gaps = [
        weight[p == v].sum() * abs(np.average(right[p == v], weights=weight[p == v]) - v) for v in np.unique(p)
    ]  # each probability of the test's data falls in a bin of its own
    assert overall["ece"]["value"] == pytest.approx(sum(gaps) / weight.sum(), abs=2e-6)
    assert overall["ece"]["value"] < 0.05, "the data are calibrated by construction"


def test_more_answers_never_find_less_and_coarser_levels_are_not_harder(body: dict[str, Any]) -> None:
    found = {(r["level"], r["top"], r["scope"]): r["accuracy"]["value"] for r in body["accuracy"]["by_level"]}
    for level in ("branch", "class", "leaf"):
        assert found[level, 1, "all"] <= found[level, 3, "all"] <= found[level, 5, "all"]
    assert (
        found["leaf", 1, "all"] <= found["class", 1, "all"] <= found["branch", 1, "all"] <= found["ai", 1, "all"] + 0.2
    )
    assert found["leaf", 1, "coded"] > found["leaf", 1, "all"], "what was coded is the surer part"


def test_curve_trades_automation_for_accuracy(body: dict[str, Any], sample: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    curve = body["cost_effectiveness"]["curve"]
    automation = [p["automation"] for p in curve]
    assert automation == sorted(automation, reverse=True) and automation[0] == 1.0
    at_90 = next(p for p in curve if p["threshold"] == 0.9)
    assert at_90["automation"] == pytest.approx((sample[0]["probability"] >= 0.9).mean(), abs=1e-6)
    assert at_90["accuracy"]["value"] > curve[0]["accuracy"]["value"]
    supported = {r["accuracy"]: r["supported"] for r in body["cost_effectiveness"]["automation_at_accuracy"]}
    assert supported[0.8] is not None and supported[0.99] is None, "no threshold of these data is right in 99 %"


def test_promise_is_kept_broken_or_open(sample: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    def state(promised: float) -> str:
        rows = evaluate(*sample, RunFacts(promise={"all": promised})).as_dict()["accuracy"]["promise"]
        return str(next(r["state"] for r in rows if r["group"] == "all"))

    assert (state(0.2), state(0.01)) == ("kept", "broken")
    observed = evaluate(*sample).as_dict()["accuracy"]["promise"][0]["observed"]["value"]
    assert state(observed) == "open"


def test_without_gold_every_figure_that_needs_it_is_null_with_a_reason(
    sample: tuple[pl.DataFrame, pl.DataFrame],
) -> None:
    body = evaluate(sample[0]).as_dict()
    assert body["gold"]["reason_en"] == "there is no gold sample"
    for row in body["accuracy"]["by_level"]:
        assert row["accuracy"]["value"] is None and row["accuracy"]["reason_zh"] == "没有金标准样本"
    shares = body["cost_effectiveness"]["coverage_by_route"]
    assert sum(r["share"] for r in shares) == pytest.approx(1.0, abs=1e-5)
    json.dumps(body, allow_nan=False)


def keys(value: Any, path: str = "") -> Iterator[str]:
    """Paths of the keys that stand in any JSON, list members taken by their first."""
    if isinstance(value, dict):
        for name, below in value.items():
            yield f"{path}.{name}"
            yield from keys(below, f"{path}.{name}")
    elif isinstance(value, list) and value:
        yield from keys(value[0], f"{path}[]")


def test_the_keys_are_the_same_with_and_without_gold(
    body: dict[str, Any], sample: tuple[pl.DataFrame, pl.DataFrame]
) -> None:
    without = set(keys(evaluate(sample[0]).as_dict()))
    both = set(keys(body))
    assert without <= both
    # What is listed per class, pair, bin or size can only stand where there is gold.
    lists = (
        "by_class[]",
        "bins[]",
        "confusions[]",
        "promise[]",
        ".review_sets.sizes.",
        "[].estimate.",
        "[].supported.",
    )
    assert [k for k in both - without if not any(part in k for part in lists)] == []


def test_no_unit_stands_in_the_report_or_the_table(
    body: dict[str, Any], sample: tuple[pl.DataFrame, pl.DataFrame]
) -> None:
    texts = json.dumps(body, ensure_ascii=False), quality_rows(evaluate(*sample)).write_csv()
    for text in texts:
        assert "u00" not in text and "单位u" not in text


def test_set_valued_truth_undecidable_and_unfinished_gold() -> None:
    decisions = pl.DataFrame(
        [decision("a", "A11", 0.9), decision("b", "A12", 0.9), decision("c", "none", 0.9), decision("d", "A11", 0.6, "review")],
        infer_schema_length=None,
    )  # fmt: skip
    gold = pl.DataFrame(
        {
            "unit_id": ["a", "b", "c", "d", "e"],
            "codes": ["A11;A12", "[]", "", '["none"]', "A11"],
            "inclusion_probability": ["1", "1", "1", "1", "1"],
        }
    ).with_columns(pl.col("inclusion_probability").cast(pl.Float64))
    body = evaluate(decisions, gold, RunFacts(promise={"all": 0.1})).as_dict()
    head = body["gold"]
    assert (head["judged"], head["undecidable"], head["waiting"], head["unmatched"]) == (2, 1, 1, 1)
    assert body["accuracy"]["match_kinds"] == {"OO": 0, "OM": 1, "MO": 1, "MM": 0}
    rows = {(r["level"], r["code"], r["answer"]): r for r in body["accuracy"]["by_class"]}
    assert rows["leaf", "A11", "shown"]["recall"]["value"] == 1.0
    assert ("leaf", "A12", "shown") in rows and rows["leaf", "A12", "shown"]["recall"]["n"] == 0, "a is found as A11"
    # Of two coded units one was undecidable for people: an error of the machine that coded it.
    assert body["accuracy"]["promise"][0]["observed"]["value"] == 0.5
    sets = body["accuracy"]["review_sets"]
    assert sets["coverage"]["value"] == 1.0 and sets["size"]["value"] == 2.0


def test_truth_at_levels_and_right_or_wrong() -> None:
    assert [ancestor_at("A11", level) for level in ("branch", "class", "leaf")] == ["A", "A1", "A11"]
    assert ancestor_at("A1", "leaf") is None and ancestor_at("none", "class") == "none"
    assert ancestor_at("R391", "class") == "R39"
    assert is_right("A1", {"A11"}) and is_right("A11", {"A11", "B11"}) and is_right("none", {"none"})
    assert not is_right("A11", {"A1"}), "a truth coarser than the answer does not confirm it"
    assert not is_right("none", {"A11"}) and not is_right("A", {"none"}) and not is_right("A", set())
    with pytest.raises(JudgeError, match="Z99"):
        ancestor_at("Z99", "leaf")


def test_none_stands_among_the_answers_with_what_is_missing_to_one() -> None:
    assert ranked_answers('[{"code":"A11","p":0.3}]', 0.4)[0] == ("none", 0.6)
    with_related = dict(ranked_answers('[{"code":"R391","p":0.5},{"code":"A11","p":0.1}]', 0.1))
    assert with_related["none"] == pytest.approx(0.4)
    assert dict(ranked_answers('[{"code":"none","p":0.7}]', 0.1)) == {"none": 0.7}


def test_gold_that_cannot_be_used_is_refused_with_the_way_out() -> None:
    good = gold_of(["a"], ["A11"])
    with pytest.raises(JudgeError, match="inclusion_probability"):
        read_gold(good.drop("inclusion_probability"))
    with pytest.raises(JudgeError, match="above 0"):
        read_gold(good.with_columns(inclusion_probability=pl.lit(0.0)))
    with pytest.raises(JudgeError, match="twice"):
        read_gold(pl.concat([good, good]))
    with pytest.raises(JudgeError, match="aistat classify"):
        evaluate(pl.DataFrame({"unit_id": ["a"]}))


def test_weights_not_the_sample_decide() -> None:
    # Sure units are drawn at 10 %, doubtful ones in full: the unweighted share would be 2/3, the weighted one is 20/21.
    decisions = pl.DataFrame([decision(u, "A11", 0.9) for u in "abc"], infer_schema_length=None)
    gold = gold_of(["a", "b", "c"], ["A11", "A11", "B11"], [0.1, 0.1, 1.0])
    judged = judge(decisions, gold)
    assert judged.design.share(judged.right).value == pytest.approx(20.0 / 21.0)


def test_equal_decisions_have_equal_digests_in_any_order() -> None:
    decisions, _ = decisions_and_truth(50)
    digest = decisions_digest(decisions)
    assert decisions_digest(decisions.sample(fraction=1.0, shuffle=True, seed=1)) == digest
    changed = decisions.with_columns(p_ai=pl.when(pl.col("unit_id") == "u00001").then(0.123).otherwise("p_ai"))
    assert decisions_digest(changed) != digest


def test_evidence_that_does_not_add_up_is_seen() -> None:
    decisions, _ = decisions_and_truth(40)
    assert evaluate(decisions).as_dict()["explainability"]["adds_up"]["value"] == 1.0
    broken = decisions.with_columns(
        evidence=pl.when(pl.col("unit_id") < "u00010")
        .then(pl.col("evidence").str.replace('"score": 1.5', '"score": 1.6', literal=True))
        .otherwise("evidence")
    )
    assert evaluate(broken).as_dict()["explainability"]["adds_up"]["value"] == pytest.approx(0.75)


def test_the_table_holds_no_small_group_that_could_be_had_by_subtraction() -> None:
    assert pooled({"A": 100, "B": 50}) == {"A": 100, "B": 50}
    assert pooled({"A": 100, "B": 50, "C": 3}) == {"A": 100, "other": 53}
    assert pooled({"A": 100, "B": 6, "C": 7, "D": 40}) == {"A": 100, "D": 40, "other": 13}
    assert pooled({"A": 100, "B": 0}) == {"A": 100, "B": 0}


def test_the_table_of_a_release(sample: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    table = quality_rows(evaluate(*sample))
    assert table.schema == pl.Schema(SCHEMA)
    assert table.select(pl.struct("metric", "scope").is_duplicated().any()).item() is False
    values = table["value"].drop_nulls()
    assert values.is_finite().all()
    without = quality_rows(evaluate(sample[0]))
    needing = without.filter(pl.col("metric").is_in(["accuracy", "kappa", "curve_accuracy", "ece"]))
    assert needing["value"].null_count() == needing.height > 20
    assert set(needing["note_zh"]) == {"没有金标准样本"}
