"""The page of data editing: rates, rules, effects in both languages, what is withheld, an older release, who may see it."""

import json
from typing import Any

import polars as pl
import pytest

from dashboard.context import Context
from dashboard.pages import editing
from etl.editing_table import FEW, SCHEMA
from warehouse.access import User, may
from warehouse.read import Info, UnknownName

USER = User("a", "analyst", "统计", "city")
SOURCE = ("财务状况年报", "Annual financial statement")


class FakeRelease:
    """A release that holds the table of editing alone."""

    info = Info("r1", "2026-03-31", "simulated", True, "0")

    def __init__(self, frame: pl.DataFrame | None) -> None:
        self._frame = frame

    def table(self, name: str) -> pl.DataFrame:
        if self._frame is None or name != editing.TABLE:
            raise UnknownName(name)
        return self._frame


def figures() -> pl.DataFrame:
    finance = "finance_annual"
    rows = [
        ("returns", finance, "2024", "", 443.0, "", "", "", "", *SOURCE),
        ("editing_rate", finance, "2024", "", 0.0123, "", "", "", "", *SOURCE),
        ("editing_rate", finance, "2025", "", None, *FEW, "", "", *SOURCE),
        ("imputation_rate", finance, "2024", "", 0.004, "", "", "", "", *SOURCE),
        ("rule_units", finance, "2024", "unit_error_form", 17.0, "", "", "整张表", "whole form", *SOURCE),
        ("effect", finance, "2024", "operating_revenue_cny", -0.8765, "", "", "营业收入", "revenue", *SOURCE),
        ("followup_units", finance, "2024", "suspicious", 9.0, "", "", "偏离过大", "gross deviation", *SOURCE),
        ("returns", "labour_annual", "2025", "", 511.0, "", "", "", "", "从业人员年报", "Labour"),
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def drawn(frame: pl.DataFrame | None, lang: str, **params: str) -> str:
    page = editing.render(Context(FakeRelease(frame), USER, lang, "/editing", params))  # type: ignore[arg-type]

    def plain(thing: Any) -> Any:
        return thing.to_plotly_json()

    return json.dumps(page.to_plotly_json(), default=plain, ensure_ascii=False)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_rates_rules_and_effects_stand_with_their_tables(lang: str) -> None:
    text = drawn(figures(), lang, source="finance_annual")
    for shown in ("1.23%", "0.40%", "-87.65%", "443", "17"):
        assert shown in text, shown
    assert ("整张表" if lang == "zh" else "whole form") in text and ("偏离过大" if lang == "zh" else "gross") in text
    assert ("不公布" if lang == "zh" else "withheld") in text, "the rate of 2025 is null"
    assert ("模拟数据" if lang == "zh" else "Simulated data") in text
    assert text.count("behind") == 3, "each chart has its table behind it"


def test_a_source_is_chosen_by_the_address_and_only_a_known_one() -> None:
    assert "511" in drawn(figures(), "zh", source="labour_annual")
    assert drawn(figures(), "zh", source="../work") == drawn(figures(), "zh", source="finance_annual")
    assert "没有命中的规则" in drawn(figures(), "zh", source="labour_annual")


def test_nothing_is_said_to_be_withheld_where_nothing_is() -> None:
    assert "决定，不公布" not in drawn(figures().filter(pl.col("value").is_not_null()), "zh")


def test_an_older_release_has_a_sentence_instead() -> None:
    assert "尚无数据编辑汇总" in drawn(None, "zh") and "before there was" in drawn(figures().clear(), "en")


def test_analysts_and_methodologists_see_it_and_others_do_not() -> None:
    allowed = {
        r
        for r in ("public", "official", "analyst", "methodologist", "editor", "approver", "admin")
        if may(User("x", r), "page:editing")
    }
    assert allowed == {"analyst", "methodologist"} and editing.PAGE.permission == "page:editing"
