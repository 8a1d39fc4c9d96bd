"""The restricted work store: one DuckDB file, one writer, whole tables replaced in one transaction."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import polars as pl

from warehouse.connect import open_writable

SLICE_ROWS = 100_000
COMPARED_ROWS = 20_000
MEMORY_LIMIT = "1GiB"
"""Of DuckDB's own cache while a table goes through in chunks; what does not fit is on the disk already."""
SQL = Path(__file__).parent / "sql"
NAME = re.compile(r"^[a-z][a-z0-9_]*$")


BUILDING = "__incoming"
"""Ending of a table that is being written; what a killed process left of it is replaced at the next run."""
HEAP = "__heap"
"""Ending of the rows behind a table kept by key: in any order, shown by a view of the table's own name in that of the key."""


def _write_aside(connection: duckdb.DuckDBPyConnection, building: str, frames: Iterable[pl.DataFrame]) -> int:
    """Write the frames to the table ``building``, replacing it; rows written. What was written goes when a frame fails."""
    connection.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
    rows, head = 0, f"CREATE OR REPLACE TABLE {building} AS"
    try:
        for frame in frames:
            connection.register("incoming", frame.to_arrow(compat_level=pl.CompatLevel.oldest()))
            connection.execute(f"{head} SELECT * FROM incoming").fetchall()
            connection.unregister("incoming")
            rows, head = rows + frame.height, f"INSERT INTO {building}"
    except BaseException:
        connection.execute(f"DROP TABLE IF EXISTS {building}")
        raise
    if head.startswith("CREATE"):
        raise ValueError(f"no frame for {building}: hand in an empty one with the columns for a table without rows")
    return rows


def _clear(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Drop what bears a name, be it a table or a view with the rows behind it."""
    views = connection.execute("SELECT view_name FROM duckdb_views() WHERE view_name = $1", [name]).fetchall()
    connection.execute(f"DROP {'VIEW' if views else 'TABLE'} IF EXISTS {name}")
    connection.execute(f"DROP TABLE IF EXISTS {name}{HEAP}")


def _has(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    try:
        # Looks up one name; the information schema would list all columns of all tables first.
        connection.execute(f"SELECT 1 FROM {name} LIMIT 0")
    except duckdb.CatalogException:
        return False
    return True


def _count(connection: duckdb.DuckDBPyConnection, name: str) -> int:
    (count,) = connection.execute(f"SELECT count(*) FROM {name}").fetchall()[0]
    return int(count)


def _rows_of(connection: duckdb.DuckDBPyConnection, name: str) -> str:
    """Where a table's rows are, for those who do not ask for their order."""
    return f"{name}{HEAP}" if _has(connection, f"{name}{HEAP}") else name


_HELD: dict[Path, duckdb.DuckDBPyConnection] = {}


class WorkStore:
    """Tables of the pipeline between its assets; unit level, never opened by the web process."""

    def __init__(self, root: Path) -> None:
        self._path = root / "work.duckdb"
        root.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep the file open: opening it for each table costs more than reading most of them. A run holds it to its end."""
        if self._path in _HELD:
            yield
            return
        with open_writable(self._path) as connection:
            _HELD[self._path] = connection
            try:
                yield
            finally:
                del _HELD[self._path]

    @contextmanager
    def _open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        held = _HELD.get(self._path)
        with open_writable(self._path) if held is None else held.cursor() as connection:
            yield connection

    @staticmethod
    def _checked(table: str) -> str:
        if not NAME.match(table):
            raise ValueError(f"{table!r} is not a table name; lower-case letters, digits and _ only")
        return table

    def write(self, table: str, frame: pl.DataFrame) -> None:
        """Replace a table; after a crash either the old or the new content is there, never a mixture.

        A table that holds this very content is left alone: to read it and compare costs a quarter of writing it.
        """
        name = self._checked(table)
        if self._holds(name, frame):
            return
        slices = frame.iter_slices(SLICE_ROWS) if frame.height else iter([frame])
        self.write_stream(name, slices)

    def _holds(self, name: str, frame: pl.DataFrame) -> bool:
        """Whether a table of its own (nothing that shows another one) has these columns and rows; ends at the first that differ."""
        if not self._path.exists():
            return False
        with self._open() as connection:
            query = "SELECT 1 FROM duckdb_tables() WHERE table_name = $1"
            if connection.execute(query, [name]).fetchone() is None or _count(connection, name) != frame.height:
                return False
            if connection.sql(f"SELECT * FROM {name} LIMIT 0").pl().schema != frame.schema:
                return False
            at = 0
            for batch in connection.execute(f"SELECT * FROM {name}").to_arrow_reader(COMPARED_ROWS):
                part = pl.from_arrow(batch)
                assert isinstance(part, pl.DataFrame)
                if not part.equals(frame.slice(at, part.height)):
                    return False
                at += part.height
        return True

    def write_stream(self, table: str, frames: Iterable[pl.DataFrame], order_by: Sequence[str] = ()) -> int:
        """Replace a table by frames of one schema that come one after another; rows written.

        ``order_by`` sorts all of it (on disk where memory does not suffice); else the rows stay as they come.

        The frames may be drawn from :meth:`batches` of the same table: those see the old content to the end. They are
        written aside, each for itself (an open transaction would keep every frame in memory), and take the table's name
        in one transaction, as in :meth:`write`. ValueError when there is no frame (an empty one gives the columns).
        """
        name = self._checked(table)
        building = f"{name}{BUILDING}"
        with self._open() as connection:
            rows = _write_aside(connection, building, frames)
            connection.begin()
            if order_by:
                order = ", ".join(self._checked(column) for column in order_by)
                _clear(connection, name)
                connection.execute(f"CREATE TABLE {name} AS SELECT * FROM {building} ORDER BY {order}")
                connection.execute(f"DROP TABLE {building}")
            else:
                _clear(connection, name)
                connection.execute(f"ALTER TABLE {building} RENAME TO {name}")
            connection.commit()
        return rows

    def lacking(self, table: str, other: str, keys: Sequence[str]) -> pl.DataFrame:
        """The ``keys`` of rows of ``table`` that ``other`` does not have, sorted."""
        own, its = self._checked(table), self._checked(other)
        columns = ", ".join(self._checked(k) for k in keys)
        with self._open() as connection:
            own, its = _rows_of(connection, own), _rows_of(connection, its)
            query = f"SELECT {columns} FROM {own} ANTI JOIN {its} USING ({columns}) ORDER BY {columns}"
            frame: pl.DataFrame = connection.sql(query).pl()
            return frame

    def write_keyed(self, table: str, key: str, frames: Iterable[pl.DataFrame]) -> int:
        """As :meth:`write_stream`, of a table whose rows are shown in the order of ``key`` (unique) and may be changed by it."""
        name, column = self._checked(table), self._checked(key)
        building = f"{name}{BUILDING}"
        with self._open() as connection:
            rows = _write_aside(connection, building, frames)
            connection.begin()
            _clear(connection, name)
            connection.execute(f"ALTER TABLE {building} RENAME TO {name}{HEAP}")
            connection.execute(f"CREATE VIEW {name} AS SELECT * FROM {name}{HEAP} ORDER BY {column}")
            connection.commit()
        return rows

    def change_rows(self, table: str, key: str, gone: pl.Series, frames: Iterable[pl.DataFrame]) -> None:
        """Of a table of :meth:`write_keyed`: take the rows away whose ``key`` is in ``gone``, add ``frames``; in one transaction.

        What this costs follows the rows that change. A row that changes is both gone and added.
        """
        name, column = self._checked(table), self._checked(key)
        building, leaving = f"{name}{BUILDING}", gone.alias(column).to_frame()
        with self._open() as connection:
            _write_aside(connection, building, frames)
            connection.register("leaving", leaving.to_arrow(compat_level=pl.CompatLevel.oldest()))
            connection.begin()
            connection.execute(f"DELETE FROM {name}{HEAP} WHERE {column} IN (SELECT {column} FROM leaving)")
            connection.execute(f"INSERT INTO {name}{HEAP} BY NAME SELECT * FROM {building}")
            connection.execute(f"DROP TABLE {building}")
            connection.commit()
            connection.unregister("leaving")

    def repeated(self, table: str, column: str, columns: Sequence[str]) -> pl.DataFrame:
        """``columns`` of the rows whose ``column`` another row has too, sorted."""
        name, own = self._checked(table), self._checked(column)
        picked = ", ".join(self._checked(c) for c in columns)
        with self._open() as connection:
            name = _rows_of(connection, name)
            twice = f"SELECT {own} FROM {name} GROUP BY {own} HAVING count(*) > 1"
            frame: pl.DataFrame = connection.sql(
                f"SELECT {picked} FROM {name} SEMI JOIN ({twice}) USING ({own}) ORDER BY {picked}"
            ).pl()
            return frame

    def first(self, table: str, column: str) -> object:
        """A column's value in the first row; None where there is no row."""
        with self._open() as connection:
            query = f"SELECT {self._checked(column)} FROM {_rows_of(connection, self._checked(table))} LIMIT 1"
            row = connection.execute(query).fetchone()
        return None if row is None else row[0]

    def derive(self, table: str, parameters: Mapping[str, object] | None = None) -> int:
        """Make a table by the query of its name in ``warehouse/sql/<phase>/<table>.sql``; its rows.

        Raises
        ------
        LookupError
            If there is no such query.
        """
        name = self._checked(table)
        path = SQL / name.partition("_")[0] / f"{name}.sql"
        if not path.is_file():
            raise LookupError(f"no query {path.relative_to(SQL)}; add it, or make {name} by write")
        with self._open() as connection:
            connection.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
            query = path.read_text(encoding="utf-8")
            connection.begin()
            _clear(connection, name)
            connection.execute(f"CREATE TABLE {name} AS {query}", dict(parameters or {})).fetchall()
            connection.commit()
        return self.rows(name)

    def alias(self, table: str, source: str) -> int:
        """Let ``table`` show what ``source`` holds, without a copy; its rows."""
        name, origin = self._checked(table), self._checked(source)
        with self._open() as connection:
            connection.begin()
            _clear(connection, name)
            connection.execute(f"CREATE VIEW {name} AS SELECT * FROM {origin}")
            connection.commit()
        return self.rows(name)

    def batches(
        self, table: str, columns: Sequence[str] = (), rows: int = SLICE_ROWS, *, any_order: bool = False
    ) -> Iterator[pl.DataFrame]:
        """A table in the order it was written, about ``rows`` rows at a time; all columns unless some are named.

        ``any_order``: the order is of no matter, and a table kept by key need not be sorted. An empty table gives one empty frame. LookupError if there is no such table.
        """
        name = self._checked(table)
        if not self.exists(name):
            raise LookupError(f"the work store has no table {name}; run the assets before it first")
        picked = ", ".join(self._checked(column) for column in columns) or "*"
        with self._open() as connection:
            connection.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
            name = _rows_of(connection, name) if any_order else name
            reader = connection.execute(f"SELECT {picked} FROM {name}").to_arrow_reader(rows)
            empty = True
            for batch in reader:
                empty = False
                frame = pl.from_arrow(batch)
                assert isinstance(frame, pl.DataFrame)
                yield frame
            if empty:
                yield connection.sql(f"SELECT {picked} FROM {name}").pl()

    def read(self, table: str, columns: Sequence[str] = ()) -> pl.DataFrame:
        """A whole table in the order it was written; all columns unless some are named.

        Raises
        ------
        LookupError
            If there is no such table.
        """
        name = self._checked(table)
        if not self.exists(name):
            raise LookupError(f"the work store has no table {name}; run the assets before it first")
        with self._open() as connection:
            picked = ", ".join(self._checked(column) for column in columns) or "*"
            frame: pl.DataFrame = connection.sql(f"SELECT {picked} FROM {name}").pl()
            return frame

    def matching(self, table: str, columns: Sequence[str], keys: pl.Series) -> pl.DataFrame:
        """Rows of a table whose column of the name of ``keys`` holds one of them, without reading the others whole.

        Sorted by that column and the columns asked for. LookupError if there is no such table.
        """
        name, key = self._checked(table), self._checked(keys.name)
        if not self.exists(name):
            raise LookupError(f"the work store has no table {name}; run the assets before it first")
        picked = ", ".join(self._checked(column) for column in columns)
        with self._open() as connection:
            connection.register("wanted", keys.unique().to_frame().to_arrow(compat_level=pl.CompatLevel.oldest()))
            name = _rows_of(connection, name)
            query = f"SELECT {picked} FROM {name} SEMI JOIN wanted USING ({key}) ORDER BY {key}, {picked}"
            frame: pl.DataFrame = connection.sql(query).pl()
            return frame

    def rows(self, table: str) -> int:
        """How many rows a table has."""
        with self._open() as connection:
            return _count(connection, _rows_of(connection, self._checked(table)))

    def is_keyed(self, table: str) -> bool:
        """Whether a table is there that :meth:`write_keyed` wrote."""
        return self.exists(table) and self._has(f"{self._checked(table)}{HEAP}")

    def values(self, table: str, column: str) -> list[object]:
        """The different values of a column, sorted."""
        own = self._checked(column)
        with self._open() as connection:
            query = f"SELECT DISTINCT {own} FROM {_rows_of(connection, self._checked(table))} ORDER BY {own}"
            return [value for (value,) in connection.execute(query).fetchall()]

    def distinct(self, table: str, column: str) -> int:
        """How many different values a column has."""
        with self._open() as connection:
            own = _rows_of(connection, self._checked(table))
            query = f"SELECT count(DISTINCT {self._checked(column)}) FROM {own}"
            (count,) = connection.execute(query).fetchall()[0]
        return int(count)

    def tables(self) -> list[str]:
        """Names of the tables there (and of what shows another one), sorted."""
        if not self._path.exists():
            return []
        with self._open() as connection:
            rows = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
            rows += connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
        return sorted(str(name) for (name,) in rows if not str(name).endswith((BUILDING, HEAP)))

    def exists(self, table: str) -> bool:
        """Whether a table is there."""
        if not self._path.exists() or table.endswith((BUILDING, HEAP)):
            return False
        return self._has(self._checked(table))

    def _has(self, name: str) -> bool:
        with self._open() as connection:
            return _has(connection, name)
