"""The text model: kernel against scikit-learn, exact additivity, storage; the unit's explanation down to n-grams."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxonomy.classifier.bundle import Bundle, build_bundle
from taxonomy.classifier.explain import explain
from taxonomy.classifier.textmodel import TextField, TextModel
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
