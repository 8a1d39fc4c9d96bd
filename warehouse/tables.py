"""Tables of the work store as DuckDB holds them: written aside first, with what stands behind a table's name."""

import re
from collections.abc import Iterable
from typing import Final

import duckdb
import polars as pl

MEMORY_LIMIT: Final = "1GiB"
"""Of DuckDB's own cache while a table goes through in chunks; what does not fit is on the disk already."""
NAME: Final = re.compile(r"^[a-z][a-z0-9_]*$")
BUILDING: Final = "__incoming"
"""Ending of a table that is being written; what a killed process left of it is replaced at the next run."""
HEAP: Final = "__heap"
"""Ending of the rows behind a table kept by key: in any order, shown by a view of the table's own name in that of the key."""
LOG: Final = "__changed"
"""Ending of the keys that changed in a table kept by key, each with the version that changed it."""
VERSIONS: Final = "store__version"
SEEN: Final = "store__seen"
BEHIND: Final = (BUILDING, HEAP, LOG)


def is_behind(name: str) -> bool:
    """Whether a table of the file is none of the pipeline's, but the store's own."""
    return name.endswith(BEHIND) or name in (VERSIONS, SEEN)


def checked(name: str) -> str:
    """A name that may stand in a query; ValueError where it may not."""
    if not NAME.match(name):
        raise ValueError(f"{name!r} is not a table name; lower-case letters, digits and _ only")
    return name


def write_aside(connection: duckdb.DuckDBPyConnection, building: str, frames: Iterable[pl.DataFrame]) -> int:
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


def clear(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Drop what bears a name, be it a table or a view with the rows behind it."""
    views = connection.execute("SELECT view_name FROM duckdb_views() WHERE view_name = $1", [name]).fetchall()
    connection.execute(f"DROP {'VIEW' if views else 'TABLE'} IF EXISTS {name}")
    connection.execute(f"DROP TABLE IF EXISTS {name}{HEAP}")
    connection.execute(f"DROP TABLE IF EXISTS {name}{LOG}")


def has(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Whether there is a table of a name."""
    try:
        # Looks up one name; the information schema would list all columns of all tables first.
        connection.execute(f"SELECT 1 FROM {name} LIMIT 0")
    except duckdb.CatalogException:
        return False
    return True


def count(connection: duckdb.DuckDBPyConnection, name: str) -> int:
    """Rows of a table."""
    (rows,) = connection.execute(f"SELECT count(*) FROM {name}").fetchall()[0]
    return int(rows)


def rows_of(connection: duckdb.DuckDBPyConnection, name: str) -> str:
    """Where a table's rows are, for those who do not ask for their order."""
    return f"{name}{HEAP}" if has(connection, f"{name}{HEAP}") else name
