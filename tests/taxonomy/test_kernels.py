"""The compiled kernels against their references: phrases, buffers, margins, sums, and what a lexicon finds in Arrow arrays."""

import csv
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from etl.demo.mega import build_block, mega_scenario
from taxonomy.classifier.bundle import Bundle
from taxonomy.classifier.calibrate import Calibration, log_sum, probabilities
from taxonomy.classifier.kernel import phrase_margins
from taxonomy.classifier.kernel_parts import add_parts, parts_of, sparse_of, sums_of
from taxonomy.classifier.kernel_terms import TermFinder
from taxonomy.classifier.kernel_text import utf8
from taxonomy.classifier.normalize import (
    APPROVALS,
    BREAKS,
    CLAUSES,
    CUES,
    LEGAL_FORMS,
    PROBE,
    SPACES,
    Vocabulary,
    fold_table,
    phrase_frame,
    split_texts,
)
from taxonomy.classifier.normalize_reference import reference_phrase_frame
from taxonomy.classifier.store import ensure_bundle
from taxonomy.classifier.training import generic_phrases

SHARED = next((d for p in Path(__file__).parents if (d := p / "shared/data/real_sample").is_dir()), None)
WORDS = [
    "软件开发",
    "机器人",
    "ai芯片",
    "除",
    "除外",
    "以外",
    "公司",
    "技术咨询",
    "a",
    "B2",
    "é鱼",
    "𠀀",
    "㈱",
    "ﬁ",
    "Ⱥ",
    "㎡",
    "０",
    "\x00",
]
PIECES = [*BREAKS, *SPACES, *"；，（）：", *CUES, *APPROVALS, *CLAUSES, *LEGAL_FORMS, *WORDS]


@pytest.fixture(scope="module")
def bundle(bundles: Path) -> Bundle:
    return ensure_bundle(bundles)


def numbered(texts: list[str], field: int) -> pl.DataFrame:
    schema = {"row": pl.UInt32, "field": pl.UInt8, "text": pl.String}
    return pl.DataFrame({"row": range(len(texts)), "field": [field] * len(texts), "text": texts}, schema=schema)


def assert_same_phrases(texts: list[str]) -> int:
    """Both implementations in all three fields; how many phrases there are."""
    count = 0
    for field in range(3):
        ours, theirs = (f(numbered(texts, field), generic_phrases()) for f in (phrase_frame, reference_phrase_frame))
        assert ours.schema == theirs.schema
        if not ours.equals(theirs):
            differ = ours.join(theirs, on=["row", "start", "phrase"], how="anti")["row"].to_list()
            differ += theirs.join(ours, on=["row", "start", "phrase"], how="anti")["row"].to_list()
            raise AssertionError(f"field {field}: {[texts[row] for row in sorted(set(differ))[:3]]}")
        count += ours.height
    return count


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=2)), max_size=14).map("".join), max_size=6)
)
@example(
    [
        "法律、行政法规另有规定的，从其规定;软件开发",
        "（不含人工智能",
        "不含(甲);乙丙 ai b；丙丁",
        "股份有限公司有限公司",
    ]
)
@example(["((以外))", "甲乙；(不含)丙丁", "一般项目：甲乙 丙丁", "除甲乙丙", "甲不含乙、丙丁。戊己"])
def test_phrases_as_by_regular_expressions(texts: list[str]) -> None:
    assert_same_phrases(texts)


def test_phrases_of_every_character() -> None:
    """Every character that is folded, and the whole basic plane, each alone between two words."""
    points = [*range(0xD800), *range(0xE000, 0x10000), *map(ord, fold_table()), 0x10FFFF]
    texts = ["".join(f"甲乙{chr(c)}丙a" for c in points[i : i + 97]) for i in range(0, len(points), 97)]
    assert assert_same_phrases(texts) > len(texts)


def city(rows: int) -> pl.DataFrame:
    return build_block(mega_scenario(), 11, 0, rows)


def test_phrases_of_the_demo_city() -> None:
    """Texts as a register's, then free texts: more phrases than are looked at before the cache may switch itself off."""
    units = city(3_000)
    scopes = units["business_scope"].fill_null("").to_list()
    random = np.random.default_rng(3)
    free = [
        "；".join(f"{p}{''.join(map(chr, random.integers(0x4E00, 0x9FA5, 3)))}" for p in s.split("；")) for s in scopes
    ]
    for texts in (scopes, free, units["name"].fill_null("").to_list()):
        assert assert_same_phrases(texts) > PROBE


@pytest.mark.shared
def test_phrases_of_real_companies() -> None:
    if SHARED is None:
        pytest.skip("the real samples stand beside the repository only (shared/data/real_sample)")
    for name in ("registry_national_sample.csv", "shenzhen_registry.csv", "listed_companies.csv"):
        with (SHARED / name).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert assert_same_phrases([row["business_scope"] for row in rows]) > PROBE


def test_a_phrase_stands_first_once_a_row() -> None:
    """With the cache and without: over three columns, one of them with more phrases than the cache's first table holds."""
    random = np.random.default_rng(4)
    strange = ["".join(map(chr, random.integers(0x4E00, 0x9FA5, 4))) for _ in range(12_000)]
    usual = ["软件开发", "语音识别", "餐饮服务"]
    many = "；".join(strange[3_000:] + strange[5_000:5_100] + usual * 2)
    scopes = ["；".join(strange[:3_000]), many, "；".join(usual), None, "；".join(usual + usual)]
    for lead in ([], ["；".join(usual * 2_000)]):
        scope = pl.Series([*lead, *scopes], dtype=pl.String)
        product, name = pl.Series(["语音识别"] * len(scope)), pl.Series(["甲乙有限公司", *[None] * (len(scope) - 1)])
        fields = [np.full(len(scope), f, dtype=np.uint8) for f in (2, 0, 1)]
        known = Vocabulary.of(["餐饮服务"], ["人工智能", "语音识别"])
        found = split_texts([product, name, scope], fields, np.arange(len(scope), dtype=np.int32), known)
        frame = found.frame().with_columns(first=found.first, label=found.label[found.number])
        assert "餐饮服务" not in frame["phrase"]
        assert (
            frame["first"].to_list()
            == frame.select(pl.struct("row", "phrase").is_first_distinct()).to_series().to_list()
        )
        assert set(frame.filter(pl.col("label") >= 0)["phrase"]) == {"语音识别"}
        assert set(frame.filter(pl.col("phrase") == "语音识别")["label"]) == {1}


def test_arrow_arrays_are_read_where_they_lie() -> None:
    texts = ["人工智能", "", "机器人é鱼", "𠀀能ai", "x"]
    whole = pa.array(texts, type=pa.large_string())
    data, _ = utf8(whole)
    assert data.ctypes.data == whole.buffers()[2].address, "no copy"
    holed = pa.array([None, "智能", None, "ai"], type=pa.string())
    arrays = [
        whole, whole[1:4], whole[5:], pa.array(texts, type=pa.string())[2:], pa.chunked_array([whole[:2], whole[3:]]),
        pa.chunked_array([whole]), pa.array(texts).dictionary_encode(), pa.array([], type=pa.string()), holed, holed[1:],
    ]  # fmt: skip
    finder = TermFinder(["智能", "能", "ai", "é鱼", "人工智能"])
    for array in arrays:
        expected = [text or "" for text in array.to_pylist()]
        data, offsets = utf8(array)
        assert [bytes(data[a:b]).decode() for a, b in pairwise(offsets)] == expected
        assert (finder.find(array) == finder.find(pl.Series(expected, dtype=pl.String))).all()


def test_a_term_is_not_found_inside_a_longer_character() -> None:
    """A character of four bytes is none of the basic plane's, whatever its bytes are."""
    finder = TermFinder(["\x00abc", "ðab", "鱼𠀀"])
    assert finder.find(pl.Series(["𠀀", "𠀀abc", "ð", "鱼𠀀"])).tolist() == [[3, 2, 0]]
    with pytest.raises(ValueError, match="basic plane"):
        TermFinder(["𠀀"])


def test_margins_are_those_of_the_scores(bundle: Bundle) -> None:
    """Sparse margins equal the clipped differences of all scores, bit for bit."""
    phrases = phrase_frame(numbered(city(400)["business_scope"].fill_null("").to_list(), 1))["phrase"]
    rule, model = bundle.parameters.model, bundle.model
    margin, share = phrase_margins(phrases, model.slot, model.weights, rule)
    scores, seen, total = model.scores(phrases)
    assert (share == seen / np.maximum(total, 1)).all()
    over = np.minimum(rule["scale"] * (scores[:, 1:] - scores[:, :1]) - rule["floor"], rule["cap"])
    expected = np.where((share >= rule["min_seen_share"])[:, None] & (over > 0), over, 0.0)
    dense = np.zeros_like(expected)
    dense[np.repeat(np.arange(len(phrases)), np.diff(margin.at)), margin.column] = margin.value
    assert expected.any() and (dense == expected).all()


def test_parts_add_up_as_in_a_dense_matrix() -> None:
    random = np.random.default_rng(6)
    dense = np.where(random.random((7, 5)) < 0.3, random.normal(size=(7, 5)), 0.0)
    row, part = random.integers(0, 4, 60).astype(np.int32), random.integers(0, 7, 60).astype(np.int32)
    weight, micro = random.random(60), np.zeros((4, 5), dtype=np.int64)
    add_parts(micro, row, part, weight, sparse_of(dense))
    each = np.rint(weight[:, None] * dense[part] * 1e6).astype(np.int64)
    expected = np.zeros_like(micro)
    np.add.at(expected, row, each)
    assert (micro == expected).all()
    best = micro.argmax(axis=1)
    assert (parts_of(best, row, part, weight, sparse_of(dense)) == each[np.arange(60), best[row]]).all()


def test_probabilities_and_their_sums() -> None:
    scores = np.random.default_rng(8).normal(-5.0, 3.0, (50, 9))
    for calibration in (Calibration(), Calibration(1.7, 0.8, 60)):
        p = probabilities(scores, calibration)
        core = 1.0 / (1.0 + np.exp(-log_sum(scores) / calibration.core))
        within = np.exp(scores / calibration.leaf)
        np.testing.assert_allclose(p, core[:, None] * within / within.sum(axis=1, keepdims=True), rtol=1e-12)
    group = np.array([0, 0, 1, 2, 2, 2, 0, 1, 1])
    expected = np.stack([p[:, group == g].sum(axis=1) for g in range(3)], axis=1)
    np.testing.assert_allclose(sums_of(p, group, 3), expected, rtol=1e-14)
