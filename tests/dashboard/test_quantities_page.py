"""The blocks on member, share and domain: figures, what is withheld, a release made before them."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dashboard.context import Context
from dashboard.pages import quality_quantities, structure_domains
from etl.domains import domain_codes
from tests.warehouse.sample_release import cells, sample_content, sample_release
from warehouse.access import User
from warehouse.read import Info, Release, UnknownName, open_release
from warehouse.release import publish

USER = User("a", "analyst", "统计", "city")


class FakeRelease:
    """A release that holds the table of the quantities alone."""

    info = Info("r1", "2026-03-31", "simulated", True, "0")

    def __init__(self, frame: pl.DataFrame | None) -> None:
        self._frame = frame

    def table(self, name: str) -> pl.DataFrame:
        if self._frame is None or name != quality_quantities.TABLE:
            raise UnknownName(name)
        return self._frame


def figures() -> pl.DataFrame:
    rows = [
        ("member_count", "10", "2025", None, None, None, "不公布", "withheld", "10% 及以上", "10 % or more"),
        ("member_count", "30", "2025", 2961.4, 2910.0, 3010.0, "", "", "30% 及以上", "30 % or more"),
        ("member_confirmed_share", "30", "2025", 0.8714, None, None, "", "", "30% 及以上", "30 % or more"),
        ("ai_share_rung", "1-1", "2025", 0.6142, None, None, "", "", "1 签字报表（账簿）", "1 Return (books)"),
        ("ai_share_rung", "5", "2025", 0.3858, None, None, "", "", "5 模型推算", "5 Model"),
        ("ai_revenue", "", "2025", 3.842e11, 3.7061e11, 4.0072e11, "", "", "合计", "Total"),
        ("unresolved_units", "", "2025", 4.0, None, None, "", "", "待定", "Unresolved"),
    ]
    names = ["metric", "scope", "period", "value", "lower", "upper", "note_zh", "note_en", "label_zh", "label_en"]
    return pl.DataFrame(rows, schema=names, orient="row")


def text_of(parts: list[Any]) -> str:
    return json.dumps([p.to_plotly_json() for p in parts], default=lambda o: o.to_plotly_json(), ensure_ascii=False)


def context(release: Any, lang: str = "zh") -> Context:
    return Context(release, USER, lang, "/quality", {})


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_figures_stand_with_their_intervals_and_what_is_withheld_is_said(lang: str) -> None:
    text = text_of(quality_quantities.sections(context(FakeRelease(figures()), lang)))
    assert "61.4%" in text
    for figure, interval in (("2,961", "[2,910, 3,010]"), ("3,842.00", "[3,706.10, 4,007.20]")):
        between = text.split(figure, 1)[1].split(interval, 1)[0]
        assert "br" in between and not any(c.isdigit() for c in between), "the interval stands under its own figure"
    assert ("不公布" if lang == "zh" else "not published") in text
    assert ("按零计的单位数：2025 4" if lang == "zh" else "counted as zero: 2025 4") in text
    assert ("5 模型推算" if lang == "zh" else "5 Model") in text


def test_nothing_is_said_to_be_withheld_where_nothing_is() -> None:
    shown = figures().filter(pl.col("scope") != "10")
    assert "不公布" not in text_of(quality_quantities.sections(context(FakeRelease(shown))))


def test_an_older_release_has_no_such_blocks(tmp_path: Path) -> None:
    assert quality_quantities.sections(context(FakeRelease(None))) == []
    assert structure_domains.sections(context(sample_release(tmp_path)), "2025") == []


def release_with_domains(home: Path) -> Release:
    content = sample_content()
    plain = dict.fromkeys(content.reference["meta_code"].columns, "")
    common = {"scheme": "sales_domain", "level_name": "sales_domain", "status": "draft"}
    codes = pl.DataFrame([plain | common | row for row in domain_codes()], schema=content.reference["meta_code"].schema)
    values = [
        {"domain": d, "period": "2025", "indicator": "ai_revenue_by_domain", "value": 123_400_000}
        for d in ("_T", "R39", "R391")
    ]
    values.append(
        {
            "domain": "R392",
            "period": "2025",
            "indicator": "ai_revenue_by_domain",
            "value": None,
            "conf_status": "C",
            "model_share": None,
        }
    )
    cross = [{**v, "ai_class": "A"} for v in values if v["domain"] in ("_T", "R39")]
    cubes = {
        "core_domain_year": cells("core_domain_year", values),
        "core_branch_domain": cells("core_branch_domain", cross),
    }
    proof = {name: {"passed": True, "checks": ["hand made"]} for name in cubes}
    full = type(content)(
        **{
            **content.__dict__,
            "cubes": {**content.cubes, **cubes},
            "certificates": {**content.certificates, **proof},
            "reference": {**content.reference, "meta_code": pl.concat([content.reference["meta_code"], codes])},
        }
    )
    return open_release(home, publish(home, full).release_id)


def test_domains_are_shown_with_the_warning_not_to_add_them(tmp_path: Path) -> None:
    release = release_with_domains(tmp_path)
    sections = structure_domains.sections(context(release), "2025")
    text = text_of(sections)
    assert len(sections) == 3 and "医疗" in text and "1.23" in text
    assert text.count("不得相加") >= 2
    assert structure_domains.sections(context(release), "2023") == [], "no domains in that year"
