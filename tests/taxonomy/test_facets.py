"""Facets rest on the words of the law, cover every core leaf, and are no levels."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from taxonomy.facet import (
    Assignment,
    FacetError,
    assignments,
    check_assignments,
    leaves_with,
    list_facets,
    load_facet,
    read_assignments,
    values_of,
)
from taxonomy.scheme import load_scheme

AI = "ai_industry_2026"
SHARED = next((p / "shared/law" for p in Path(__file__).parents if (p / "shared/law").is_dir()), None)
ARTICLES = ("第三十八条", "第三十九条", "第四十条", "第四十一条", "第四十二条")


def test_every_facet_has_a_rule_and_a_source_in_both_languages() -> None:
    assert list_facets() == ["domain", "isi_type", "layer", "risk_tier", "technology"]
    for facet in map(load_facet, list_facets()):
        assert facet.source and facet.basis and facet.rule_zh and facet.rule_en
        assert all(v.zh and v.en for v in facet.values)


def test_facets_are_not_levels_of_the_catalogue() -> None:
    names = {level.name for level in load_scheme(AI).levels}
    assert not names & set(list_facets())
    codes = {c.code for c in load_scheme(AI).codes}
    assert not codes & {v.code for f in list_facets() for v in load_facet(f).values}


def test_every_core_leaf_has_one_layer_and_some_technology() -> None:
    scheme = load_scheme(AI)
    core = [c.code for c in scheme.at_level(3) if c.segment == "core"]
    assert len(core) == 55
    for leaf in core:
        assert len(values_of(AI, leaf, "layer")) == 1
        technology = [v.code for v in values_of(AI, leaf, "technology")]
        assert technology and ("any" not in technology or technology == ["any"])
        assert len(values_of(AI, leaf, "isi_type")) == 1
    assert check_assignments(scheme, assignments(AI)) == []
    used = Counter((a.facet, a.value) for a in assignments(AI))
    for facet in ("layer", "technology", "isi_type"):
        assert {v.code for v in load_facet(facet).values} == {v for f, v in used if f == facet}


def test_risk_and_domain_are_never_given_to_a_class() -> None:
    """Both belong to an application or a sale, not to an industry: Art. 66 grades applications."""
    assert {a.facet for a in assignments(AI)} == {"layer", "technology", "isi_type"}


def test_every_domain_of_articles_38_to_42_is_reached() -> None:
    facet, scheme = load_facet("domain"), load_scheme(AI)
    assert {v.catalogue for v in facet.values} <= {c.code for c in scheme.codes if c.segment == "related"}
    reached = {v.catalogue for v in facet.values}
    assert {c.code for c in scheme.at_level(3) if c.segment == "related"} <= reached
    for article in ARTICLES:
        assert any(article in v.legal_basis for v in facet.values)
    for value in facet.values:
        article = scheme.get(value.catalogue).legal_basis
        assert article.removeprefix("条例") in value.legal_basis


def test_words_of_article_39_and_66_are_quoted_whole() -> None:
    """Every service Art. 39 lists is a value, in its order; Art. 66 para. 2 knows two tiers."""
    people = [v for v in load_facet("domain").values if "第三十九条" in v.legal_basis]
    assert "、".join(v.zh for v in people) in people[0].quote
    tiers = [v.code for v in load_facet("risk_tier").values if "第二款" in v.legal_basis]
    assert tiers == ["high", "medium_low"]


@pytest.mark.shared
@pytest.mark.parametrize("facet_id", ["domain", "risk_tier"])
def test_quotes_stand_in_the_regulation(facet_id: str) -> None:
    if SHARED is None:
        pytest.skip("the regulation's text stands beside the repository only (shared/law)")
    text = (SHARED / "shenzhen_ai_regulation_2022_zh.txt").read_text(encoding="utf-8")
    articles = text.split("\n第")
    for value in load_facet(facet_id).values:
        number = value.legal_basis.removeprefix("条例第").partition("条")[0] + "条"
        assert value.quote in next(a for a in articles if a.startswith(number)), value.code


def test_leaves_can_be_found_by_value() -> None:
    assert leaves_with(AI, "technology", "speech") == ("A41", "A42", "B23", "C22", "C43")
    with pytest.raises(KeyError, match="facet layer has no value 'upper'"):
        leaves_with(AI, "layer", "upper")
    assert values_of(AI, "A", "layer") == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"value": "upper"}, "no such value; known: foundation"),
        ({"facet": "colour"}, "no such facet; known: domain"),
        ({"code": "A1"}, "A1 is not a leaf"),
        ({"basis": ""}, "says no basis"),
        ({"code": "A12"}, "A12 has 2 values of layer"),
        ({"code": "A12"}, "leaf A11 has no layer"),
    ],
)
def test_a_wrong_assignment_is_found(changes: dict[str, str], message: str) -> None:
    rows = list(assignments(AI))
    assert (rows[0].code, rows[0].facet) == ("A11", "layer")
    rows[0] = replace(rows[0], **changes)
    problems = check_assignments(load_scheme(AI), rows)
    assert any(message in p for p in problems), problems


def test_unknown_names_and_columns_are_clear(tmp_path: Path) -> None:
    with pytest.raises(FacetError, match="no facet 'colour'; known: domain"):
        load_facet("colour")
    with pytest.raises(FacetError, match=r"no facet assignments for 'isic4'; known: ai_industry_2026"):
        assignments("isic4")
    path = tmp_path / "x.csv"
    path.write_text("code,value\nA11,foundation\n", encoding="utf-8")
    with pytest.raises(FacetError, match="expected code,facet,value,basis"):
        read_assignments(path)
    path.write_text("code,facet,value,basis\nA11,layer,foundation,proposal\n", encoding="utf-8")
    assert read_assignments(path) == (Assignment("A11", "layer", "foundation", "proposal"),)
