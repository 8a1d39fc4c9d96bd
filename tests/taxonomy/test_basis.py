"""What an official release refuses, row by row, and what it passes."""

from dataclasses import replace
from pathlib import Path

import pytest

from taxonomy.basis import BasisRefused, mark, refusals, require_official, row_refusal, weak_words
from taxonomy.correspondence import correspondence, list_correspondences
from taxonomy.scheme import list_schemes, load_scheme, read_scheme
from tests.conftest import aistat

TOY = Path(__file__).parent / "toy"


@pytest.mark.parametrize(
    ("basis", "words", "zh", "en"),
    [
        ("official", (), "", ""),
        ("proposal", (), "", ""),
        ("name_seen_public_page", (), "", ""),
        ("recalled_code+name_identical_to_gbt_class", ("recalled",), "凭记忆录入", "recalled"),
        ("inferred_from_totals_unverified", ("inferred", "unverified"), "推断、未核实", "inferred, unverified"),
        ("Recalled", ("recalled",), "凭记忆录入", "recalled"),
    ],
)
def test_weak_words_and_their_marks(basis: str, words: tuple[str, ...], zh: str, en: str) -> None:
    assert weak_words(basis) == words
    assert (mark(basis), mark(basis, "en")) == (zh, en)


def test_every_row_says_its_basis() -> None:
    assert all(code.basis for name in list_schemes() for code in load_scheme(name).codes)
    assert all(link.basis for name in list_correspondences() for link in correspondence(name).links)


def test_weak_rows_of_the_data_are_refused_and_sound_ones_are_not() -> None:
    """Counted by hand in the tables: 36 names of levels 1-2 and one page-seen name carry no weak word."""
    de = load_scheme("digital_economy_2021")
    refused = {r.key for r in refusals(de)}
    assert {c.code for c in de.at_level(1)} & refused == set()
    assert "010101" in refused and "050101" in refused
    assert len(refused) == sum(not c.basis.startswith("name_seen") for c in de.codes)
    assert len(refusals(load_scheme("isic4"))) == 109
    assert {r.key for r in refusals(load_scheme("gbt4754_2017"))} == {"0171", "7289", "3445"}
    assert len(refusals(correspondence("strategic_emerging_2018__gbt4754_2017"))) == 37
    assert refusals(correspondence("ai_2026__gbt4754_2017")) == ()


def test_an_adopted_scheme_of_official_rows_passes_and_one_weak_row_is_named() -> None:
    good = read_scheme(TOY / "toy_2024.yaml")
    assert refusals(good) == ()
    weak = replace(good, codes=(*good.codes[:-1], replace(good.codes[-1], attributes={"basis": "inferred"})))
    (refusal,) = refusals(weak)
    assert (refusal.source, refusal.key, refusal.basis) == ("toy_2024", "P9", "inferred")
    assert "basis is inferred" in str(refusal)


def test_a_draft_or_a_row_without_basis_is_refused() -> None:
    assert {r.reason for r in refusals(load_scheme("ai_industry_2026"))} == {"status draft: not adopted"}
    assert row_refusal("s", "c", "") is not None
    assert row_refusal("s", "c", "official", "in_force") is None


def test_require_official_names_every_source_and_the_way_out() -> None:
    require_official()
    require_official(correspondences=["ai_2026__gbt4754_2017"], rows=[("x", "1", "official", "adopted")])
    with pytest.raises(BasisRefused, match=r"size_2017: 4 row.*isic4__gbt4754_2017: 208 row.*x: 1 row.*trial"):
        require_official(["size_2017"], ["isic4__gbt4754_2017"], [("x", "1", "recalled", "adopted")])


def test_the_command_line_lists_them_and_ends_with_one(tmp_path: Path) -> None:
    done = aistat("taxonomy", "check", "--official", home=tmp_path, check=False)
    assert done.returncode == 1
    assert "size_2017 L: basis is recalled" in done.stdout
    assert "isic4__gbt4754_2017 26 → 391: basis is inferred" in done.stdout
    assert done.stderr.startswith("aistat: 正式发布会拒绝")
