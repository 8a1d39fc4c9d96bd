"""The text of an algorithm filing: it can send a unit to review, never code it; that a unit has filed says nothing."""

import json
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from taxonomy.classifier.batch import INPUT, code_batch
from taxonomy.classifier.bundle import Bundle
from taxonomy.classifier.decide import CODED
from taxonomy.classifier.explain import explain
from taxonomy.classifier.normalize import fold_text
from taxonomy.classifier.store import ensure_bundle

COLUMNS = [c for c in INPUT if c != "locked_class"]
LOUD = "语音识别开放平台(网站)；大语言模型训练；人工智能芯片设计；计算机视觉算法；生成式人工智能服务；智能机器人的研发"
UNITS = [
    ("plain", "深圳市甲科技有限公司", "软件开发；网络技术咨询", None, None),
    ("trader", "深圳市乙贸易有限公司", "服装批发；日用百货零售", None, "5132"),
    ("coded", "深圳市丙机器人有限公司", "工业机器人的研发、生产", "六轴机械臂", "3491"),
    ("rule", "深圳市丁科技有限公司", "大语言模型与语音识别算法的研发；计算机视觉算法", None, None),
    ("empty", None, None, None, None),
    ("strange", "魑魅", "魍魉饕餮", None, None),
    ("code", None, None, None, "3961"),
]


@pytest.fixture(scope="module")
def bundle(bundles: Path) -> Bundle:
    return ensure_bundle(bundles)


def coded(bundle: Bundle, filing: str | None, *, column: bool = True) -> pl.DataFrame:
    frame = pl.DataFrame(UNITS, schema=dict.fromkeys(COLUMNS[:-1], pl.String), orient="row")
    if column:
        frame = frame.with_columns(pl.lit(filing, pl.String).alias("filing_text"))
    batch = frame.to_arrow(compat_level=pl.CompatLevel.oldest()).combine_chunks().to_batches()[0]
    out = pl.from_arrow(pa.Table.from_batches([code_batch(batch, bundle)]))
    assert isinstance(out, pl.DataFrame)
    return out


@pytest.mark.parametrize("filing", [None, "", "（网站）", "订餐服务；服装批发"])
def test_the_presence_of_a_filing_changes_nothing(bundle: Bundle, filing: str | None) -> None:
    """A text that says nothing of AI: every column, evidence included, is as without the field."""
    assert coded(bundle, filing).equals(coded(bundle, None, column=False))


def test_a_filing_nominates_and_never_codes(bundle: Bundle) -> None:
    before, after = coded(bundle, None), coded(bundle, LOUD)
    rows = {r["unit_id"]: r for r in after.iter_rows(named=True)}
    for old, new in zip(before.iter_rows(named=True), after.iter_rows(named=True), strict=True):
        if new["segment"] == "core":
            assert old["segment"] == "core" and old["ai_class"].startswith(new["ai_class"][:1]), new["unit_id"]
        if old["segment"] != "core":
            assert new["route"] == "review" and new["ai_class"] is None, new["unit_id"]
        assert new["p_ai"] is not None and new["p_ai"] >= (old["p_ai"] or 0.0)
    assert set(before.filter(pl.col("unit_id").is_in(["empty", "strange"]))["route"]) == {"uncodable"}
    assert before.row(0, named=True)["segment"] == "none" and rows["plain"]["p_ai"] > 0.3, "nominated"
    assert before.row(2, named=True)["ai_class"] == "A51" and before.row(3, named=True)["route"] in CODED


def test_whatever_a_filing_says_no_unit_becomes_coded(bundle: Bundle) -> None:
    words = LOUD.split("；")
    never = {r["unit_id"] for r in coded(bundle, None).iter_rows(named=True) if r["segment"] != "core"}
    for length in range(1, len(words) + 1):
        out = coded(bundle, "；".join(words[:length] * 3))
        assert not out.filter(pl.col("unit_id").is_in(never) & (pl.col("segment") == "core")).height


def test_evidence_of_a_filing_points_at_its_text_and_adds_up(bundle: Bundle) -> None:
    text = "（１）ＡＩ语音 识别；大语言模型（网站）"
    for row in coded(bundle, text).iter_rows(named=True):
        evidence = json.loads(row["evidence"])
        parts = [c for c in evidence["contributions"] if c["field"] == "filing"]
        assert parts
        for part in parts:
            assert fold_text(text[part["start"] : part["end"]]) == part["text"]
        total = evidence["bias"] + sum(c["value"] for c in evidence["contributions"])
        assert total == pytest.approx(evidence["score"], abs=1e-6)
    unit = {"name": "甲", "business_scope": "软件开发", "filing_text": text}
    decision, pieces = explain(unit, bundle)  # type: ignore[arg-type]
    assert sum(p.value for p in pieces) == pytest.approx(json.loads(str(decision["evidence"]))["score"], abs=1e-6)
    assert "filing" in {p.field for p in pieces}


def test_a_phrase_of_the_scope_stays_one_of_the_scope(bundle: Bundle) -> None:
    """What the scope says is not said twice, and is not taken for the filing's."""
    before, after = coded(bundle, None), coded(bundle, "大语言模型与语音识别算法的研发；计算机视觉算法")
    rule = [f.filter(pl.col("unit_id") == "rule") for f in (before, after)]
    assert rule[0].equals(rule[1])
