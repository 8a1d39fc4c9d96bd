"""The event log of a run in this process: one kept connection a file instead of a new one for every event.

Dagster's SQLite log opens an engine, a connection and a statement cache for each of the thousand statements of a night;
that costs more than all collecting of a night without changes. Files, tables and statements stay Dagster's own, so that its web
pages and its daemon read the log while the run writes it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any, Final

import dagster as dg
from dagster._core.storage.event_log import SqliteEventLogStorage
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import StaticPool

BUSY_SECONDS: Final = 30


def _engine(url: str) -> Engine:
    """An engine of one connection, whichever thread asks; with a write-ahead log, NORMAL loses no committed event to a crash."""
    engine = create_engine(
        url, poolclass=StaticPool, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False}
    )

    @event.listens_for(engine, "connect")
    def _settings(connection: Any, _: object) -> None:
        connection.execute("PRAGMA synchronous=NORMAL")

    return engine


@contextmanager
def kept_connections(instance: dg.DagsterInstance) -> Iterator[None]:
    """Within, the instance's SQLite event log keeps its connections; another kind of log is left as it is."""
    log = instance.event_log_storage
    if not isinstance(log, SqliteEventLogStorage):
        yield
        return
    engines: dict[str, Engine] = {}

    @contextmanager
    def connect(self: SqliteEventLogStorage, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            if shard not in engines:
                engines[shard] = _engine(self.conn_string_for_shard(shard))
            if shard not in self._initialized_dbs:
                self._initdb(engines[shard])
                self._initialized_dbs.add(shard)
            with engines[shard].connect() as connection, connection.begin():
                yield connection

    log._connect = MethodType(connect, log)  # type: ignore[method-assign]
    try:
        yield
    finally:
        del log._connect
        for engine in engines.values():
            engine.dispose()
