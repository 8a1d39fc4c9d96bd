"""Theme pages drawn from a release that holds some sources and not others."""

import json
import re
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dashboard.context import Context
from dashboard.pages.theme import PAGES, themes
from dashboard.registry import BY_PATH
from etl.plan_register import plan_register
from etl.reference import code_table
from etl.source_codes import code_rows, dimension_codes
from etl.source_plan import clusters
from etl.source_release import CODE_SCHEMA, cell_table, code_lists, source_certificates, source_cubes
from etl.source_rows import Received
from etl.stages import SCHEME, stage_codes, with_stages
from tests.etl.source_data import application, cleared, received
from tests.etl.test_plan_register import core, task
from tests.etl.test_source_indicators import many_centres
from tests.warehouse.sample_release import VINTAGE, sample_content
from warehouse.access import User, may, roles
from warehouse.catalogue import load_datasets, load_indicators, load_yaml
from warehouse.read import Release, open_release
from warehouse.release import ReleaseRefused, publish


def made_sources() -> list[Received]:
    """Computing centres of eight groups, and ten applications of which one was not assessed."""
    applications = [application(n, f"U{n}", done="2" if n == 9 else "1") for n in range(10)]
    return [received("compute_centres", many_centres()), received("applications", applications)]


def content(*more_sources: Received):  # type: ignore[no-untyped-def]
    """The sample release with the cubes of the two sources (and of others) beside its own."""
    sources = [*made_sources(), *more_sources]
    found = [cleared(s) for s in sources]
    known = {c.source: c for c in clusters(load_indicators().values())}
    lists = [r for s in sources for r in code_rows(known[s.contract.id], dimension_codes(s, known[s.contract.id]))]
    own = code_lists(pl.DataFrame(lists, schema=CODE_SCHEMA).unique(["scheme", "code"], maintain_order=True))
    own |= {SCHEME: stage_codes(load_yaml("revision"))}
    base = sample_content()
    sample_codes = base.reference["meta_code"]
    new = code_table({}, own).join(sample_codes, on=["scheme", "code"], how="anti").select(sample_codes.columns)
    runs = base.reference["meta_source_run"]
    more = [runs.with_columns(source_id=pl.lit(s.contract.id)) for s in sources]
    return replace(
        base,
        cubes={**base.cubes, **with_stages(source_cubes(cell_table(found), VINTAGE), VINTAGE, load_yaml("revision"))},
        certificates={**base.certificates, **source_certificates(found, known)},
        reference={
            **base.reference,
            "meta_code": pl.concat([sample_codes, new], how="vertical_relaxed"),
            "meta_source_run": pl.concat([runs, *more]),
        },
    )


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    home = tmp_path_factory.mktemp("themes")
    return open_release(home, publish(home, content()).release_id)


def drawn(release: Release, path: str, lang: str = "zh", **params: str) -> str:
    """Everything a page sends to the browser, as text."""
    context = Context(release, User("a", "analyst"), lang, path, params)
    page = BY_PATH[path].render(context)
    return json.dumps(page.to_plotly_json(), default=lambda o: o.to_plotly_json(), ensure_ascii=False)


def test_every_block_names_a_dataset_of_its_indicator_and_a_dimension_of_it() -> None:
    datasets, indicators = load_datasets(), load_indicators()
    shown = set()
    for theme in themes():
        for figure in (*theme.stats, *theme.blocks):
            assert figure.dataset in indicators[figure.indicator].datasets, figure
            shown.add(figure.indicator)
        for block in theme.blocks:
            datasets[block.dataset].dimension(block.rows)
    held = {i.id for i in indicators.values() if i.view == "source"}
    # Each indicator of a source is on a page; the count of parks stands beside their area in the yearbook.
    assert held - shown <= {"parks"}


def test_every_role_that_reads_districts_reads_themes() -> None:
    for role in roles():
        user = User("a", role)
        assert may(user, "page:themes") == may(user, "page:district")
    assert {p.permission for p in PAGES} == {"page:themes"}


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("path", [p.path for p in PAGES])
def test_what_was_not_received_is_said_and_never_zero(release: Release, path: str, lang: str) -> None:
    text = drawn(release, path, lang)
    word = "not received" if lang == "en" else "未接收"
    theme = next(t for t in themes() if t.path == path)
    sources = {i.id: i.sources[0] for i in load_indicators().values()}
    absent = [
        f for f in (*theme.blocks, *theme.stats) if sources[f.indicator] not in ("compute_centres", "applications")
    ]
    assert text.count(word) == len(absent)
    assert (path in ("/compute", "/governance")) == (len(absent) < len(theme.blocks) + len(theme.stats))
    if path == "/plan":
        assert ("no Article 62 report" if lang == "en" else "没有第六十二条报告") in text


def test_what_was_received_without_such_a_case_is_not_called_not_received(release: Release) -> None:
    """All ten applications are high risk: none has to be followed up."""
    assert "没有这类事项" in drawn(release, "/governance")
    assert "no such case" in drawn(release, "/governance", "en")


def test_a_block_carries_unit_source_status_version_and_the_simulated_mark(release: Release) -> None:
    text = drawn(release, "/compute")
    received_blocks = sum(b.dataset.startswith("compute_") for t in themes() if t.path == "/compute" for b in t.blocks)
    assert text.count("模拟数据") >= 2 * received_blocks
    for words in (
        "单位：PFLOPS",
        "算力中心运行月报",
        VINTAGE,
        release.info.release_id,
        "条例第二十八条",
        "可用算力加权",
    ):
        assert words in text, words
    assert "computing centres" in drawn(release, "/compute", "en")


def test_the_figure_shown_is_the_released_one(release: Release) -> None:
    frame = release.cube_frame("compute_type_quarter").filter(indicator="compute_capacity", centre_type="_T")
    value = frame["value"][0]
    assert f'"{value:,.1f}"' in drawn(release, "/compute")
    assert drawn(release, "/compute", last="all") != ""
    assert drawn(release, "/compute", last="99' OR 1=1") == drawn(release, "/compute")


def test_a_withheld_share_is_a_cross_and_nothing_else(release: Release) -> None:
    cells = release.cube_frame("applications_tier_quarter").filter(indicator="applications_assessed_share")
    total = cells.filter(risk_tier="_T")
    assert total["conf_status"].to_list() == ["C"] and total["value"].null_count() == 1
    text = drawn(release, "/governance")
    assert '"x"' in text or '\\"x\\"' in text
    assert not re.search(r"\b90\.0\b", text)  # nine of ten were assessed


def test_the_register_stands_under_the_plan_with_targets_and_what_is_published(tmp_path: Path) -> None:
    plan = received("plan_tasks", [
        task(1, "2026-Q1", kind="T", indicator="ai_enterprises", target_value=200, target_unit="家"),
        task(2, "2026-Q1", status="4", progress_pct=75),
    ])  # fmt: skip
    whole: Any = content(plan)
    register = plan_register(plan.rows, core(("ai_enterprises", "2026", 150, "published")), date(2026, 3, 31))
    with_list = replace(whole, reference={**whole.reference, "public_plan_task": register})
    release = open_release(tmp_path, publish(tmp_path, with_list).release_id)
    text = drawn(release, "/plan")
    assert "计划登记簿 · 2026年一季度" in text and "未接收" not in text
    for words in ("200 家", "150 家", "75.0", "延期", "文〔2026〕1号", "2026-12-31"):
        assert words in text, words
    assert "delayed" in drawn(release, "/plan", "en")
    late = release.cube_frame("plan_kind_quarter").filter(indicator="plan_late", kind="_T")
    assert late["value"].to_list() == [1]


def test_a_protected_cube_without_a_passed_certificate_is_not_released(tmp_path: Path) -> None:
    whole: Any = content()
    without = replace(whole, certificates={k: v for k, v in whole.certificates.items() if k != "compute_type_quarter"})
    with pytest.raises(ReleaseRefused, match="compute_type_quarter: no passed certificate"):
        publish(tmp_path, without)
    assert source_certificates([], {}) == {}
