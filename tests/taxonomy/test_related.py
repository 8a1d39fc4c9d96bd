"""Related codes (R…): labels of a side of their own, never coded from text, locks that stand, evidence that adds up."""

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from taxonomy.classifier.batch import code_batch
from taxonomy.classifier.bundle import Bundle, build_bundle
from taxonomy.classifier.decide import nominated
from taxonomy.classifier.explain import explain
from taxonomy.classifier.lexicon import load_lexicon
from taxonomy.classifier.store import load, save
from taxonomy.classifier.training import generic_phrases
from taxonomy.classifier.unit import AI, NONE, RELATED, phrases_of_units, side_of, sides, train_unit_model

RULE = {"min_labels": 20, "inverse_penalty": 5.0, "review_from": 0.0, "review_recall": 0.95, "review_none_share": 0.09}
TEXTS = {"B31": "灵犀云控平台研发；软件开发", "R391": "互联网医院诊疗服务；医疗服务", "none": "日用百货零售；餐饮服务"}
MADE = ("甲甲科技有限公司", "乙乙医院有限公司", "丙丙商行有限公司")


def labelled(**counts: int) -> pl.DataFrame:
    """Units whose label follows from their text."""
    name = dict(zip(TEXTS, MADE, strict=True))
    rows = [(f"第{i}{name[code]}", TEXTS[code], None, code) for code, n in counts.items() for i in range(n)]
    return pl.DataFrame(
        rows, schema=dict.fromkeys(("name", "business_scope", "main_products", "ai_class"), pl.String), orient="row"
    )


@pytest.fixture(scope="module")
def trained() -> Bundle:
    return build_bundle(labelled(B31=30, R391=30, none=30))


def coded(bundle: Bundle, scope: str, lock: str | None = None, name: str = "某有限公司") -> dict[str, object]:
    row = {"unit_id": "x", "name": name, "business_scope": scope, "locked_class": lock}
    table = pa.Table.from_pylist([row], schema=pa.schema([(k, pa.string()) for k in row]))
    frame = pl.from_arrow(pa.Table.from_batches([code_batch(table.to_batches()[0], bundle)]))
    assert isinstance(frame, pl.DataFrame)
    return {**frame.row(0, named=True), "nominated": nominated(frame, bundle.parameters.none_below)[0]}


def test_a_related_label_is_a_side_of_its_own(trained: Bundle) -> None:
    assert [side_of(c) for c in ("A11", "R", "R39", "R391", "none")] == [AI, RELATED, RELATED, RELATED, NONE]
    assert trained.unit is not None and trained.unit.classes == (AI, NONE, RELATED)
    assert {k: trained.training[k] for k in ("labels", "positives", "related")} == {
        "labels": 90, "positives": 30, "related": 30,
    }  # fmt: skip
    frame = pl.DataFrame(
        {"name": [None] * 3, "business_scope": list(TEXTS.values())}, schema_overrides={"name": pl.String}
    )
    said = sides(trained.unit, phrases_of_units(frame), 3)
    assert (said.core > 0).tolist() == [True, False, False], "a related text speaks against core, as a plain one does"
    assert (said.related > 0).tolist() == [False, True, False]
    assert said.against.tolist()[1:] == [RELATED, NONE], "core is measured against the likelier of the other two"
    assert not {p for p in trained.dictionary if "医" in p} & {"互联网医院诊疗服务"}, (
        "the dictionary speaks of core leaves"
    )


def test_no_text_is_coded_related_and_such_a_unit_is_not_coded_none_either(trained: Bundle) -> None:
    without = build_bundle(labelled(B31=30, none=30))
    before, after = coded(without, TEXTS["R391"]), coded(trained, TEXTS["R391"])
    assert before["segment"] == "none", "without related labels the text is plainly not core"
    assert (after["route"], after["segment"], after["ai_class"]) == ("review", None, None)
    assert after["p_ai"] == pytest.approx(0.0, abs=0.05), "p_ai stays P(core)"
    assert after["nominated"] and not before["nominated"], "one rule: whoever is in review is asked"
    assert coded(trained, TEXTS["none"])["segment"] == "none"
    assert coded(trained, TEXTS["B31"])["p_ai"] > coded(trained, TEXTS["none"])["p_ai"]  # type: ignore[operator]


def test_too_few_related_labels_train_neither_core_nor_none() -> None:
    known = (RULE, generic_phrases(), load_lexicon())
    few = train_unit_model(labelled(B31=25, R391=19, none=25), *known)
    none = train_unit_model(labelled(B31=25, none=25), *known)
    assert few is not None and none is not None and few[0].classes == (AI, NONE)
    assert (few[0].weights == none[0].weights).all() and (few[0].bias == none[0].bias).all(), (
        "as if they were not there"
    )
    assert few[1] == none[1]
    assert train_unit_model(labelled(B31=25, R391=25, none=19), *known) is None, (
        "related units do not stand in for none"
    )
    assert train_unit_model(labelled(B31=19, R391=25, none=25), *known) is None, "nor for core"


def test_a_related_lock_stands_with_its_segment(bundle: Bundle) -> None:
    for code in ("R", "R39", "R391"):
        row = coded(bundle, "工业机器人的研发、生产", lock=code)
        assert (row["ai_class"], row["segment"], row["route"]) == (code, "related", "lock")
        assert (row["p_ai"], row["probability"], row["warning"]) == (0.0, 1.0, None)
        assert not row["nominated"]
    strange = coded(bundle, "餐饮服务", lock="R999")
    assert strange["route"] != "lock" and "R999" in str(strange["warning"])
    bare = coded(replace(bundle, related=()), "餐饮服务", lock="R391")
    assert bare["route"] != "lock", "a bundle knows its own catalogue, not the installed one"


def test_evidence_adds_up_with_three_sides(trained: Bundle) -> None:
    for scope in TEXTS.values():
        unit = {"name": "某有限公司", "business_scope": scope, "main_products": None, "gbt_code": None}
        decision, pieces = explain(unit, trained)
        evidence = json.loads(str(decision["evidence"]))
        assert sum(p.value for p in pieces) == pytest.approx(evidence["score"], abs=1e-6)
        total = evidence["bias"] + sum(c["value"] for c in evidence["contributions"])
        assert total == pytest.approx(evidence["score"], abs=1e-9)
        grams = [p for p in pieces if p.kind == "unit-ngram"]
        assert grams and all(p.text == {"scope": scope, "name": "某有限公司"}[p.field][p.start : p.end] for p in grams)


def test_a_bundle_with_related_labels_is_stored_whole(trained: Bundle, tmp_path: Path) -> None:
    again = load(save(trained, tmp_path))
    assert again.related == trained.related and "R391" in again.related
    for scope in TEXTS.values():
        assert coded(again, scope) == coded(trained, scope)
