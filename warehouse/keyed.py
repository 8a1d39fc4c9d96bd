"""Tables kept by key: rows change one by one, each change is known by the version that made it, readers follow the changes.

What is made from such a table need not read it whole: a reader notes which version it has seen (:meth:`KeyedTables.saw`) and asks
for the keys that changed since (:meth:`KeyedTables.changed_since`). Where that is not known (the table was written anew, or too long
ago), it is told so and reads everything. A reader notes the version last, after what it made: a night that was cut off sees the
same changes again. A reader that also compares a state of its own (what was applied, what locks there were) must take its note back before it
writes. Releases before this one change rows without a log: after going back to one, the first night forward is one with ``--full``.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

import duckdb
import polars as pl

from warehouse.tables import BUILDING, HEAP, LOG, SEEN, VERSIONS, checked, clear, has, write_aside

SQL = Path(__file__).parent / "sql"
KEPT_VERSIONS: Final = 60
"""Changes that can be followed; keys of older ones are forgotten, those of units long gone among them."""


def query_of(table: str) -> str:
    """The query ``warehouse/sql/<phase>/<table>.sql`` that makes a table.

    Raises
    ------
    LookupError
        If there is no such query.
    """
    path = SQL / table.partition("_")[0] / f"{table}.sql"
    if not path.is_file():
        raise LookupError(f"no query {path.relative_to(SQL)}; add it, or make {table} by write")
    return path.read_text(encoding="utf-8")


def _raise_version(connection: duckdb.DuckDBPyConnection, name: str, *, anew: bool) -> int:
    """Count a table's version up; ``anew``: what was before cannot be followed."""
    connection.execute(f"CREATE TABLE IF NOT EXISTS {VERSIONS} (name VARCHAR, version BIGINT, since BIGINT)")
    row = connection.execute(f"SELECT version, since FROM {VERSIONS} WHERE name = $1", [name]).fetchone()
    version = 1 if row is None else int(row[0]) + 1
    since = version if anew or row is None else max(int(row[1]), version - KEPT_VERSIONS)
    connection.execute(f"DELETE FROM {VERSIONS} WHERE name = $1", [name])
    connection.execute(f"INSERT INTO {VERSIONS} VALUES ($1, $2, $3)", [name, version, since])
    return version


def behind_view(connection: duckdb.DuckDBPyConnection, name: str, column: str) -> None:
    """Show the rows of the heap under the table's name, and begin its log."""
    connection.execute(f"CREATE VIEW {name} AS SELECT * FROM {name}{HEAP} ORDER BY {column}")
    _begin_log(connection, name, column)


def _begin_log(connection: duckdb.DuckDBPyConnection, name: str, column: str) -> None:
    connection.execute(f"CREATE TABLE {name}{LOG} AS SELECT {column}, 0::BIGINT AS version FROM {name}{HEAP} LIMIT 0")
    _raise_version(connection, name, anew=True)


class KeyedTables:
    """The part of the work store that keeps tables by key."""

    def _open(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        raise NotImplementedError

    def write_keyed(self, table: str, key: str, frames: Iterable[pl.DataFrame]) -> int:
        """As ``write_stream``, of a table whose rows are shown in the order of ``key`` (unique) and may be changed by it."""
        name, column = checked(table), checked(key)
        building = f"{name}{BUILDING}"
        with self._open() as connection:
            rows = write_aside(connection, building, frames)
            connection.begin()
            clear(connection, name)
            connection.execute(f"ALTER TABLE {building} RENAME TO {name}{HEAP}")
            behind_view(connection, name, column)
            connection.commit()
        return rows

    def change_rows(self, table: str, key: str, gone: pl.Series, frames: Iterable[pl.DataFrame]) -> None:
        """Of a table kept by key: take the rows away whose ``key`` is in ``gone``, add ``frames``; in one transaction.

        What this costs follows the rows that change. A row that changes is both gone and added.
        """
        name, column = checked(table), checked(key)
        building, leaving = f"{name}{BUILDING}", gone.alias(column).to_frame()
        with self._open() as connection:
            write_aside(connection, building, frames)
            connection.register("leaving", leaving.to_arrow(compat_level=pl.CompatLevel.oldest()))
            connection.begin()
            if has(connection, f"{name}{LOG}"):
                version = _raise_version(connection, name, anew=False)
                touched = f"SELECT {column} FROM leaving UNION SELECT {column} FROM {building}"
                connection.execute(f"INSERT INTO {name}{LOG} SELECT {column}, {version} FROM ({touched})")
                connection.execute(f"DELETE FROM {name}{LOG} WHERE version <= {version - KEPT_VERSIONS}")
            else:  # written by an earlier release of this code
                _begin_log(connection, name, column)
            connection.execute(f"DELETE FROM {name}{HEAP} WHERE {column} IN (SELECT {column} FROM leaving)")
            connection.execute(f"INSERT INTO {name}{HEAP} BY NAME SELECT * FROM {building}")
            connection.execute(f"DROP TABLE {building}")
            connection.commit()
            connection.unregister("leaving")

    def is_keyed(self, table: str) -> bool:
        """Whether a table is there that is kept by key."""
        with self._open() as connection:
            return has(connection, checked(table)) and has(connection, f"{checked(table)}{HEAP}")

    def version(self, table: str) -> int | None:
        """The version of a table kept by key, raised by every change; None where its changes cannot be followed."""
        name = checked(table)
        with self._open() as connection:
            if not (has(connection, f"{name}{LOG}") and has(connection, f"{name}{HEAP}")):
                return None
            row = connection.execute(f"SELECT version FROM {VERSIONS} WHERE name = $1", [name]).fetchone()
        return None if row is None else int(row[0])

    def changed_since(self, table: str, version: int | None) -> pl.Series | None:
        """Keys of the rows that came, went or changed after a version, sorted; None where that is not known."""
        name = checked(table)
        if version is None or self.version(name) is None:
            return None
        with self._open() as connection:
            row = connection.execute(f"SELECT since, version FROM {VERSIONS} WHERE name = $1", [name]).fetchone()
            if row is None or not int(row[0]) <= version <= int(row[1]):
                return None
            query = (
                f"SELECT DISTINCT COLUMNS(* EXCLUDE version) FROM {name}{LOG} WHERE version > {int(version)} ORDER BY 1"
            )
            frame: pl.DataFrame = connection.sql(query).pl()
        return frame.to_series()

    def seen(self, reader: str, table: str, basis: str = "") -> int | None:
        """The version of ``table`` that ``reader`` was made from, by the same ``basis``; None where there is none."""
        with self._open() as connection:
            if not has(connection, SEEN):
                return None
            query = f"SELECT version FROM {SEEN} WHERE reader = $1 AND name = $2 AND basis = $3"
            row = connection.execute(query, [checked(reader), checked(table), basis]).fetchone()
        return None if row is None else int(row[0])

    def saw(self, reader: str, table: str, version: int | None, basis: str = "") -> None:
        """Note that ``reader`` is made from this version; ``basis``: what else it rests on. None: from one not to be followed."""
        if version is not None and self.seen(reader, table, basis) == version:
            return
        with self._open() as connection:
            if version is None and not has(connection, SEEN):
                return
            connection.begin()
            connection.execute(f"CREATE TABLE IF NOT EXISTS {SEEN} (reader VARCHAR, name VARCHAR, basis VARCHAR, version BIGINT)")  # fmt: skip
            connection.execute(f"DELETE FROM {SEEN} WHERE reader = $1 AND name = $2", [checked(reader), checked(table)])
            if version is not None:
                connection.execute(f"INSERT INTO {SEEN} VALUES ($1, $2, $3, $4)", [reader, table, basis, version])
            connection.commit()
