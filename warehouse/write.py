"""The restricted work store: one DuckDB file, one writer; a table is replaced, or its rows are changed, in one transaction."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import polars as pl

from warehouse.connect import open_writable
from warehouse.keyed import KeyedTables, behind_view, query_of
from warehouse.tables import BUILDING, HEAP, MEMORY_LIMIT, checked, clear, count, has, is_behind, rows_of, write_aside

SLICE_ROWS = 100_000
SLICE_BYTES = 128 << 20
"""Of a frame that is in memory as it is; every part of it that is handed over costs a commit."""
COMPARED_ROWS = 20_000

_HELD: dict[Path, duckdb.DuckDBPyConnection] = {}


class WorkStore(KeyedTables):
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

    def write(self, table: str, frame: pl.DataFrame) -> None:
        """Replace a table; after a crash either the old or the new content is there, never a mixture.

        A table that holds this very content is left alone: to read it and compare costs a quarter of writing it.
        """
        name = checked(table)
        if self._holds(name, frame):
            return
        rows = max(SLICE_ROWS, SLICE_BYTES * frame.height // max(int(frame.estimated_size()), 1))
        self.write_stream(name, frame.iter_slices(rows) if frame.height else iter([frame]))

    def _holds(self, name: str, frame: pl.DataFrame) -> bool:
        """Whether a table of its own (nothing that shows another one) has these columns and rows; ends at the first that differ."""
        if not self._path.exists():
            return False
        with self._open() as connection:
            query = "SELECT 1 FROM duckdb_tables() WHERE table_name = $1"
            if connection.execute(query, [name]).fetchone() is None or count(connection, name) != frame.height:
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
        name = checked(table)
        building = f"{name}{BUILDING}"
        with self._open() as connection:
            rows = write_aside(connection, building, frames)
            connection.begin()
            if order_by:
                order = ", ".join(checked(column) for column in order_by)
                clear(connection, name)
                connection.execute(f"CREATE TABLE {name} AS SELECT * FROM {building} ORDER BY {order}")
                connection.execute(f"DROP TABLE {building}")
            else:
                clear(connection, name)
                connection.execute(f"ALTER TABLE {building} RENAME TO {name}")
            connection.commit()
        return rows

    def lacking(self, table: str, other: str, keys: Sequence[str]) -> pl.DataFrame:
        """The ``keys`` of rows of ``table`` that ``other`` does not have, sorted."""
        own, its = checked(table), checked(other)
        columns = ", ".join(checked(k) for k in keys)
        with self._open() as connection:
            own, its = rows_of(connection, own), rows_of(connection, its)
            query = f"SELECT {columns} FROM {own} ANTI JOIN {its} USING ({columns}) ORDER BY {columns}"
            frame: pl.DataFrame = connection.sql(query).pl()
            return frame

    def differing(self, table: str, other: str) -> pl.DataFrame:
        """The different rows of ``table`` that ``other``, of the same columns, does not have."""
        with self._open() as connection:
            own, its = rows_of(connection, checked(table)), rows_of(connection, checked(other))
            frame: pl.DataFrame = connection.sql(f"SELECT * FROM {own} EXCEPT SELECT * FROM {its}").pl()
            return frame

    def tally(self, table: str, columns: Sequence[str], sums: Sequence[str] = ()) -> pl.DataFrame:
        """Rows by the values of ``columns``: these, ``n``, and of each of ``sums`` its sum, and ``<name>_n`` of what is not null.

        Sorted; sums are compensated (Kahan), null where nothing is known. Their last digits may still hang on the order of rows.
        """
        picked = ", ".join(checked(c) for c in columns)
        summed = "".join(f", fsum({checked(c)}) AS {c}, count({c}) AS {c}_n" for c in sums)
        with self._open() as connection:
            name = rows_of(connection, checked(table))
            query = f"SELECT {picked}, count(*) AS n{summed} FROM {name} GROUP BY {picked} ORDER BY {picked}"
            frame: pl.DataFrame = connection.sql(query).pl()
            return frame

    def tally_items(self, table: str, column: str) -> pl.DataFrame:
        """What the lists of a column hold: ``item``, and its occurrences ``n``; sorted."""
        with self._open() as connection:
            name = rows_of(connection, checked(table))
            items = f"SELECT unnest({checked(column)}) AS item FROM {name}"
            frame: pl.DataFrame = connection.sql(
                f"SELECT item, count(*) AS n FROM ({items}) GROUP BY item ORDER BY item"
            ).pl()
            return frame

    def repeated(self, table: str, column: str, columns: Sequence[str]) -> pl.DataFrame:
        """``columns`` of the rows whose ``column`` another row has too, sorted."""
        name, own = checked(table), checked(column)
        picked = ", ".join(checked(c) for c in columns)
        with self._open() as connection:
            name = rows_of(connection, name)
            twice = f"SELECT {own} FROM {name} GROUP BY {own} HAVING count(*) > 1"
            frame: pl.DataFrame = connection.sql(
                f"SELECT {picked} FROM {name} SEMI JOIN ({twice}) USING ({own}) ORDER BY {picked}"
            ).pl()
            return frame

    def first(self, table: str, column: str) -> object:
        """A column's value in the first row; None where there is no row."""
        with self._open() as connection:
            query = f"SELECT {checked(column)} FROM {rows_of(connection, checked(table))} LIMIT 1"
            row = connection.execute(query).fetchone()
        return None if row is None else row[0]

    def derive(self, table: str, parameters: Mapping[str, object] | None = None, *, key: str = "") -> int:
        """Make a table by the query of its name in ``warehouse/sql/<phase>/<table>.sql``; its rows.

        ``key``: the table is kept by this column, as one of :meth:`write_keyed`. LookupError if there is no such query.
        """
        name = checked(table)
        query, target = query_of(name), f"{name}{HEAP}" if key else name
        with self._open() as connection:
            connection.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
            connection.begin()
            clear(connection, name)
            connection.execute(f"CREATE TABLE {target} AS {query}", dict(parameters or {})).fetchall()
            if key:
                behind_view(connection, name, checked(key))
            connection.commit()
        return self.rows(name)

    def rename(self, table: str, to: str) -> None:
        """Let a table take another name, in place of what bore it. ValueError for one kept by key: its readers would lose it."""
        name, new = checked(table), checked(to)
        if self.is_keyed(name):
            raise ValueError(f"{name} is kept by key and cannot take another name; write {new} instead")
        with self._open() as connection:
            connection.begin()
            clear(connection, new)
            connection.execute(f"ALTER TABLE {name} RENAME TO {new}")
            connection.commit()

    def alias(self, table: str, source: str) -> int:
        """Let ``table`` show what ``source`` holds, without a copy; its rows."""
        name, origin = checked(table), checked(source)
        with self._open() as connection:
            connection.begin()
            clear(connection, name)
            connection.execute(f"CREATE VIEW {name} AS SELECT * FROM {origin}")
            connection.commit()
        return self.rows(name)

    def batches(
        self, table: str, columns: Sequence[str] = (), rows: int = SLICE_ROWS, *, any_order: bool = False
    ) -> Iterator[pl.DataFrame]:
        """A table in the order it was written, about ``rows`` rows at a time; all columns unless some are named.

        ``any_order``: the order is of no matter, and a table kept by key need not be sorted. An empty table gives one empty frame. LookupError if there is no such table.
        """
        name = checked(table)
        if not self.exists(name):
            raise LookupError(f"the work store has no table {name}; run the assets before it first")
        picked = ", ".join(checked(column) for column in columns) or "*"
        with self._open() as connection:
            connection.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
            name = rows_of(connection, name) if any_order else name
            reader = connection.execute(f"SELECT {picked} FROM {name}").to_arrow_reader(rows)
            empty = True
            for batch in reader:
                empty = False
                frame = pl.from_arrow(batch)
                assert isinstance(frame, pl.DataFrame)
                yield frame
            if empty:
                yield connection.sql(f"SELECT {picked} FROM {name}").pl()

    def read(
        self,
        table: str,
        columns: Sequence[str] = (),
        *,
        known: str = "",
        rows: int | None = None,
        any_order: bool = False,
    ) -> pl.DataFrame:
        """A whole table in the order it was written; all columns unless some are named.

        ``known``: only rows where this column is not null; ``rows``: only so many of the first; ``any_order`` as in :meth:`batches`.

        Raises
        ------
        LookupError
            If there is no such table.
        """
        name = checked(table)
        if not self.exists(name):
            raise LookupError(f"the work store has no table {name}; run the assets before it first")
        with self._open() as connection:
            picked = ", ".join(checked(column) for column in columns) or "*"
            here = f" WHERE {checked(known)} IS NOT NULL" if known else ""
            most = "" if rows is None else f" LIMIT {int(rows)}"
            name = rows_of(connection, name) if any_order else name
            frame: pl.DataFrame = connection.sql(f"SELECT {picked} FROM {name}{here}{most}").pl()
            return frame

    def matching(self, table: str, columns: Sequence[str], keys: pl.Series) -> pl.DataFrame:
        """Rows of a table whose column of the name of ``keys`` holds one of them, without reading the others whole.

        Sorted by that column and the columns asked for; all columns where none is named. LookupError if there is no such table.
        """
        name, key = checked(table), checked(keys.name)
        if not self.exists(name):
            raise LookupError(f"the work store has no table {name}; run the assets before it first")
        picked = ", ".join(checked(column) for column in columns)
        order = f"{key}, {picked}" if picked else key
        with self._open() as connection:
            connection.register("wanted", keys.unique().to_frame().to_arrow(compat_level=pl.CompatLevel.oldest()))
            name = rows_of(connection, name)
            query = f"SELECT {picked or '*'} FROM {name} SEMI JOIN wanted USING ({key}) ORDER BY {order}"
            frame: pl.DataFrame = connection.sql(query).pl()
            return frame

    def rows(self, table: str) -> int:
        """How many rows a table has."""
        with self._open() as connection:
            return count(connection, rows_of(connection, checked(table)))

    def values(self, table: str, column: str) -> list[object]:
        """The different values of a column, sorted."""
        own = checked(column)
        with self._open() as connection:
            query = f"SELECT DISTINCT {own} FROM {rows_of(connection, checked(table))} ORDER BY {own}"
            return [value for (value,) in connection.execute(query).fetchall()]

    def distinct(self, table: str, column: str) -> int:
        """How many different values a column has."""
        with self._open() as connection:
            own = rows_of(connection, checked(table))
            query = f"SELECT count(DISTINCT {checked(column)}) FROM {own}"
            (count,) = connection.execute(query).fetchall()[0]
        return int(count)

    def tables(self) -> list[str]:
        """Names of the tables there (and of what shows another one), sorted."""
        if not self._path.exists():
            return []
        with self._open() as connection:
            rows = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
            rows += connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
        return sorted(str(name) for (name,) in rows if not is_behind(str(name)))

    def exists(self, table: str) -> bool:
        """Whether a table is there."""
        if not self._path.exists() or is_behind(table):
            return False
        return self._has(checked(table))

    def _has(self, name: str) -> bool:
        with self._open() as connection:
            return has(connection, name)
