"""A real PostgreSQL server for tests: Debian's binaries, a cluster of its own in a temporary folder, a Unix socket, no network.

Fixtures of :mod:`tests.conftest`: ``postgres`` (the server, once a session) and ``postgres_url`` (an empty database).
"""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

DRIVER = "psycopg"
NO_SERVER = "no PostgreSQL server here; install the apt package postgresql"
NO_DRIVER = f"the Python driver {DRIVER} is not installed; 'make test' installs it"
OWNER = "aistat"
UNPRIVILEGED = ("postgres", "nobody")


def binaries() -> Path | None:
    """The folder of the newest server's initdb and pg_ctl, if there is one."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parent.name), reverse=True)
    on_path = shutil.which("pg_ctl")
    folders = [*found, *([Path(on_path).resolve().parent] if on_path else [])]
    return next((f for f in folders if (f / "initdb").exists() and (f / "postgres").exists()), None)


def driver_is_there() -> bool:
    """Whether SQLAlchemy can talk to it."""
    return importlib.util.find_spec(DRIVER) is not None


@dataclass(frozen=True)
class Server:
    """A running server: the folder of its socket and of its programs, and the system user it runs as (None: ourselves)."""

    folder: Path
    programs: Path
    user: str | None

    def psql(self, sql: str, database: str = "postgres", role: str = OWNER) -> str:
        """Run statements; what they print, unaligned."""
        options = ["-h", str(self.folder), "-U", role, "-d", database, "-v", "ON_ERROR_STOP=1", "-XqAtc", sql]
        done = subprocess.run([self.programs / "psql", *options], capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"psql: {done.stderr.strip()}")
        return done.stdout.strip()

    def url(self, database: str, role: str = OWNER) -> str:
        """Address for SQLAlchemy."""
        return f"postgresql+{DRIVER}://{role}@/{database}?host={self.folder}"


def _as_user(user: str | None) -> dict[str, object]:
    return {} if user is None else {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def _unprivileged() -> str | None:
    """Somebody to run as: the server refuses root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in UNPRIVILEGED if name in known)


@contextmanager
def server(programs: Path) -> Iterator[Server]:
    """Make a cluster, start it, and take it away again."""
    user = _unprivileged()
    # Not below pytest's folder: that one is closed to other users, and a socket's path may have 107 characters only.
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    if user is not None:
        shutil.chown(folder, user)
    folder.chmod(0o755)
    data, log = folder / "data", folder / "log"

    def call(program: str, *arguments: str) -> None:
        done = subprocess.run(
            [programs / program, *arguments], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=120, **_as_user(user),
        )  # type: ignore[call-overload]  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"{program} ended with {done.returncode}: {done.stdout}")

    try:
        call("initdb", "-D", str(data), "-U", OWNER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N")
        settings = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off -c max_connections=60"
        call("pg_ctl", "-D", str(data), "-l", str(log), "-w", "-s", "-o", settings, "start")
        try:
            yield Server(folder, programs, user)
        finally:
            call("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "-s", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
