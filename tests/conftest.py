"""Shared fixtures: one small demo city, taken through the whole pipeline once per test session."""

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from tests import postgres as pg

if TYPE_CHECKING:
    from taxonomy.classifier.bundle import Bundle

#: Long files first, the second one without :func:`demo_home`, which the first one makes: so no worker waits for the other.
FIRST = ("test_kill.py", "test_up.py", "test_pipeline.py", "test_incremental.py")
ROOT = Path(__file__).resolve().parents[1]
AS_OF = "2026-03-31"
SEED = 7


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files (``--dist loadfile`` hands them out in order)."""
    rank = {name: i for i, name in enumerate(FIRST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(FIRST)))


def aistat(*arguments: str, home: Path, check: bool = True, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user would, in its own process."""
    environment: Mapping[str, str] = {**os.environ, "AISTAT_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-m", "aistat", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=540,
        **options,  # type: ignore[call-overload]
    )
    if check and done.returncode != 0:
        raise AssertionError(f"aistat {' '.join(arguments)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def _made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that the first worker to ask makes for all workers of the run (``pytest -n``)."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder = base / f"shared-{name}"
    with FileLock(base / f"{name}.lock"):
        if not (base / f"{name}.done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            (base / f"{name}.done").touch()
    return folder


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the classifier's bundle, trained once for all tests."""
    from taxonomy.classifier.store import ensure_bundle

    return _made_once(tmp_path_factory, "bundles", lambda folder: ensure_bundle(folder) and None)


@pytest.fixture(scope="session")
def bundle(bundles: Path) -> "Bundle":
    """That bundle, loaded once for all tests; frozen."""
    from taxonomy.classifier.store import ensure_bundle

    return ensure_bundle(bundles)


@pytest.fixture()
def home(tmp_path: Path, bundles: Path) -> Path:
    """An AISTAT_HOME that holds the trained bundle and nothing else; a module that needs more has a ``home`` of its own."""
    shutil.copytree(bundles, tmp_path / "home" / "bundles")
    return tmp_path / "home"


def copy_for_review(demo_home: Path, home: Path) -> Path:
    """Copy what review touches of a released home to ``home``; returns it."""
    home.mkdir()
    for name in ("work.duckdb", "journal.db"):
        shutil.copy(demo_home / name, home / name)
    for name in ("releases", "evidence"):
        shutil.copytree(demo_home / name, home / name)
    return home


@pytest.fixture(scope="session")
def demo_inbox(tmp_path_factory: pytest.TempPathFactory, bundles: Path) -> Path:
    """A home that holds the small demo city's files and the trained bundle; copy it, do not run in it."""
    build = (
        "from pathlib import Path; from aistat.demo_cmd import build_demo; build_demo(Path({!r}), 'small', {}, print)"
    )

    def make(folder: Path) -> None:
        home = folder / "home"
        subprocess.run([sys.executable, "-c", build.format(str(home), SEED)], cwd=ROOT, check=True, capture_output=True)
        shutil.copytree(bundles, home / "bundles")

    return _made_once(tmp_path_factory, "demo-inbox", make) / "home"


@pytest.fixture(scope="session")
def demo_home(demo_inbox: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small demo city after one nightly job: a released home. Treat it as read-only.

    Every worker has a copy: to read a work store, too, takes the lock of its file.
    """

    def make(folder: Path) -> None:
        shutil.copytree(demo_inbox, folder / "home")
        aistat("run", "--as-of", AS_OF, home=folder / "home")

    made = _made_once(tmp_path_factory, "demo-home", make) / "home"
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return made
    return Path(shutil.copytree(made, tmp_path_factory.mktemp("demo-home") / "home", symlinks=True))


# --- PostgreSQL ----------------------------------------------------------------------------------------------------

_DATABASES = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[pg.Server]:
    """A PostgreSQL server on a Unix socket, for as long as the session lasts."""
    programs = pg.binaries()
    if programs is None:
        pytest.skip(pg.NO_SERVER)
    with pg.server(programs) as running:
        yield running


@pytest.fixture()
def postgres_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """SQLAlchemy's address of a database of its own, empty."""
    if not pg.driver_is_there():
        pytest.skip(pg.NO_DRIVER)
    running: pg.Server = request.getfixturevalue("postgres")
    name = f"test_{next(_DATABASES)}"
    running.psql(f"CREATE DATABASE {name}")
    yield running.url(name)
