"""Change list: which units changed, why, and what moved; a change without reason is called that."""

import json

import polars as pl

from taxonomy.classifier.changes import SCHEMA, change_list, describe, joined
from tests.taxonomy.quality_data import decision, decisions_and_truth


def with_evidence(row: dict[str, object], bias: float, parts: list[tuple[str, str, float]]) -> dict[str, object]:
    body = {
        "class": row["ai_class"] or "A11", "bias": bias, "score": bias + sum(v for *_, v in parts),
        "contributions": [
            {"kind": k, "field": "scope", "text": t, "start": 0, "end": len(t), "value": v} for k, t, v in parts
        ],
    }  # fmt: skip
    return {**row, "evidence": json.dumps(body, ensure_ascii=False)}


BEFORE = [
    with_evidence(decision("a", "A11", 0.9), -7.0, [("lexicon", "机器人", 4.0), ("model", "机器人", 5.0)]),
    decision("b", "A11", 0.9),
    with_evidence(decision("c", "none", 0.9), -7.0, [("model", "软件", 1.0)]),
    decision("d", "A11", 0.9),
    decision("e", "none", 0.9),
    decision("gone", "A11", 0.9),
]
NOW = [
    with_evidence(decision("a", "A12", 0.9, "rule"), -7.0, [("lexicon", "机器人", 4.0), ("lexicon", "机械臂", 3.5), ("model", "机器人", 1.0)]),
    decision("b", "A11", 0.9),
    with_evidence(decision("c", "A21", 0.9, bundle="b2"), -7.0, [("model", "软件", 1.5), ("dictionary", "智能体开发", 7.5)]),
    decision("d", "A11", 0.6, "review"),
    decision("e", "B11", 0.9, "lock"),
    decision("new", "A11", 0.9),
]  # fmt: skip


def frame(rows: list[dict[str, object]]) -> pl.DataFrame:
    return pl.DataFrame(rows, infer_schema_length=None)


def inputs(texts: dict[str, str], codes: dict[str, str]) -> pl.DataFrame:
    units = list("abcde")
    return pl.DataFrame(
        {
            "unit_id": units,
            "text_hash": [texts.get(u, "t") for u in units],
            "gbt_code": [codes.get(u, "65") for u in units],
        }
    )


def test_what_changed_and_why() -> None:
    found = change_list(
        frame(BEFORE), frame(NOW), inputs_before=inputs({}, {}), inputs_now=inputs({"a": "t2"}, {"a": "39"})
    )
    assert (found.compared, found.added, found.gone) == (5, 1, 1)
    assert found.units.schema == pl.Schema(SCHEMA)
    rows = {r["unit_id"]: r for r in found.units.iter_rows(named=True)}
    assert sorted(rows) == ["a", "c", "d", "e"]
    assert (rows["a"]["class_before"], rows["a"]["class_now"]) == ("A11", "A12")
    assert rows["a"]["reasons"] == ["text", "declared_code"]
    # By kind: lexicon +3.5, model -4.0. The model moved most, by its only phrase.
    assert (rows["a"]["moved_kind"], rows["a"]["moved_by"], rows["a"]["moved_text"]) == ("model", -4.0, "机器人")
    assert rows["c"]["reasons"] == ["bundle"]
    assert (rows["c"]["moved_kind"], rows["c"]["moved_by"], rows["c"]["moved_text"]) == (
        "dictionary",
        7.5,
        "智能体开发",
    )
    assert (rows["c"]["score_before"], rows["c"]["score_now"]) == (-6.0, 2.0)
    assert (rows["d"]["class_now"], rows["d"]["reasons"]) == ("-", ["unexplained"])
    assert rows["d"]["moved_kind"] is None, "the same evidence on both sides: nothing moved"
    assert rows["e"]["reasons"] == ["lock"]


def test_the_summary_holds_no_unit_and_counts_moves() -> None:
    found = change_list(frame(BEFORE), frame(NOW))
    body = found.as_dict()
    assert (body["changed"], body["class_changed"]) == (4, 4)
    assert body["by_reason"] == {"bundle": 1, "lock": 1, "unexplained": 2}
    assert {"from": "A11", "to": "A12", "n": 1} in body["moves"]
    assert "单位" not in json.dumps(body, ensure_ascii=False)


def test_sentences_in_both_languages() -> None:
    rows = {r["unit_id"]: r for r in change_list(frame(BEFORE), frame(NOW)).units.iter_rows(named=True)}
    assert describe(rows["c"]) == "非人工智能 → A21：编码包更换；变动最大 dictionary“智能体开发” +7.50"
    assert describe(rows["d"], "en") == "A11 → left to people: unexplained: replay it"


def test_equal_runs_have_no_changes_and_parts_add_up() -> None:
    decisions, _ = decisions_and_truth(300)
    assert change_list(decisions, decisions).units.height == 0
    other, _ = decisions_and_truth(300, seed=6)
    whole = change_list(decisions, other)
    parts = joined(change_list(a, b) for a, b in zip(decisions.iter_slices(70), other.iter_slices(70), strict=True))
    assert whole.units.height > 50
    assert parts.units.equals(whole.units) and parts.as_dict() == whole.as_dict()


def test_without_evidence_reasons_are_still_told() -> None:
    found = change_list(frame(BEFORE).drop("evidence"), frame(NOW).drop("evidence"))
    assert found.units.height == 4 and found.units["moved_kind"].null_count() == 4
