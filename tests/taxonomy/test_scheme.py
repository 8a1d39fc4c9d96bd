"""The classifications: counts of the standards, closed trees, correspondences, size classes, vocabulary."""

import csv
import io

import polars as pl
import pytest

from taxonomy.correspondence import gbt_links, load_correspondence
from taxonomy.scheme import Scheme, SchemeError, check, list_schemes, load_scheme
from taxonomy.size import industry_of, size_class, size_class_expr
from taxonomy.vocabulary import glossary, units
from tests.conftest import aistat


def test_gbt4754_has_the_counts_of_the_standard() -> None:
    """20 sections, 97 divisions, 473 groups, 1,382 classes: printed by the Jiangsu statistics bureau, 2025-01-20."""
    scheme = load_scheme("gbt4754_2017")
    assert [len(scheme.at_level(n)) for n in (1, 2, 3, 4)] == [20, 97, 473, 1382]
    assert len(scheme.codes) == 1972


def test_every_scheme_is_a_closed_tree() -> None:
    for scheme_id in list_schemes():
        scheme = load_scheme(scheme_id)
        assert check(scheme) == []
        for code in scheme.codes:
            assert [a.level for a in scheme.ancestors(code.code)] == list(range(code.level - 1, 0, -1))


def test_catalogue_follows_articles_3_and_38_to_42() -> None:
    scheme = load_scheme("ai_industry_2026")
    assert [c.code for c in scheme.children()] == ["A", "B", "C", "D", "E", "R"]
    assert {c.segment for c in scheme.codes if not c.code.startswith("R")} == {"core"}
    assert {c.code for c in scheme.children("R")} == {"R38", "R39", "R40", "R41", "R42"}
    assert all("第三十九条" in scheme.get(c.code).legal_basis for c in scheme.children("R39"))
    for leaf in scheme.at_level(3):
        assert leaf.definition_zh and leaf.definition_en and leaf.name_en


def test_check_finds_what_is_wrong() -> None:
    good = load_scheme("ai_industry_2026")
    broken = Scheme(good.id, good.version, good.status, good.name_zh, good.name_en, (*good.codes[1:], good.codes[5]))
    problems = check(broken)
    assert any("does not stand before it" in p for p in problems)
    assert any("stands twice" in p for p in problems)


def test_unknown_names_are_clear_errors() -> None:
    with pytest.raises(SchemeError, match="known: ai_industry_2026"):
        load_scheme("nace")
    with pytest.raises(KeyError, match="ai_industry_2026 has no code 'Z9'"):
        load_scheme("ai_industry_2026").get("Z9")


def test_correspondence_is_checked_and_says_its_basis() -> None:
    links = load_correspondence("ai_2026__gbt4754_2017")
    assert {k.coverage for k in links} == {"full", "partial"}
    assert {k.to_code for k in links if k.coverage == "full"} == {"3961", "3962", "3963", "3964"}
    assert {k.basis for k in links} == {"proposal"}
    assert all(k.resolution for k in links)
    assert {k.to_code for k in gbt_links("A61")} == {"3963"}


@pytest.mark.parametrize(
    ("code", "staff", "revenue", "assets", "expected"),
    [
        # 统计上大中小微型企业划分办法（2017）: each class needs every criterion, else one class lower.
        ("3964", 1000, 400_000_000, None, "L"),
        ("3964", 999, 400_000_000, None, "M"),
        ("3964", 1000, 399_999_999, None, "M"),
        ("3964", 19, 400_000_000, None, "W"),
        ("6513", 300, 100_000_000, None, "L"),
        ("6513", 10, 500_000, None, "S"),
        ("6513", 9, 500_000, None, "W"),
        ("6421", 2000, 1_000_000_000, None, "L"),
        ("7211", 300, None, 1_200_000_000, "L"),
        ("7320", 100, None, None, "M"),
        ("6510", None, None, None, None),
    ],
)
def test_size_classes(
    code: str, staff: int | None, revenue: int | None, assets: int | None, expected: str | None
) -> None:
    assert size_class(code, staff, revenue, assets) == expected


def test_industries_the_rule_does_not_list_take_the_rule_of_other() -> None:
    assert industry_of("6610") == "其他未列明行业"
    assert size_class("6610", 100, None) == "M"
    frame = pl.DataFrame({"g": ["9999", None], "s": [10, 10], "r": [None, None]}, schema_overrides={"r": pl.Float64})
    assert frame.select(size_class_expr(pl.col("g"), pl.col("s"), pl.col("r"))).to_series().to_list() == ["S", "S"]


def test_vocabulary_is_complete() -> None:
    assert len({t.id for t in glossary()}) == len(glossary()) >= 10
    assert all(t.source and t.definition_zh and t.definition_en for t in glossary())
    assert {u.id: u.factor for u in units()}["CNY_10K"] == 10_000


def test_command_line_shows_checks_and_exports(tmp_path) -> None:  # type: ignore[no-untyped-def]
    assert "1,972" in aistat("taxonomy", "list", home=tmp_path).stdout
    shown = aistat("taxonomy", "show", "A61", home=tmp_path).stdout
    assert "智能无人飞行器" in shown and "GB/T 3963" in shown
    aistat("taxonomy", "check", home=tmp_path)
    target = tmp_path / "codes.csv"
    aistat("taxonomy", "export", "-o", str(target), home=tmp_path)
    rows = list(csv.DictReader(io.StringIO(target.read_text(encoding="utf-8-sig"))))
    assert len(rows) == len(load_scheme("ai_industry_2026").codes)
    failed = aistat("taxonomy", "show", "ZZZ", home=tmp_path, check=False)
    assert failed.returncode == 2 and failed.stderr.count("\n") == 1
