"""What the browser tests share: a server of ours in its own process, a real Chromium, logging in, what must not happen."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed; 'make test' installs it")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
MARKS = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed; install the package chromium"),
]


@contextmanager
def served(command: str, home: Path, **environment: str) -> Iterator[str]:
    """``aistat serve`` or ``aistat desk`` on a free port; the address once it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "aistat", command, "--port", str(port)], cwd=ROOT,
        env={**os.environ, "AISTAT_HOME": str(home), **environment},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                with urllib.request.urlopen(f"{address}/api/v1/health", timeout=2):
                    break
            except OSError:
                assert process.poll() is None, f"aistat {command} did not start"
                time.sleep(0.25)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=20)


@contextmanager
def chromium() -> Iterator[Any]:
    """A Chromium without a window."""
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


class Visit:
    """A logged-in window that remembers console errors and requests to elsewhere."""

    def __init__(self, browser: Any, address: str, name: str, password: str) -> None:
        self.address = address
        self.context = browser.new_context(viewport={"width": 1440, "height": 900})
        self.page = self.context.new_page()
        self.errors: list[str] = []
        self.outside: list[str] = []
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda e: self.errors.append(str(e)))
        self.page.on("request", lambda r: self._note(r.url))
        self.page.goto(f"{address}/login")
        self.page.fill("input[name=name]", name)
        self.page.fill("input[name=password]", password)
        self.page.click("button[type=submit]")

    def _note(self, url: str) -> None:
        if not url.startswith((self.address, "data:", "blob:")):
            self.outside.append(url)

    def open(self, path: str) -> None:
        """A page of the app, drawn."""
        self.page.goto(self.address + path)
        self.page.wait_for_selector("#content", timeout=30_000)
        self.page.wait_for_load_state("networkidle")


def shots(folder: Path) -> Path:
    """Where screenshots go: ``AISTAT_SHOTS`` if it is set."""
    return Path(os.environ.get("AISTAT_SHOTS", folder))
