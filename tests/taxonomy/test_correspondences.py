"""Every correspondence joins codes that exist, both ways, and a chain never claims more than its weaker half."""

import csv
from collections import Counter
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from taxonomy.correspondence import (
    COLUMNS,
    CorrespondenceError,
    between,
    chain,
    correspondence,
    gbt_links,
    list_correspondences,
    load_correspondence,
    read_correspondence,
)
from taxonomy.scheme import load_scheme

GBT = "gbt4754_2017"


@pytest.mark.parametrize("name", list_correspondences())
def test_codes_exist_and_partial_links_say_how_they_are_resolved(name: str) -> None:
    table = correspondence(name)
    assert table.links
    for link in table.links:
        assert link.from_code in table.from_scheme and link.to_code in table.to_scheme
        assert link.resolution and link.basis
        if link.coverage == "partial":
            assert link.resolution != "unit"
    wholes = Counter(k.to_code for k in table.links if k.coverage == "full")
    assert set(wholes.values()) <= {1}


def test_counts_of_the_schemes_as_published() -> None:
    """SEI 9/40 and digital economy 5/32/156 (NBS orders 23 and 33), ISIC Rev. 4 21/88, core of 126 GB/T classes."""
    sei, de, isic = map(load_scheme, ("strategic_emerging_2018", "digital_economy_2021", "isic4"))
    assert [len(sei.at_level(n)) for n in (1, 2)] == [9, 40]
    assert [len(de.at_level(n)) for n in (1, 2, 3)] == [5, 32, 156]
    assert [len(isic.at_level(n)) for n in (1, 2)] == [21, 88]
    core = {k.to_code for k in load_correspondence("digital_economy_2021__gbt4754_2017")}
    assert len(core) == 126
    assert all(de.get(k.from_code).segment == "core" for k in load_correspondence("digital_economy_2021__gbt4754_2017"))


def test_isic_sections_hold_the_divisions_of_the_standard() -> None:
    """Divisions by section, counted in the structure of ISIC Rev. 4."""
    isic = load_scheme("isic4")
    counts = {s.code: len(isic.children(s.code)) for s in isic.children()}
    assert "".join(counts) == "ABCDEFGHIJKLMNOPQRSTU"
    assert list(counts.values()) == [3, 5, 24, 1, 4, 3, 3, 5, 2, 6, 3, 1, 7, 6, 1, 1, 3, 4, 3, 2, 1]
    assert {c.basis for c in isic.codes} == {"recalled"}


def test_every_gbt_division_meets_isic_and_every_isic_division_but_households_is_met() -> None:
    table, gbt, isic = correspondence("isic4__gbt4754_2017"), load_scheme(GBT), load_scheme("isic4")
    assert all(table.links_of(GBT, d.code) for d in gbt.at_level(2))
    assert {d.code for d in isic.at_level(2) if not table.links_of("isic4", d.code)} == {"97", "98"}


def test_code_9231_means_different_things_by_version() -> None:
    """9231 was 人民法院 in the 2017 print and is 监察委员会 since amendment 1: never join without the version."""
    assert load_scheme(GBT).get("9231").name_zh == "监察委员会"
    assert load_scheme(GBT).get("9232").name_zh == "人民法院"
    with (Path(__file__).parents[2] / "taxonomy/schemes/gbt4754_2017.csv").open(encoding="utf-8", newline="") as file:
        printed = {r["code_in_2017_print"]: r["name_zh"] for r in csv.DictReader(file) if r["code"].startswith("923")}
    assert printed["9231"] == "人民法院"


def test_gbt_codes_are_closed_under_prefix() -> None:
    gbt = load_scheme(GBT)
    for code in gbt.codes:
        if code.level > 2:
            assert code.parent == code.code[:-1]


def test_links_can_be_asked_from_both_sides_and_include_what_is_below() -> None:
    table = between(GBT, "digital_economy_2021")
    assert table is between("digital_economy_2021", GBT)
    assert {k.from_code for k in table.links_of(GBT, "3963")} == {"010406"}
    assert {k.to_code for k in table.links_of("digital_economy_2021", "010406")} == {"3963"}
    below = {k.to_code for k in table.links_of("digital_economy_2021", "0104")}
    assert below > {"3491", "3963", "3964"}
    assert {k.to_code for k in table.links_of(GBT, "39")} > {"3911", "3963"}
    with pytest.raises(CorrespondenceError, match="not isic4"):
        table.links_of("isic4", "26")
    with pytest.raises(KeyError):
        table.links_of(GBT, "9999")


def test_the_old_functions_answer_as_before() -> None:
    assert gbt_links("A61") == tuple(k for k in load_correspondence("ai_2026__gbt4754_2017") if k.from_code == "A61")
    assert correspondence("ai_2026__gbt4754_2017").from_scheme.id == "ai_industry_2026"


@pytest.mark.parametrize("other", ["digital_economy_2021", "strategic_emerging_2018", "isic4"])
def test_a_chain_is_what_an_independent_search_finds(other: str) -> None:
    """Every pair of links is tried; a full path needs two full links, and weakness of either basis is inherited."""
    gbt = load_scheme(GBT)

    def line(code: str) -> set[str]:
        return {code} | {a.code for a in gbt.ancestors(code)}

    first, second = between("ai_industry_2026", GBT).links, between(other, GBT).links
    expected = set()
    for a, b in product(first, second):
        if a.to_code in line(b.to_code) or b.to_code in line(a.to_code):
            via = max(a.to_code, b.to_code, key=lambda c: gbt.get(c).level)
            expected.add((a.from_code, via, b.from_code, a.coverage == "full" and b.coverage == "full"))
    found = chain("ai_industry_2026", other)
    assert {(p.from_code, p.via, p.to_code, p.coverage == "full") for p in found} == expected
    assert all("proposal" in p.basis for p in found)
    turned = chain(other, "ai_industry_2026")
    assert {(p.to_code, p.via, p.from_code, p.coverage) for p in turned} == {
        (p.from_code, p.via, p.to_code, p.coverage) for p in found
    }


def test_a_chain_keeps_partial_and_knows_what_stands_above() -> None:
    paths = {(p.from_code, p.to_code): p for p in chain("ai_industry_2026", "digital_economy_2021")}
    assert paths["A61", "010406"].coverage == "full"
    assert paths["A13", "010102"].coverage == "partial"
    isic = {(p.from_code, p.via, p.to_code): p.coverage for p in chain("ai_industry_2026", "isic4")}
    assert isic["A41", "3961", "26"] == "full"
    assert isic["A21", "3911", "26"] == "partial"
    assert isic["R391", "84", "86"] == "partial"
    with pytest.raises(CorrespondenceError, match="no correspondence joins"):
        chain("ai_industry_2026", "size_2017")
    with pytest.raises(CorrespondenceError, match="second side"):
        chain(GBT, GBT, "ai_industry_2026")


HEAD = ",".join(COLUMNS)
BROKEN: dict[str, str] = {
    "ZZZ is not in ai_industry_2026": "ZZZ,3963,full,unit,proposal,",
    "9999 is not in gbt4754_2017": "A61,9999,full,unit,proposal,",
    "coverage must be one of": "A61,3963,most,unit,proposal,",
    "basis say one of": "A61,3963,full,unit,hearsay,",
    "resolution ''": "A61,3963,partial,,proposal,",
    "stands twice": "A61,3963,full,unit,proposal,\nA61,3963,partial,survey,proposal,",
    "said to belong wholly to one of": "A61,3963,full,unit,proposal,\nA62,3963,partial,survey,proposal,",
}


@pytest.mark.parametrize("message", BROKEN)
def test_a_wrong_file_is_refused_by_line(message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(f"{HEAD}\n{BROKEN[message]}\n", encoding="utf-8")
    read: Callable[..., object] = read_correspondence
    with pytest.raises(CorrespondenceError, match=message):
        read(path, load_scheme("ai_industry_2026"), load_scheme(GBT))


def test_unknown_names_and_columns_are_clear(tmp_path: Path) -> None:
    with pytest.raises(CorrespondenceError, match="known: ai_2026__gbt4754_2017"):
        correspondence("nace__gbt4754_2017")
    path = tmp_path / "x.csv"
    path.write_text("from,to\nA61,3963\n", encoding="utf-8")
    with pytest.raises(CorrespondenceError, match="expected from_code,to_code"):
        read_correspondence(path, load_scheme("ai_industry_2026"), load_scheme(GBT))
