"""Real Chromium: each page, both languages, three roles: no console error, no outside request, figures drawn."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dashboard.registry import PAGES
from dashboard.text import words
from tests.e2e.browser import MARKS, Visit, chromium, served, shots
from warehouse.access import User, may
from warehouse.journal import Journal

pytestmark = MARKS
PASSWORD = "a long password"
ROLES = ("official", "analyst", "admin")
LANGUAGES = ("zh", "en")
WIDEST = "analyst"


@dataclass
class Site:
    """A served home."""

    address: str
    home: Path


@pytest.fixture(scope="module")
def site(demo_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("site")
    shutil.copytree(demo_home / "releases", home / "releases")
    for role in ROLES:
        Journal(home).add_user(role, PASSWORD, role)
    with served("serve", home) as address:
        yield Site(address, home)


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with chromium() as launched:
        yield launched


def enter(browser: object, site: Site, role: str) -> Visit:
    """The app as somebody of a role sees it."""
    return Visit(browser, site.address, role, PASSWORD)


@pytest.mark.slow
@pytest.mark.parametrize("role", ROLES)
def test_each_page_in_both_languages(browser, site: Site, role: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Analysts see each page in both languages, the other roles what analysts see by turns in one (``make prove`` draws all)."""
    visit = enter(browser, site, role)
    folder, seen = shots(tmp_path), 0
    for number, page in enumerate(PAGES, ROLES.index(role)):
        if not may(User(role, role), page.permission):
            continue
        by_turns = role != WIDEST and may(User(WIDEST, WIDEST), page.permission)
        for lang in (LANGUAGES[number % 2],) if by_turns else LANGUAGES:
            visit.open(page.path + ("?lang=en" if lang == "en" else ""))
            title = visit.page.inner_text("h1")
            assert (title.isascii()) == (lang == "en"), (page.path, title)
            assert visit.page.title().split(" · ")[0] == words(lang)[page.key], page.path
            visit.page.screenshot(path=folder / f"{role}-{page.key}-{lang}.png", full_page=True)
            assert visit.page.locator("table.data, .tree, .link-row").count() > 0, page.path
            seen += 1
    assert seen >= (12 if role == WIDEST else 6)
    assert visit.errors == []
    assert visit.outside == []


def test_a_control_changes_the_address_and_the_address_the_page(browser, site: Site) -> None:  # type: ignore[no-untyped-def]
    visit = enter(browser, site, "analyst")
    visit.open("/district")
    before = visit.page.inner_text("#content h2 >> nth=0")
    visit.page.click(".control:has-text('年份') .select")
    visit.page.get_by_text("2023", exact=True).last.click()
    visit.page.wait_for_url("**/district?year=2023")
    visit.page.wait_for_function("() => document.querySelector('#content h2').innerText.includes('2023')")
    assert "2025" in before
    visit.page.click("text=English")
    visit.page.wait_for_url("**lang=en**")
    visit.page.wait_for_function("() => document.querySelector('h1').innerText === 'Districts'")
    assert "year=2023" in visit.page.url
    assert visit.errors == [] and visit.outside == []


def test_the_screen_shows_what_the_release_holds(browser, site: Site) -> None:  # type: ignore[no-untyped-def]
    visit = enter(browser, site, "official")
    visit.open("/filings")
    text = visit.page.inner_text(".stats.headline")
    assert "1,020" in text and "573" in text
    visit.open("/structure")
    assert visit.page.locator("td.withheld").count() > 0
    assert set(visit.page.locator("td.withheld").all_text_contents()) == {"x"}


def test_a_page_a_role_may_not_see_says_so(browser, site: Site) -> None:  # type: ignore[no-untyped-def]
    visit = enter(browser, site, "official")
    answer = visit.page.goto(site.address + "/quality")
    assert answer.status == 403
    assert "没有权限" in visit.page.inner_text("body")
    assert visit.page.goto(site.address + "/").status == 200
    visit.page.wait_for_selector("nav.side")
    assert "数据质量" not in visit.page.inner_text("nav.side")


def test_an_unknown_address_says_what_to_do(browser, site: Site) -> None:  # type: ignore[no-untyped-def]
    visit = enter(browser, site, "analyst")
    visit.page.goto(site.address + "/nosuch?lang=en")
    visit.page.wait_for_selector(".message a")
    assert visit.page.title().startswith("No such page")
    visit.page.click(".message a")
    visit.page.wait_for_selector("nav.side")
    assert visit.page.url.endswith("/?lang=en") and visit.page.inner_text("h1") == words("en")["page_overview"]


def test_log_out_ends_the_session(browser, site: Site) -> None:  # type: ignore[no-untyped-def]
    visit = enter(browser, site, "analyst")
    visit.open("/")
    visit.page.click("text=退出")
    visit.page.wait_for_url("**/login")
    visit.page.goto(site.address + "/structure")
    assert "/login" in visit.page.url
