"""Killed at any moment, a night leaves the release that was served, or its own whole one; and the next night runs."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT, aistat
from tests.e2e.test_pipeline import current
from warehouse.read import open_current

WAYS = (("--full",), ())
"""A night that computes everything, and one that takes what did not change from before."""


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_kill_nine_at_ten_random_moments_leaves_no_partial_release(demo_home: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(demo_home, home)
    rng = random.Random(20261123)
    errors: list[str] = []
    reads = 0
    stop = threading.Event()

    def read_all_the_time() -> None:
        nonlocal reads
        while not stop.is_set():
            try:
                release = open_current(home)
                assert release.cube_frame("core_leaf_year").height > 0
                reads += 1
            except Exception as error:  # every reader error counts
                errors.append(repr(error))
            time.sleep(0.02)

    reader = threading.Thread(target=read_all_the_time)
    reader.start()
    whole = {}
    for options in WAYS:
        started = time.monotonic()
        aistat("run", "--as-of", "2026-04-01", *options, home=home)
        whole[options] = time.monotonic() - started
    for attempt in range(10):
        before, options = current(home), WAYS[0 if attempt % 3 == 0 else 1]
        process = subprocess.Popen(
            [sys.executable, "-m", "aistat", "run", *options, "--as-of", f"2026-05-{attempt + 1:02d}"],
            cwd=ROOT,
            env={**os.environ, "AISTAT_HOME": str(home)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(rng.uniform(0.1, 1.0) * whole[options])
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        after = current(home)
        if after != before:
            assert json.loads((home / "releases" / after / "manifest.json").read_text())["vintage"].startswith(
                "2026-05"
            )
        for folder in (home / "releases").iterdir():
            if folder.is_dir() and not folder.name.startswith("."):
                assert {"release.duckdb", "manifest.json", "certificate.json"} <= {p.name for p in folder.iterdir()}
    aistat("run", "--as-of", "2026-06-01", home=home)
    stop.set()
    reader.join()
    assert json.loads((home / "releases" / current(home) / "manifest.json").read_text())["vintage"] == "2026-06-01"
    assert not [p for p in (home / "releases").iterdir() if p.name.startswith(".building")]
    assert errors == []
    assert reads > 100
