"""Real Chromium at the desk: take, read, answer; no console error, no request to elsewhere, readable without script."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.dashboard.test_desk import PASSWORD, WORDS, queue, units
from warehouse.evidence_write import write_evidence_file
from warehouse.review_journal import ReviewJournal
from warehouse.review_results import labels

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed; 'make test' installs it")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed; install the package chromium"),
]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A served desk with four made-up tasks."""
    home = tmp_path_factory.mktemp("desk")
    journal, frame = ReviewJournal(home), units()
    journal.add_user("li", PASSWORD, "analyst", organisation="统计")
    journal.open_batch("r1", queue(frame))
    write_evidence_file(home / "evidence", "r1", frame)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "aistat", "desk", "--port", str(port)], cwd=ROOT,
        env={**os.environ, "AISTAT_HOME": str(home), "AISTAT_EVIDENCE": str(home / "evidence")},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    for _ in range(240):
        try:
            with urllib.request.urlopen(f"{address}/api/v1/health", timeout=2):
                break
        except OSError:
            assert process.poll() is None, "the desk did not start"
            time.sleep(0.25)
    yield address, home
    process.terminate()
    process.wait(timeout=20)


def test_a_reviewer_takes_reads_and_answers(desk: tuple[str, Path], tmp_path: Path) -> None:
    address, home = desk
    shots = Path(os.environ["AISTAT_SHOTS"]) if "AISTAT_SHOTS" in os.environ else tmp_path
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        errors: list[str] = []
        page.on("console", lambda m: errors.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda e: errors.append(str(e)))
        page.on("request", lambda r: None if r.url.startswith(address) else errors.append(r.url))
        page.goto(f"{address}/")
        page.fill("input[name=name]", "li")
        page.fill("input[name=password]", PASSWORD)
        page.click("button[type=submit]")
        page.click("button:has-text('取下一件')")
        assert page.inner_text("mark.plus-4") == WORDS
        assert (
            page.evaluate("getComputedStyle(document.querySelector('mark.plus-4')).backgroundColor")
            != "rgba(0, 0, 0, 0)"
        )
        page.screenshot(path=shots / "desk-task-zh.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        page.check("input[value=A51]")
        page.click("button[value=answer]")
        page.wait_for_selector("text=某1号科技有限公司")
        page.click("text=English")
        page.wait_for_selector("text=Undecidable")
        page.screenshot(path=shots / "desk-task-en.png", full_page=True)
        page.fill("input[name=free]", "none")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=Blind task")
        assert page.locator("mark").count() == 0
        browser.close()
    assert errors == []
    assert labels(ReviewJournal(home)).select("unit_id", "code").rows() == [("UNIT0", "A51"), ("UNIT1", "none")]
