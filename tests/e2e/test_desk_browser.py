"""Real Chromium at the desk: take, read, answer; no console error, no request to elsewhere, readable without script."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dashboard.test_desk import PASSWORD, WORDS, queue, units
from tests.e2e.browser import MARKS, Visit, chromium, served, shots
from warehouse.evidence_write import write_evidence_file
from warehouse.review_journal import ReviewJournal
from warehouse.review_results import labels

pytestmark = MARKS


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A served desk with four made-up tasks."""
    home = tmp_path_factory.mktemp("desk")
    journal, frame = ReviewJournal(home), units()
    journal.add_user("li", PASSWORD, "analyst", organisation="统计")
    journal.open_batch("r1", queue(frame))
    write_evidence_file(home / "evidence", "r1", frame)
    with served("desk", home, AISTAT_EVIDENCE=str(home / "evidence")) as address:
        yield address, home


def test_a_reviewer_takes_reads_and_answers(desk: tuple[str, Path], tmp_path: Path) -> None:
    address, home = desk
    folder = shots(tmp_path)
    with chromium() as browser:
        visit = Visit(browser, address, "li", PASSWORD)
        page = visit.page
        page.click("button:has-text('取下一件')")
        assert page.inner_text("mark.plus-4") == WORDS
        assert (
            page.evaluate("getComputedStyle(document.querySelector('mark.plus-4')).backgroundColor")
            != "rgba(0, 0, 0, 0)"
        )
        page.screenshot(path=folder / "desk-task-zh.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        page.check("input[value=A51]")
        page.click("button[value=answer]")
        page.wait_for_selector("text=某1号科技有限公司")
        page.click("text=English")
        page.wait_for_selector("text=Undecidable")
        page.screenshot(path=folder / "desk-task-en.png", full_page=True)
        page.fill("input[name=free]", "none")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=Blind task")
        assert page.locator("mark").count() == 0
    assert visit.errors == [] and visit.outside == []
    assert labels(ReviewJournal(home)).select("unit_id", "code").rows() == [("UNIT0", "A51"), ("UNIT1", "none")]
