"""The only place that opens a database (call forms valid on DuckDB 1.5 and 2.x)."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

READER_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "threads": "2",
    "memory_limit": "1GB",
    "enable_external_access": "false",
    "python_enable_replacements": "false",
    "lock_configuration": "true",
}
WRITER_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "threads": "1",
    "python_enable_replacements": "false",
    "preserve_insertion_order": "true",
}


class StoreBusy(RuntimeError):
    """Another run holds the stores of this installation."""


@contextmanager
def run_lock(root: Path) -> Iterator[None]:
    """Hold the installation's run lock; only one run may write at a time. A dead process frees it by itself.

    Raises
    ------
    StoreBusy
        If another process holds it; the message names the process.
    """
    root.mkdir(parents=True, exist_ok=True)
    with (root / "run.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise StoreBusy(
                f"another run (process {holder}) is working in {root}; wait for it to finish or stop it first"
            ) from error
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield


def open_writable(path: Path) -> duckdb.DuckDBPyConnection:
    """A read-write connection to a database file (the work store, or a release being built).

    One thread: most tables have few row groups, and threads that wait for each other cost a night a tenth of its seconds.
    """
    return duckdb.connect(str(path), config=WRITER_CONFIG)


def open_reader(path: Path) -> duckdb.DuckDBPyConnection:
    """A read-only, sandboxed connection to a release mart: no external access, configuration locked.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path.name}: no such database")
    return duckdb.connect(str(path), read_only=True, config=READER_CONFIG)
