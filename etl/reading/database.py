"""A source as a query against the bureau's own database: the same contract, the same quarantine, nothing written there.

``AISTAT_HOME/sources.yaml`` names the sources that come this way::

    finance_annual:
      url: env:BUREAU_DB            # or file:secret/bureau.url (mode 0600); SQLAlchemy URL
      sql: SELECT uscc AS 统一社会信用代码, … FROM b103 WHERE …
      period_column: 年份            # or period: "2025", for sources whose key has a period

The query's columns are the contract's Chinese headers, its money the contract's unit. Dialects whose transactions can be
read-only are asked for one.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import polars as pl
import sqlalchemy as sa
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from etl.contract import Contract
from etl.reading.raw import LINE, FileRefused, Raw, find_head

SETTINGS: Final = "sources.yaml"
READ_ONLY: Final = {"postgresql": "SET TRANSACTION READ ONLY", "mysql": "SET TRANSACTION READ ONLY"}
CHUNK: Final = 50_000


class SqlSource(BaseModel):
    """One entry of ``sources.yaml``. The URL is named, not given: it may hold a password."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(pattern=r"^(env|file):.+$")
    sql: str = Field(min_length=7)
    period: str | None = None
    period_column: str | None = None


@dataclass(frozen=True)
class Query:
    """A query that can be run: ``name`` is what receipts and quarantine call it."""

    name: str
    url: str
    spec: SqlSource


def _resolve(root: Path, given: str) -> str:
    kind, _, name = given.partition(":")
    if kind == "env":
        if not os.environ.get(name):
            raise FileRefused(f"环境变量 {name} 未设置；请写入数据库地址 / environment variable {name} is not set")
        return os.environ[name]
    path = root / name
    if not path.is_file():
        raise FileRefused(f"没有文件 {name}；请写入数据库地址 / no file {name}; put the database URL there")
    if path.stat().st_mode & 0o077:
        raise FileRefused(f"文件 {name} 他人可读；请 chmod 600 / {name} can be read by others; chmod 600 it")
    return path.read_text(encoding="utf-8").strip()


def load_settings(root: Path) -> Mapping[str, SqlSource]:
    """The sources of this installation that come from a database.

    Raises
    ------
    ValueError
        If ``sources.yaml`` is not what is expected: says which source and which field.
    """
    path = root / SETTINGS
    if not path.is_file():
        return {}
    found = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    try:
        return {str(name): SqlSource.model_validate(spec) for name, spec in found.items()}
    except (ValidationError, AttributeError) as error:
        detail = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()) if isinstance(
            error, ValidationError) else "a mapping of source ids was expected"  # fmt: skip
        raise ValueError(
            f"{SETTINGS}: {detail}; expected url (env:NAME or file:PATH), sql, period or period_column"
        ) from None


def query_of(root: Path, contract: Contract) -> Query | None:
    """How a source is to be fetched, None where it comes as files (FileRefused if its URL is not to be had)."""
    spec = load_settings(root).get(contract.id)
    if spec is None:
        return None
    if contract.period_column and bool(spec.period) == bool(spec.period_column):
        raise FileRefused(f"{SETTINGS} {contract.id}：period 与 period_column 二者取一 / give period or period_column")
    return Query(f"sql_{contract.id}", _resolve(root, spec.url), spec)


def _cell(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, datetime):
        return (
            value.strftime("%Y-%m-%d %H:%M:%S") if value.time().isoformat() != "00:00:00" else value.date().isoformat()
        )
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    return format(Decimal(repr(value)), "f") if isinstance(value, float) else str(value)


@contextmanager
def _rows(query: Query) -> Iterator[sa.CursorResult[Any]]:
    """The open result; a failure of the database becomes a refusal without address or password."""
    engine = None
    try:
        engine = sa.create_engine(query.url, poolclass=sa.pool.NullPool)
        with engine.connect() as connection:
            if engine.dialect.name in READ_ONLY:
                connection.execute(sa.text(READ_ONLY[engine.dialect.name]))
            streamed = {"stream_results": True, "yield_per": CHUNK}
            with closing(connection.execute(sa.text(query.spec.sql), execution_options=streamed)) as result:
                yield result
            connection.rollback()
    except FileRefused:
        raise
    except (sa.exc.SQLAlchemyError, ModuleNotFoundError) as error:
        cause = type(getattr(error, "orig", None) or error).__name__
        raise FileRefused(
            f"数据库查询失败（{cause}）；请检查地址、权限与 SQL / the database query failed ({cause}); "
            f"check the address, the rights and the SQL of {query.name} in {SETTINGS}"
        ) from None
    finally:
        if engine is not None:
            engine.dispose()


def fetch(contract: Contract, query: Query) -> Iterator[tuple[str | None, Raw]]:
    """Blocks of the result as text with their period; ``__line`` counts the rows of the result from 1.

    Raises
    ------
    FileRefused
        No connection, a failing query, a column missing, no row.
    """
    with _rows(query) as result:
        heads = list(result.keys())
        _, place = find_head(
            contract.model_copy(update={"file": contract.file.model_copy(update={"header_rows": 1})}), [heads]
        )
        period_at = _period_place(query, heads)
        line = 0
        for block in result.partitions(CHUNK):
            columns = {name: [_cell(row[at]) for row in block] for at, name in place.items()}
            frame = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
            frame = frame.with_columns(pl.int_range(line + 1, line + 1 + len(block), dtype=pl.Int64).alias(LINE))
            line += len(block)
            if period_at is None:
                yield query.spec.period, Raw(frame, None)
                continue
            periods = pl.Series([_cell(row[period_at]) or "" for row in block], dtype=pl.String)
            for period in sorted(set(periods)):
                yield period, Raw(frame.filter(periods == period), None)
        if line == 0:
            raise FileRefused("查询没有返回数据行；请检查条件 / the query returned no rows; check its conditions")


def _period_place(query: Query, heads: list[str]) -> int | None:
    name = query.spec.period_column
    if name is None:
        return None
    if name not in heads:
        raise FileRefused(f"查询结果没有期别列 {name} / the query returns no period column {name}")
    return heads.index(name)
