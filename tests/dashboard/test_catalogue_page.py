"""The catalogue page shows facets and the classes of other classifications, with a mark where the basis is weak."""

import json
from typing import Any

import pytest

from dashboard.context import Context
from dashboard.pages.catalogue import render
from taxonomy.scheme import load_scheme


def drawn(code: str, lang: str) -> str:
    """The page's content as text; the catalogue needs no release."""
    release: Any = None
    page = render(Context(release, release, lang, "/catalogue", {"code": code}))
    return json.dumps(page.to_plotly_json(), default=lambda part: part.to_plotly_json(), ensure_ascii=False)


@pytest.mark.parametrize(
    ("lang", "layer", "marks"),
    [("zh", "应用层", ("凭记忆录入", "推断")), ("en", "Application", ("recalled", "inferred"))],
)
def test_a_leaf_shows_facets_and_marks_rows_of_weak_basis(lang: str, layer: str, marks: tuple[str, ...]) -> None:
    text = drawn("A61", lang)
    assert layer in text and "010406" in text and "GB/T 3963" in text
    assert all(mark in text for mark in marks)
    assert text.count("pill-refused") >= 3


def test_the_proposal_itself_carries_no_mark() -> None:
    """Links to GB/T are our proposal; only the recalled and inferred tables are marked, and a class shows neither."""
    assert "pill-refused" not in drawn("A6", "zh")
    assert "GB/T" in drawn("A6", "en")


def test_every_code_can_be_drawn() -> None:
    for code in load_scheme("ai_industry_2026").codes:
        assert code.name_zh in drawn(code.code, "zh")
