"""The restricted work store: one DuckDB file, one writer, whole tables replaced in one transaction."""

import re
from pathlib import Path

import polars as pl

from warehouse.connect import open_writable

NAME = re.compile(r"^[a-z][a-z0-9_]*$")


class WorkStore:
    """Tables of the pipeline between its assets; unit level, never opened by the web process."""

    def __init__(self, root: Path) -> None:
        self._path = root / "work.duckdb"
        root.mkdir(parents=True, exist_ok=True)

    @staticmethod
    def _checked(table: str) -> str:
        if not NAME.match(table):
            raise ValueError(f"{table!r} is not a table name; lower-case letters, digits and _ only")
        return table

    def write(self, table: str, frame: pl.DataFrame) -> None:
        """Replace a table; after a crash either the old or the new content is there, never a mixture."""
        name = self._checked(table)
        with open_writable(self._path) as connection:
            connection.register("incoming", frame.to_arrow(compat_level=pl.CompatLevel.oldest()))
            connection.begin()
            connection.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM incoming").fetchall()
            connection.commit()
            connection.unregister("incoming")

    def read(self, table: str) -> pl.DataFrame:
        """A whole table in the order it was written.

        Raises
        ------
        LookupError
            If there is no such table.
        """
        name = self._checked(table)
        if not self.exists(name):
            raise LookupError(f"the work store has no table {name}; run the assets before it first")
        with open_writable(self._path) as connection:
            frame: pl.DataFrame = connection.sql(f"SELECT * FROM {name}").pl()
            return frame

    def tables(self) -> list[str]:
        """Names of the tables there, sorted."""
        if not self._path.exists():
            return []
        with open_writable(self._path) as connection:
            rows = connection.execute("SELECT table_name FROM duckdb_tables() ORDER BY table_name").fetchall()
        return [str(row[0]) for row in rows]

    def exists(self, table: str) -> bool:
        """Whether a table is there."""
        return table in self.tables()
