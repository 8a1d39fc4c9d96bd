"""Collect one source: every received file read by its contract; what does not fit is kept in quarantine with its reason."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import polars as pl

from etl.collect_cache import FileCache, delivery_key
from etl.contract import Contract
from etl.reading import (
    QUARANTINE,
    FileReceipt,
    FileRefused,
    Part,
    ReadResult,
    digest,
    file_period,
    query_parts,
    read_file,
    read_parts,
    suits,
)
from etl.reading.database import query_of
from warehouse.write import WorkStore

FILE = "file"
REVISION = "__revision"
TYPES = {"string": pl.String(), "int": pl.Int64(), "decimal": pl.Decimal(20, 2), "date": pl.Date()}


@dataclass(frozen=True)
class Collected:
    """Accepted rows of all files sorted by key, the quarantined issues, one receipt a file.

    ``superseded``: accepted rows that do not stand because another file brought their key (corrected returns, or a key
    in two files), with ``file`` they came in; accepted rows of all files = rows of ``frame`` + rows of ``superseded``.
    """

    frame: pl.DataFrame
    quarantine: pl.DataFrame
    receipts: tuple[FileReceipt, ...]
    superseded: pl.DataFrame = field(default_factory=pl.DataFrame)


def schema(contract: Contract) -> dict[str, pl.DataType]:
    """Polars types of the contract's identifiers."""
    found: dict[str, pl.DataType] = {c.to: TYPES[c.type] for c in contract.columns}
    period = contract.period_column
    return found | ({} if period is None else {period: pl.Int64() if period == "ref_year" else pl.String()})


def _replace(path: Path, write: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(write)
    temporary.replace(path)


def _keep_quarantine(folder: Path, file: str, issues: pl.DataFrame) -> None:
    """Write the file's quarantine, or remove an old one when the file is clean now."""
    (folder / f"{file}.refused.json").unlink(missing_ok=True)
    target = folder / f"{file}.parquet"
    if issues.height == 0:
        target.unlink(missing_ok=True)
        return
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{file}.{os.getpid()}"
    issues.write_parquet(temporary)
    temporary.replace(target)


def refused(contract: Contract, name: str, sha256: str, reason: str) -> FileReceipt:
    """The receipt of a delivery that could not be used."""
    return FileReceipt(contract.id, name, sha256, None, 0, 0, 0, "refused", reason)


def _write_refusal(folder: Path, receipt: FileReceipt) -> None:
    (folder / f"{receipt.file}.parquet").unlink(missing_ok=True)
    text = json.dumps(receipt.__dict__, ensure_ascii=False, indent=1)
    _replace(folder / f"{receipt.file}.refused.json", text.encode())


def _refuse(contract: Contract, path: Path, folder: Path, reason: str) -> FileReceipt:
    receipt = refused(contract, path.name, digest(path), reason)
    _write_refusal(folder, receipt)
    return receipt


def _received(inbox: Path) -> list[Path]:
    if not inbox.is_dir():
        return []
    return sorted(p for p in inbox.iterdir() if p.is_file() and not p.name.startswith((".", "~$")))


def _picked(contract: Contract, files: Sequence[Path]) -> list[Path]:
    """Files to read: all, or those of the newest period (badly named ones stay in, to be refused)."""
    if contract.file.pick == "all":
        return list(files)
    periods: dict[Path, str] = {}
    for path in files:
        try:
            periods[path] = file_period(contract, path) or ""
        except FileRefused:
            continue
    newest = max(periods.values(), default="")
    return [p for p in files if periods.get(p, newest) == newest]


def received_files(contract: Contract, inbox: Path) -> list[Path]:
    """The files of a source that are read, in order of their names."""
    return _picked(contract, _received(inbox))


def delivery(contract: Contract, inbox: Path, root: Path) -> str:
    """Key of what lies in the inbox (:func:`etl.collect_cache.delivery_key`); empty where a database is asked instead."""
    try:
        return "" if query_of(root, contract) else delivery_key(contract, received_files(contract, inbox))
    except FileRefused:
        return ""


def kept_quarantine(folder: Path, receipt: FileReceipt) -> bool:
    """Whether the rows set aside from a file are still where they were put."""
    return receipt.rows_quarantined == 0 or (folder / receipt.source_id / f"{receipt.file}.parquet").is_file()


def _merge(contract: Contract, results: Sequence[ReadResult]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of all files, and those another file replaced: a later correction wins, else what the contract says."""
    types = schema(contract)
    empty = pl.DataFrame(schema=types).with_columns(pl.lit("").alias(FILE), pl.lit(0).alias(REVISION))
    if len(results) == 1 and contract.period_column is None:  # a reader leaves each key of a file once
        return results[0].frame.cast(types).sort(list(contract.key)), empty.drop(REVISION)  # type: ignore[arg-type]
    parts = [
        r.frame.cast(types).with_columns(  # type: ignore[arg-type]
            pl.lit(r.receipt.file).alias(FILE), pl.lit(contract.file.revision(r.receipt.file)).alias(REVISION)
        )
        for r in results
    ]
    keep: Literal["first", "last"] = "first" if contract.file.same_key == "first_wins" else "last"
    rows = pl.concat([empty, *parts]).with_row_index("__at")
    in_order = rows.sort(
        pl.col(REVISION) * (-1 if keep == "first" else 1), maintain_order=True
    )  # so that the row to keep is the first or the last of its key
    standing = in_order.unique(list(contract.key), keep=keep, maintain_order=True)
    replaced = rows.join(standing.select("__at"), on="__at", how="anti").drop("__at", REVISION)
    return standing.drop("__at", FILE, REVISION).sort(list(contract.key)), replaced.sort(FILE, *contract.key)


def _read(contract: Contract, path: Path, cache: FileCache | None) -> ReadResult:
    """A file's rows, from the cache where its content was read before (FileRefused as :func:`read_file`)."""
    known = cache.get(path) if cache else None
    if known is not None:
        return known
    result = read_file(contract, path)
    if cache:
        cache.put(path, result)
    return result


def collect_source(contract: Contract, inbox: Path, quarantine: Path, cache: FileCache | None = None) -> Collected:
    """Read every received file of a source.

    Parameters
    ----------
    inbox
        The source's own folder.
    quarantine
        Folder of all quarantines; this source writes ``<id>/<file>.parquet`` and ``<id>/<file>.refused.json``.
    cache
        Where an unchanged file's rows are taken from instead of reading it again.
    """
    folder = quarantine / contract.id
    results: list[ReadResult] = []
    receipts: list[FileReceipt] = []
    for path in received_files(contract, inbox):
        try:
            result = _read(contract, path, cache)
        except FileRefused as error:
            receipts.append(_refuse(contract, path, folder, str(error)))
            continue
        _keep_quarantine(folder, path.name, result.quarantine)
        results.append(result)
        receipts.append(result.receipt)
    if cache:
        cache.purge()
    issues = pl.concat([pl.DataFrame(schema=QUARANTINE), *(r.quarantine for r in results)])
    frame, superseded = _merge(contract, results)
    return Collected(frame, issues, tuple(receipts), superseded)


def collect_into(
    contract: Contract, inbox: Path, quarantine: Path, store: WorkStore, table: str, root: Path | None = None, *,
    fresh: bool = False,
) -> Collected:  # fmt: skip
    """As :func:`collect_source`, with the accepted rows in ``table`` of the work store instead of in ``frame``.

    A single large file, and a source that ``sources.yaml`` in ``root`` takes from a database, go there block by block;
    the table is replaced only when something could be used. ``frame`` has the columns and no row. ``fresh``: every file is
    read anew.
    """
    folder = quarantine / contract.id
    try:
        query = query_of(root, contract) if root is not None else None
    except FileRefused as error:
        return _nothing(contract, refused(contract, f"sql_{contract.id}", "", str(error)), folder, store, table)
    if query is not None:
        return _collect_stream(contract, query.name, query_parts(contract, query), folder, store, table)
    paths = received_files(contract, inbox)
    if len(paths) == 1 and suits(contract, paths[0]):
        return _collect_stream(contract, paths[0], read_parts(contract, paths[0]), folder, store, table)
    cache = FileCache(root / "cache" / "collect", contract, fresh=fresh) if root is not None else None
    collected = collect_source(contract, inbox, quarantine, cache)
    if any(r.status == "accepted" for r in collected.receipts) or not store.exists(table):
        store.write(table, collected.frame)
    return Collected(collected.frame.clear(), collected.quarantine, collected.receipts, collected.superseded)


def _nothing(contract: Contract, receipt: FileReceipt, folder: Path, store: WorkStore, table: str) -> Collected:
    """A delivery refused whole: the last accepted rows stay, an empty table if there were none."""
    _write_refusal(folder, receipt)
    empty = pl.DataFrame(schema=schema(contract))
    if not store.exists(table):
        store.write(table, empty)
    return Collected(empty, pl.DataFrame(schema=QUARANTINE), (receipt,))


def _collect_stream(
    contract: Contract, delivery: Path | str, parts: Iterator[Part], folder: Path, store: WorkStore, table: str
) -> Collected:
    """One file or query, block by block."""
    issues, rows_in, empty = [pl.DataFrame(schema=QUARANTINE)], 0, pl.DataFrame(schema=schema(contract))
    name = delivery if isinstance(delivery, str) else delivery.name
    content = hashlib.sha256()

    def frames() -> Iterator[pl.DataFrame]:
        nonlocal rows_in
        yield empty
        for part in parts:
            issues.append(part.quarantine)
            rows_in += part.rows_in
            if isinstance(delivery, str):  # a database has no file to hash: its accepted rows are
                content.update(part.frame.write_csv().encode())
            yield part.frame.cast(schema(contract))  # type: ignore[arg-type]

    try:
        taken = store.write_stream(table, frames(), order_by=contract.key)
    except FileRefused as error:
        sha = "" if isinstance(delivery, str) else digest(delivery)
        return _nothing(contract, refused(contract, name, sha, str(error)), folder, store, table)
    found = pl.concat(issues).sort("line", "identifier")
    _keep_quarantine(folder, name, found)
    sha, period = (
        (content.hexdigest(), None)
        if isinstance(delivery, str)
        else (digest(delivery), file_period(contract, delivery))
    )
    receipt = FileReceipt(contract.id, name, sha, period, rows_in, taken, rows_in - taken, "accepted", "")
    return Collected(empty, found, (receipt,))
