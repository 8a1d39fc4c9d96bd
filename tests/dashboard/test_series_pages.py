"""Pages of growth, demography, monitor, revisions and process quality: figures, what is withheld, older releases."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
import pytest

from dashboard.components.block import block
from dashboard.components.cards import headline
from dashboard.context import Context
from dashboard.data import cube, two_way
from dashboard.pages import climate, demography, growth, quality_process, revisions
from tests.warehouse.sample_release import sample_release
from warehouse.access import User
from warehouse.catalogue import load_datasets, load_indicators
from warehouse.cube import Cell
from warehouse.read import Code, Dataset, Indicator, Info, UnknownName

USER = User("a", "analyst", "统计", "city")
GROWTH = pl.DataFrame(
    [
        ("ai_revenue", c, "2025", part, value, None, "C" if value is None else "F")
        for c in ("_T", "A")
        for part, value in (
            ("previous", 3.0e10), ("continuing", 2.0e9), ("entry", 1.5e9), ("exit", None if c == "A" else -2.5e8), ("reclassification", 0.0),
            ("revision", 0.0), ("current", 3.325e10), ("total", 3.25e9), ("growth", 0.10833), ("comparable_growth", 0.067),
        )
    ],
    schema=["indicator", "ai_class", "period", "component", "value", "points", "conf_status"], orient="row",
)  # fmt: skip
DEMOGRAPHY = pl.DataFrame(
    [
        ("ai_enterprises", "births", "2025", 51.0, "A", "F"), ("ai_enterprises", "deaths", "2025", None, "A", "C"),
        ("ai_enterprises", "active", "2025", 310.0, "A", "F"), ("ai_enterprises", "birth_rate", "2025", 0.1645, "A", "F"),
        ("ai_enterprises", "survival_rate_1", "2025", None, "M", "F"), ("legal_units", "births", "2025", 119.0, "A", "F"),
    ],
    schema=["population", "metric", "period", "value", "obs_status", "conf_status"], orient="row",
)  # fmt: skip
REVISION = pl.DataFrame(
    [
        ("ai_revenue", "2024", "2025-03-31", 1, 3.0e10, None, 0.0, "preliminary", "初步核算", "Preliminary account"),
        ("ai_revenue", "2024", "2026-03-31", 2, 3.1e10, 1.0e9, 1.0e9, "final", "最终核实", "Final verification"),
    ],
    schema=["indicator", "period", "vintage", "release", "value", "revision", "total_revision", "stage", "stage_zh", "stage_en"],
    orient="row",
)  # fmt: skip
SUMMARY = pl.DataFrame(
    [("ai_revenue", "periods", 1.0), ("ai_revenue", "mean_revision", 1.0e9), ("ai_revenue", "t_statistic", None)],
    schema=["indicator", "measure", "value"], orient="row",
)  # fmt: skip
PROCESS = pl.DataFrame(
    [
        ("ai_survey_annual", "2025", "ai_revenue_cny", "unit_nonresponse_rate", 0.142, "share", "", ""),
        ("ai_survey_annual", "2025", "", "rows", 373.0, "rows", "", ""),
        ("core_leaf_year", "2025", "", "punctuality_days", -5.0, "days", "", ""),
    ],
    schema=["source", "period", "variable", "indicator", "value", "unit", "note_zh", "note_en"], orient="row",
)  # fmt: skip
RUNS = pl.DataFrame(
    {"source_id": ["ai_survey_annual"], "title": ["人工智能业务年报"], "title_en": ["Annual AI survey"]}
)


class FakeRelease:
    """A release of reference tables alone, with the real catalogue."""

    info = Info("r1", "2026-03-31", "simulated", True, "0")
    tables: ClassVar = {
        "meta_growth": GROWTH, "meta_demography": DEMOGRAPHY, "meta_revision": REVISION,
        "meta_revision_summary": SUMMARY, "meta_process_quality": PROCESS, "meta_source_run": RUNS,
    }  # fmt: skip

    def table(self, name: str) -> pl.DataFrame:
        if name not in self.tables:
            raise UnknownName(name)
        return self.tables[name]

    def indicator(self, name: str) -> Indicator:
        return load_indicators()[name]

    def datasets(self) -> list[Dataset]:
        return list(load_datasets().values())

    def schemes(self) -> list[str]:
        return ["ai_industry_2026"]

    def codes(self, scheme: str) -> tuple[Code, ...]:
        return (Code("A", None, 1, "branch", "硬件", "Hardware", "", "", "", "", "core", 1, "draft"),)


def context(lang: str = "zh", release: Any = None) -> Context:
    return Context(release or FakeRelease(), USER, lang, "/", {})


def text_of(part: Any) -> str:
    return json.dumps(part, default=lambda o: o.to_plotly_json(), ensure_ascii=False)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_waterfall_of_the_city_says_both_rates_and_where_it_comes_from(lang: str) -> None:
    section = growth.city_block(context(lang), "ai_revenue", "2025")
    text = text_of(section)
    assert "300.00" in text and "-2.50" in text and "332.50" in text and "10.8%" in text and "6.7%" in text
    assert ("同口径" if lang == "zh" else "Continuing") in text and "2026-03-31" in text
    assert ("模拟数据" if lang == "zh" else "imulated") in text
    assert growth.city_block(context(lang), "ai_revenue", "2021") is None, "the first year has no change"


def test_the_chart_draws_the_finest_parts_or_one_bar_where_one_of_them_is_withheld() -> None:
    shown, hidden, missing = Cell("1", Decimal(1), "value"), Cell("x", None, "withheld"), Cell("..", None, "missing")
    every = dict.fromkeys(growth.LEVELS, shown)
    assert growth._bars(every) == ["previous", *growth.STAY, *growth.REST]
    assert growth._bars({**every, "listed": missing})[:3] == ["previous", "continuing", "delisted"]
    assert growth._bars({**every, "succession": hidden}) == ["previous", "staying", *growth.REST]
    older = dict.fromkeys(("previous", "continuing", *growth.REST), shown)
    assert growth._bars(older) == ["previous", "continuing", *growth.REST]


def test_a_withheld_part_of_a_branch_is_an_x_and_no_number() -> None:
    (section,) = [s for s in growth.branch_blocks(context(), "2025") if "人工智能业务收入" in text_of(s)]
    assert '[\\"x\\", \\"num withheld\\"]' in text_of(section) and "保密" in text_of(section)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_demography_shows_counts_rates_and_what_is_withheld(lang: str) -> None:
    text = text_of(demography.render(context(lang)))
    assert "51" in text and "16.5" in text and "num withheld" in text and "num missing" in text
    assert "119" not in text, "the other population is on its own tab"
    assert ("取整" if lang == "zh" else "rounded to ten") in text


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_revisions_stand_with_their_stages_and_say_what_needs_more_periods(lang: str) -> None:
    text = text_of(revisions.render(context(lang)))
    assert ("310.00 最终核实" if lang == "zh" else "310.00 Final verification") in text
    assert "10.00" in text and ("时期太少" if lang == "zh" else "too few periods") in text


@pytest.mark.parametrize(
    ("lang", "stage", "span"),
    [("zh", "初步核算数", "2024年：最终核实数"), ("en", "preliminary account", "2024: final verification")],
)
def test_pages_say_the_stage_of_their_figures(lang: str, stage: str, span: str, tmp_path: Path) -> None:
    ctx = context(lang, sample_release(tmp_path))
    assert stage in text_of(headline(ctx, ctx.release.indicator("ai_revenue"), "2025"))
    found = cube(ctx, "core_leaf_year", "ai_revenue")
    model = two_way(ctx, found, "ai_class", "period")
    assert span in text_of(block(ctx, "t", [], model=model, selection=found.selection))
    assert model.stage != two_way(ctx, cube(ctx, "filings_district_month", "filings"), "district", "period").stage
    stages = text_of(revisions._stages(ctx))
    assert span in stages and ("不分阶段" if lang == "zh" else "no stages") in stages


def test_process_quality_names_survey_and_dataset() -> None:
    text = text_of(quality_process.sections(context()))
    assert "人工智能业务年报" in text and "14.2%" in text and "373" in text and "-5" in text


@pytest.mark.parametrize("page", [demography, climate, revisions])
def test_an_older_release_says_that_it_has_no_such_tables(page: Any, tmp_path: Path) -> None:
    release = sample_release(tmp_path)
    assert "没有这些表" in text_of(page.render(context(release=release)))
    assert quality_process.sections(context(release=release)) == []
    assert growth.branch_blocks(context(release=release), "2025") == []
