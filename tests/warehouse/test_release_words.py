"""试行 stands in what a trial release prints and nowhere else; an official one says 正式发布, a simulated one 模拟发布."""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from dashboard.components.block import badge
from dashboard.context import Context
from dashboard.registry import PAGES
from tests.warehouse.sample_release import official_content, sample_content
from warehouse.access import User
from warehouse.export import export
from warehouse.export.words import kind_of, release_kind, release_text
from warehouse.export.yearbook import build_yearbook
from warehouse.read import Release, open_release
from warehouse.release import publish
from warehouse.report.draft import write_art67

CONTENT = {
    "simulated": lambda: sample_content(synthetic=True),
    "trial": lambda: sample_content(synthetic=False),
    "official": official_content,
}
SAYS = {"simulated": "模拟发布", "trial": "试行发布", "official": "正式发布"}
FOREIGN = {"simulated": ("试行", "正式"), "trial": ("模拟", "正式发布"), "official": ("试行", "模拟", "草案版")}


@pytest.fixture(scope="module", params=list(CONTENT))
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Release]]:
    home = tmp_path_factory.mktemp(request.param)
    yield request.param, open_release(home, publish(home, CONTENT[request.param]()).release_id)


def archive_text(content: bytes) -> str:
    """All text of a workbook or document."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = [archive.read(n).decode() for n in archive.namelist() if n.endswith(".xml")]
    return unescape(re.sub(r"<[^>]+>", "\n", "\n".join(parts)))


def test_the_yearbook(made: tuple[str, Release]) -> None:
    kind, release = made
    text = archive_text(build_yearbook(release, 2025))
    assert SAYS[kind] in text and not [w for w in FOREIGN[kind] if w in text]


def test_the_draft(made: tuple[str, Release], tmp_path: Path) -> None:
    kind, release = made
    for lang in ("zh", "en"):
        write_art67(release, 2025, tmp_path / "draft.docx", lang)
        text = archive_text((tmp_path / "draft.docx").read_bytes())
        if lang == "zh":
            assert SAYS[kind] in text and not [w for w in FOREIGN[kind] if w in text]
            assert ("分类目录》正式版" in text) == (kind == "official")
        assert "{catalogue}" not in text and release_text(release.info, lang) in text


@pytest.mark.parametrize("form", ["csv", "json-stat", "xlsx", "parquet"])
def test_the_exports(made: tuple[str, Release], form: str) -> None:
    kind, release = made
    content = export(release, "core_leaf_year", form).content
    text = archive_text(content) if form == "xlsx" else content.decode("utf-8", errors="ignore").encode().decode()
    if "\\u" in text:
        text = text.encode().decode("unicode_escape", errors="ignore")
    wanted = {"simulated": "模拟数据", "trial": "试行统计数据", "official": "正式发布数据"}
    assert wanted[kind] in text and not [w for k, w in wanted.items() if k != kind and w in text]


def test_the_pages(made: tuple[str, Release]) -> None:
    kind, release = made
    user = User("li", "analyst", "统计")
    context = Context(release, user, "zh", "/", {})
    own = badge(context, synthetic=release.info.is_synthetic)
    assert own.children == {"simulated": "模拟数据", "trial": "试行数据", "official": "正式发布数据"}[kind]
    assert own.className == f"badge badge-{kind}"
    assert badge(context, synthetic=False, real=True).children == "真实公开数据"
    for key in ("/structure", "/district"):
        page = next(p for p in PAGES if p.path == key)
        drawn = page.render(Context(release, user, "zh", page.path, {}))
        text = json.dumps(drawn, default=lambda o: o.to_plotly_json(), ensure_ascii=False)
        assert own.children in text and not [w for w in FOREIGN[kind] if w in text], key


def test_public_lists_are_public_in_every_release(made: tuple[str, Release]) -> None:
    kind, release = made
    assert kind_of(release, release.dataset("listed_city")) == "public"
    assert kind_of(release, release.dataset("core_leaf_year")) == release_kind(release.info) == kind
    doctored = replace(release.info, is_synthetic=True, status="official")
    assert release_text(doctored, "zh") == "模拟发布", "synthetic figures end in 模拟发布 whatever the status says"
