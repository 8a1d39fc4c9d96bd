"""The restricted work store: one DuckDB file, one writer, whole tables replaced in one transaction."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import polars as pl

from warehouse.connect import open_writable

SLICE_ROWS = 100_000
MEMORY_LIMIT = "1GiB"
"""Of DuckDB's own cache while a table goes through in chunks; what does not fit is on the disk already."""
SQL = Path(__file__).parent / "sql"
NAME = re.compile(r"^[a-z][a-z0-9_]*$")


BUILDING = "__incoming"
"""Ending of a table that is being written; what a killed process left of it is replaced at the next run."""


def _write_aside(connection: duckdb.DuckDBPyConnection, building: str, frames: Iterable[pl.DataFrame]) -> int:
    """Write the frames to the table ``building``, replacing it; rows written."""
    rows, head = 0, f"CREATE OR REPLACE TABLE {building} AS"
    for frame in frames:
        connection.register("incoming", frame.to_arrow(compat_level=pl.CompatLevel.oldest()))
        connection.execute(f"{head} SELECT * FROM incoming").fetchall()
        connection.unregister("incoming")
        rows, head = rows + frame.height, f"INSERT INTO {building}"
    if head.startswith("CREATE"):
        raise ValueError(f"no frame for {building}: hand in an empty one with the columns for a table without rows")
    return rows


def _clear(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Drop what bears a name, be it a table or a view."""
    views = connection.execute("SELECT view_name FROM duckdb_views() WHERE view_name = $1", [name]).fetchall()
    connection.execute(f"DROP {'VIEW' if views else 'TABLE'} IF EXISTS {name}")


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
        """Replace a table; after a crash either the old or the new content is there, never a mixture."""
        name = self._checked(table)
        slices = frame.iter_slices(SLICE_ROWS) if frame.height else iter([frame])
        self.write_stream(name, slices)

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
            connection.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
            try:
                rows = _write_aside(connection, building, frames)
            except BaseException:
                connection.execute(f"DROP TABLE IF EXISTS {building}")
                raise
            connection.begin()
            if order_by:
                order = ", ".join(self._checked(column) for column in order_by)
                connection.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM {building} ORDER BY {order}")
                connection.execute(f"DROP TABLE {building}")
            else:
                connection.execute(f"DROP TABLE IF EXISTS {name}")
                connection.execute(f"ALTER TABLE {building} RENAME TO {name}")
            connection.commit()
        return rows

    def lacking(self, table: str, other: str, keys: Sequence[str]) -> pl.DataFrame:
        """The ``keys`` of rows of ``table`` that ``other`` does not have, sorted."""
        own, its = self._checked(table), self._checked(other)
        columns = ", ".join(self._checked(k) for k in keys)
        with self._open() as connection:
            query = f"SELECT {columns} FROM {own} ANTI JOIN {its} USING ({columns}) ORDER BY {columns}"
            frame: pl.DataFrame = connection.sql(query).pl()
            return frame

    def replace_rows(self, table: str, reference: str, keys: Sequence[str], frames: Iterable[pl.DataFrame]) -> None:
        """Keep the rows of ``table`` whose ``keys`` stand in ``reference``, add ``frames``, sort by the keys; in one transaction."""
        name, its, building = self._checked(table), self._checked(reference), f"{self._checked(table)}{BUILDING}"
        columns = ", ".join(self._checked(k) for k in keys)
        with self._open() as connection:
            connection.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
            _write_aside(connection, building, frames)
            connection.begin()
            kept = f"SELECT * FROM {name} SEMI JOIN {its} USING ({columns})"
            every = f"SELECT * FROM {building} UNION ALL BY NAME {kept} ORDER BY {columns}"
            connection.execute(f"CREATE OR REPLACE TABLE {name} AS {every}").fetchall()
            connection.execute(f"DROP TABLE {building}")
            connection.commit()

    def repeated(self, table: str, column: str, columns: Sequence[str]) -> pl.DataFrame:
        """``columns`` of the rows whose ``column`` another row has too, sorted."""
        name, own = self._checked(table), self._checked(column)
        picked = ", ".join(self._checked(c) for c in columns)
        with self._open() as connection:
            twice = f"SELECT {own} FROM {name} GROUP BY {own} HAVING count(*) > 1"
            frame: pl.DataFrame = connection.sql(
                f"SELECT {picked} FROM {name} SEMI JOIN ({twice}) USING ({own}) ORDER BY {picked}"
            ).pl()
            return frame

    def first(self, table: str, column: str) -> object:
        """A column's value in the first row; None where there is no row."""
        with self._open() as connection:
            query = f"SELECT {self._checked(column)} FROM {self._checked(table)} LIMIT 1"
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

    def batches(self, table: str, columns: Sequence[str] = (), rows: int = SLICE_ROWS) -> Iterator[pl.DataFrame]:
        """A table in the order it was written, about ``rows`` rows at a time; all columns unless some are named.

        An empty table gives one empty frame. LookupError if there is no such table.
        """
        name = self._checked(table)
        if not self.exists(name):
            raise LookupError(f"the work store has no table {name}; run the assets before it first")
        picked = ", ".join(self._checked(column) for column in columns) or "*"
        with self._open() as connection:
            connection.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
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
            query = f"SELECT {picked} FROM {name} SEMI JOIN wanted USING ({key}) ORDER BY {key}, {picked}"
            frame: pl.DataFrame = connection.sql(query).pl()
            return frame

    def rows(self, table: str) -> int:
        """How many rows a table has."""
        with self._open() as connection:
            (count,) = connection.execute(f"SELECT count(*) FROM {self._checked(table)}").fetchall()[0]
        return int(count)

    def distinct(self, table: str, column: str) -> int:
        """How many different values a column has."""
        with self._open() as connection:
            query = f"SELECT count(DISTINCT {self._checked(column)}) FROM {self._checked(table)}"
            (count,) = connection.execute(query).fetchall()[0]
        return int(count)

    def tables(self) -> list[str]:
        """Names of the tables there (and of what shows another one), sorted."""
        if not self._path.exists():
            return []
        with self._open() as connection:
            rows = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
            rows += connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
        return sorted(str(name) for (name,) in rows if not str(name).endswith(BUILDING))

    def exists(self, table: str) -> bool:
        """Whether a table is there."""
        return self._path.exists() and not table.endswith(BUILDING) and self._has(table)

    def _has(self, table: str) -> bool:
        with self._open() as connection:
            try:
                # Looks up one name; the information schema would list all columns of all tables first.
                connection.execute(f"SELECT 1 FROM {self._checked(table)} LIMIT 0")
            except duckdb.CatalogException:
                return False
        return True
