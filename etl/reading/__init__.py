"""Readers: one received file by its contract → accepted rows, quarantined rows, a receipt."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from etl.compact import compact
from etl.contract import Contract
from etl.reading.bulk import blocks, suits
from etl.reading.database import Query, fetch
from etl.reading.raw import LINE, FileRefused, Raw, read_raw
from etl.reading.typed import ROW, Seen, Typed, type_rows

QUARANTINE: Final = {
    "source_id": pl.String, "file": pl.String, "sheet": pl.String, "line": pl.Int64, "key": pl.String,
    "column": pl.String, "identifier": pl.String, "value": pl.String, "expectation": pl.String, "reason": pl.String,
    "row_json": pl.String,
}  # fmt: skip


@dataclass(frozen=True)
class FileReceipt:
    """What became of one file; ``rows_in = rows_accepted + rows_quarantined``."""

    source_id: str
    file: str
    sha256: str
    ref_period: str | None
    rows_in: int
    rows_accepted: int
    rows_quarantined: int
    status: str
    message: str


@dataclass(frozen=True)
class ReadResult:
    """Accepted rows (typed), issues of the others, receipt."""

    frame: pl.DataFrame
    quarantine: pl.DataFrame
    receipt: FileReceipt


def file_period(contract: Contract, path: Path) -> str | None:
    """Period in the file name (``2025``, ``2025-Q2``, ``2025-06``), if the pattern has one.

    Raises
    ------
    FileRefused
        If the name does not follow the pattern.
    """
    try:
        return contract.file.period(path.name)
    except ValueError:
        raise FileRefused(
            f"文件名应为 {contract.file.example} 的形式；请改名 / file names look like {contract.file.example}; rename it"
        ) from None


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_CLEAN: Final = pl.DataFrame(schema=QUARANTINE)


def _ragged(contract: Contract, raw: Raw, file: str) -> pl.DataFrame:
    if not raw.ragged:
        return _CLEAN
    rows = [
        {
            "source_id": contract.id, "file": file, "sheet": raw.sheet, "line": line, "key": None, "column": None,
            "identifier": None, "value": None, "expectation": "列数与表头一致 / as many cells as heads",
            "reason": "单元格多于表头 / more cells than heads", "row_json": "|".join(cells),
        }
        for line, cells in raw.ragged
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=QUARANTINE)


@dataclass(frozen=True)
class Part:
    """One block of a file: accepted rows, issues of the others, rows in."""

    frame: pl.DataFrame
    quarantine: pl.DataFrame
    rows_in: int


def _judge(contract: Contract, file: str, raw: Raw, seen: Seen) -> Part:
    """Type a block and set the rows apart that do not fit."""
    typed = type_rows(contract, raw.frame, seen)
    rows_in, ragged = raw.frame.height + len(raw.ragged), _ragged(contract, raw, file)
    if typed.issues.height == 0:
        return Part(typed.frame, ragged, rows_in)
    bad_rows = typed.issues[ROW].unique().implode()
    quarantine = pl.concat([_refused_rows(contract, file, raw, typed, bad_rows), ragged])
    return Part(typed.frame.filter(~pl.col(ROW).is_in(bad_rows)), quarantine, rows_in)


def _refused_rows(contract: Contract, file: str, raw: Raw, typed: Typed, bad_rows: pl.Series) -> pl.DataFrame:
    """The issues with place, key and text of their rows, in the columns of ``QUARANTINE``."""
    row = pl.int_range(pl.len(), dtype=pl.Int64).alias(ROW)
    context = (
        raw.frame.with_columns(row)
        .filter(pl.col(ROW).is_in(bad_rows))
        .select(
            ROW,
            pl.col(LINE).alias("line"),
            pl.struct(pl.exclude(LINE, ROW)).struct.json_encode().alias("row_json"),
        )
    )
    keys = typed.frame.filter(pl.col(ROW).is_in(bad_rows)).select(
        ROW,
        pl.concat_str([pl.col(k).cast(pl.String).fill_null("?") for k in contract.own_key], separator="|").alias("key"),
    )
    return (
        typed.issues.join(context, on=ROW, how="left", maintain_order="left")
        .join(keys, on=ROW, how="left", maintain_order="left")
        .with_columns(
            source_id=pl.lit(contract.id),
            file=pl.lit(file),
            sheet=pl.lit(raw.sheet, pl.String),
            column=pl.col("identifier").replace({c.to: c.header for c in contract.columns}),
        )
        .select(QUARANTINE.keys())
        .cast(QUARANTINE)  # type: ignore[arg-type]
    )


def read_parts(contract: Contract, path: Path) -> Iterator[Part]:
    """The file block by block: one block for a workbook or a small file.

    A key that comes again is a duplicate wherever it stands in the file.

    Raises
    ------
    FileRefused
        If the file as a whole cannot be used; a large file may have given blocks before, which then do not count.
    """
    period = file_period(contract, path)
    raws = blocks(contract, path) if suits(contract, path) else (read_raw(contract, path) for _ in range(1))
    return _parts(contract, path.name, ((period, raw) for raw in raws))


def query_parts(contract: Contract, query: Query) -> Iterator[Part]:
    """The result of a database query block by block, judged as the rows of a file are (FileRefused likewise).

    Rows of different periods are different keys.
    """
    return _parts(contract, query.name, fetch(contract, query))


def _parts(contract: Contract, file: str, raws: Iterable[tuple[str | None, Raw]]) -> Iterator[Part]:
    seen: dict[str | None, Seen] = {}
    for period, raw in raws:
        part = _judge(contract, file, raw, seen.setdefault(period, Seen()))
        own = [column.to for column in contract.columns]
        frame = part.frame.select(*own, *period_value(contract, str(period)))
        yield Part(compact(frame), part.quarantine, part.rows_in)


def period_value(contract: Contract, period: str) -> list[pl.Expr]:
    """The period column of the key as a constant: nothing where the source has none.

    Raises
    ------
    FileRefused
        If the key wants a year and the period is not one.
    """
    if contract.period_column is None:
        return []
    if contract.period_column == "ref_period":
        return [pl.lit(period, pl.String).alias("ref_period")]
    if not period.isdigit():
        raise FileRefused(f"参考期应为年份，得到 {period} / the reference period should be a year, got {period}")
    return [pl.lit(int(period), pl.Int64).alias("ref_year")]


def accepted(contract: Contract, path: Path, rows_in: int, rows_accepted: int) -> FileReceipt:
    """The receipt of a file that could be used."""
    period = file_period(contract, path)
    out = rows_in - rows_accepted
    return FileReceipt(contract.id, path.name, digest(path), period, rows_in, rows_accepted, out, "accepted", "")


def read_file(contract: Contract, path: Path) -> ReadResult:
    """Read one file by its contract.

    Raises
    ------
    FileRefused
        If the file as a whole cannot be used.
    """
    parts = list(read_parts(contract, path))
    good, quarantine = parts[0].frame, parts[0].quarantine
    if len(parts) > 1:
        good, quarantine = pl.concat(p.frame for p in parts), pl.concat(p.quarantine for p in parts)
    if quarantine.height:
        quarantine = quarantine.sort("line", "identifier")
    receipt = accepted(contract, path, sum(part.rows_in for part in parts), good.height)
    return ReadResult(good, quarantine, receipt)


__all__ = [
    "QUARANTINE",
    "FileReceipt",
    "FileRefused",
    "Part",
    "ReadResult",
    "accepted",
    "digest",
    "file_period",
    "query_parts",
    "read_file",
    "read_parts",
    "suits",
]
