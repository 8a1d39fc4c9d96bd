"""A night that computes only what changed gives what a full one gives."""

import shutil
from pathlib import Path

import pytest

from tests.benchmarks.night import one_percent
from tests.benchmarks.prove_nightly import differences, full_copy
from tests.conftest import AS_OF, aistat


@pytest.mark.slow
def test_an_incremental_night_gives_what_a_full_one_gives(demo_home: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(demo_home, home, symlinks=True)
    assert one_percent(home, "2026-03-30", 20221101) > (0, 0)
    other = full_copy(home, tmp_path / "full")
    aistat("run", "--as-of", AS_OF, home=home)
    aistat("run", "--as-of", AS_OF, "--full", home=other)
    assert differences(home, other) == []
    assert differences(home, demo_home) != [], "the night changed something"
