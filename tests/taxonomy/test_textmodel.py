"""The text model: kernel against scikit-learn, exact additivity, storage; the unit's explanation down to n-grams."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from taxonomy.classifier.bundle import Bundle, build_bundle
from taxonomy.classifier.explain import explain
from taxonomy.classifier.lexicon import load_lexicon
from taxonomy.classifier.store import load, save
from taxonomy.classifier.textmodel import TextField, TextModel
from taxonomy.classifier.training import generic_phrases
from taxonomy.classifier.unit import phrases_of_units, review_threshold
from tests.taxonomy.test_bundle import labelled

WORDS = ["软件开发", "人工智能", "服装批发", "机器人制造", "餐饮", "a", "数据服务", "房地产", "é𠀀"]
FIELDS = (TextField("scope"), TextField("name", 1.4, (2, 3)))


def corpus(rows: int, seed: int) -> tuple[pl.DataFrame, list[str]]:
    random = np.random.default_rng(seed)
    labels = [str(x) for x in random.choice(["ai", "none", "other"], rows)]
    records = [
        (row, str(random.choice(["scope", "name", "unused"])), "".join(random.choice(WORDS, 3)))
        for row in range(rows)
        for _ in range(random.integers(0, 6))
    ]
    return pl.DataFrame(records, schema=["row", "field", "phrase"], orient="row"), labels


@pytest.mark.parametrize("fit", ["logistic", "svm"])
def test_kernel_equals_scikit_learn(fit: str) -> None:
    phrases, labels = corpus(300, 1)
    model = TextModel.train(phrases, FIELDS, labels, fit=fit)  # type: ignore[arg-type]
    unseen, _ = corpus(200, 2)
    ours, theirs = model.scores(unseen, 200), model.reference_scores(unseen, 200)
    assert np.abs(ours - theirs).max() < 1e-9
    assert (ours.argmax(axis=1) == theirs.argmax(axis=1)).all()
    again = TextModel.restore(json.loads(json.dumps(model.head())), model.arrays())  # type: ignore[arg-type]
    strange = pl.concat([unseen, unseen.with_columns(phrase=pl.col("phrase") + "㐂㐃㐄")])
    assert (again.scores(strange, 200) == model.scores(strange, 200)).all(), "also of words that training never saw"


def test_n_grams_add_up_to_the_score() -> None:
    phrases, labels = corpus(200, 3)
    model = TextModel.train(phrases, FIELDS, labels)
    scores = model.scores(phrases, 200)
    first, second = 0, 2
    for row in range(40):
        one = phrases.filter(pl.col("row") == row)
        total = sum(g.value for g in model.grams(one, model.classes[first], model.classes[second]))
        bias = model.scale * (model.bias[first] - model.bias[second])
        assert total + bias == pytest.approx(scores[row, first] - scores[row, second], abs=1e-9)


def test_a_row_is_scored_alone() -> None:
    phrases, labels = corpus(100, 4)
    model = TextModel.train(phrases, FIELDS, labels)
    together = model.scores(phrases, 100)
    for row in range(0, 100, 9):
        one = phrases.filter(pl.col("row") == row).with_columns(row=pl.lit(0))
        assert (model.scores(one, 1)[0] == together[row]).all()


def test_strange_text_scores_nearer_to_the_bias() -> None:
    phrases = pl.DataFrame({"row": [0, 1, 2], "field": ["scope"] * 3, "phrase": ["人工智能", "服装批发", "餐饮"]})
    model = TextModel.train(phrases, (TextField("scope"),), ["ai", "none", "none"])
    score = model.scores(
        pl.DataFrame({"row": [0, 1], "field": ["scope"] * 2, "phrase": ["人工智能", "人工智能魑魅魍魉"]}), 2
    )
    assert score[0, 0] > score[1, 0] > model.bias[0]


def test_two_classes_are_needed() -> None:
    phrases = pl.DataFrame({"row": [0], "field": ["scope"], "phrase": ["餐饮"]})
    with pytest.raises(ValueError, match="two classes"):
        TextModel.train(phrases, FIELDS, ["ai"])


@pytest.fixture(scope="module")
def trained() -> Bundle:
    return build_bundle(labelled())


def test_an_explanation_adds_up_and_points_at_the_text(trained: Bundle) -> None:
    pieces_of = [
        "人工智能芯片设计",
        "灵犀云控平台研发",
        "餐饮服务",
        "ＡＩ大模型",
        "；",
        "，",
        "（不含批发）",
        "机器人销售",
    ]
    text = st.lists(st.sampled_from(pieces_of), max_size=5).map("；".join)

    @settings(max_examples=25, deadline=None)
    @example("灵犀云控平台研发", "人工智能芯片设计；ＡＩ大模型", None)
    @given(text, text, st.sampled_from([None, "6513", "3963"]))
    def holds(scope: str, product: str, code: str | None) -> None:
        unit = {"name": "甲人工智能科技有限公司", "business_scope": scope, "main_products": product, "gbt_code": code}
        decision, pieces = explain(unit, trained)  # type: ignore[arg-type]
        score = json.loads(str(decision["evidence"]))["score"]
        assert sum(p.value for p in pieces) == pytest.approx(score, abs=1e-6)
        column = {"name": "name", "scope": "business_scope", "product": "main_products"}
        for piece in pieces:
            if piece.kind in ("ngram", "unit-ngram", "lexicon", "dictionary"):
                original = unit[column[piece.field]] or ""
                shown = original[piece.start : piece.end]
                assert len(shown) == len(piece.text), (piece, original)

    holds()


def test_the_main_business_is_what_comes_first_and_is_not_trade() -> None:
    frame = pl.DataFrame({"name": ["甲公司"], "business_scope": ["电脑销售；软件开发；机器人制造；餐饮服务"]})
    found = phrases_of_units(frame, generic_phrases(), load_lexicon())
    fields = {f: found.filter(pl.col("field") == f)["phrase"].to_list() for f in ("scope", "main", "name")}
    assert fields["scope"] == ["电脑销售", "机器人制造", "餐饮服务"], "a generic phrase says nothing"
    assert fields["main"] == ["机器人制造", "餐饮服务"] and fields["name"] == ["甲公司"]
    plain = phrases_of_units(frame)
    assert plain.filter(pl.col("field") == "main")["phrase"].to_list() == ["电脑销售", "软件开发"]


def test_the_review_threshold_follows_the_labels_that_were_missed() -> None:
    rule = {"review_from": 0.0, "review_recall": 0.95, "review_none_share": 0.09}
    none = np.linspace(-5.0, -1.0, 100)
    is_ai = np.r_[np.zeros(100, dtype=bool), np.ones(40, dtype=bool)]
    told_apart = np.r_[none, np.linspace(0.5, 3.0, 40)]
    assert review_threshold(told_apart, is_ai, rule) == 0.0
    one_missed = np.r_[none, np.r_[[-1.2] * 3, np.linspace(0.5, 3.0, 37)]]
    assert review_threshold(one_missed, is_ai, rule) == -1.2, "reaches the missed ones"
    lost = np.r_[none, np.r_[[-4.9] * 10, np.linspace(0.5, 3.0, 30)]]
    threshold = review_threshold(lost, is_ai, rule)
    assert -1.4 < threshold < -1.3 and (none >= threshold).sum() == 9, "but not at any price"
    few = np.r_[np.linspace(-5.0, -1.0, 5), [-4.0] * 5]
    assert review_threshold(few, np.arange(10) >= 5, rule) == 0.0, "no share of five units is bearable"


def test_a_bundle_keeps_its_review_threshold(trained: Bundle, tmp_path: Path) -> None:
    lower = replace(trained, review_from=-1.25)
    assert load(save(lower, tmp_path)).review_from == -1.25
