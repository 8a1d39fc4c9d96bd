"""Generated reference pages are current and the READMEs keep their promises."""

import re
from pathlib import Path

import pytest

from aistat.docs_cmd import REFERENCE, pages
from tests.benchmarks.proof import FOLDER, outdated

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", sorted(pages()))
def test_reference_page_is_current(name: str) -> None:
    assert (REFERENCE / name).read_text(encoding="utf-8") == pages()[name], "run 'make docs' and commit"


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_readme_fits_two_screens_and_shows_a_picture(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 100
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert pictures
    for picture in pictures:
        assert (ROOT / picture).is_file(), picture
    for command in ("make up", "make test"):
        assert command in text


def test_links_between_documents_resolve() -> None:
    broken = []
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert not broken, broken


@pytest.mark.parametrize(
    "name",
    [
        "bench_classifier",
        "classifier",
        "disclosure",
        "editing",
        "estimation",
        "misclassification",
        "nightly",
        "pipeline",
        "promise",
        "requests",
    ],
)
def test_evidence_is_there_and_about_this_code(name: str) -> None:
    path = FOLDER / f"{name}.json"
    assert path.is_file(), f"{path.name} is missing: run 'make prove' (or 'make bench-classifier') and commit it"
    assert outdated(path) == [], f"{path.name} is older than the code it proves: run 'make prove' and commit it"
