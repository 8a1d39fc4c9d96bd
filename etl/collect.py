"""Collect one source: every received file read by its contract; what does not fit is kept in quarantine with its reason."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from etl.contract import Contract
from etl.reading import (
    QUARANTINE,
    FileReceipt,
    FileRefused,
    ReadResult,
    accepted,
    digest,
    file_period,
    read_file,
    read_parts,
    suits,
)
from warehouse.write import WorkStore

TYPES = {"string": pl.String(), "int": pl.Int64(), "decimal": pl.Decimal(20, 2), "date": pl.Date()}


@dataclass(frozen=True)
class Collected:
    """Accepted rows of all files sorted by key, the quarantined issues, one receipt a file."""

    frame: pl.DataFrame
    quarantine: pl.DataFrame
    receipts: tuple[FileReceipt, ...]


def schema(contract: Contract) -> dict[str, pl.DataType]:
    """Polars types of the contract's identifiers."""
    found: dict[str, pl.DataType] = {c.to: TYPES[c.type] for c in contract.columns}
    return found | ({"ref_year": pl.Int64()} if contract.has_ref_year else {})


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


def _refuse(contract: Contract, path: Path, folder: Path, reason: str) -> FileReceipt:
    (folder / f"{path.name}.parquet").unlink(missing_ok=True)
    receipt = FileReceipt(contract.id, path.name, digest(path), None, 0, 0, 0, "refused", reason)
    _replace(folder / f"{path.name}.refused.json", json.dumps(receipt.__dict__, ensure_ascii=False, indent=1).encode())
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


def _merge(contract: Contract, results: Sequence[ReadResult]) -> pl.DataFrame:
    """Rows of all files; where two bring one key, the contract says which stands."""
    empty = pl.DataFrame(schema=schema(contract))
    if len(results) == 1 and not contract.has_ref_year:  # a reader leaves each key of a file once
        return results[0].frame.cast(schema(contract)).sort(list(contract.key))  # type: ignore[arg-type]
    rows = pl.concat([empty, *(r.frame.cast(schema(contract)) for r in results)])  # type: ignore[arg-type]
    keep = "first" if contract.file.same_key == "first_wins" else "last"
    return rows.unique(list(contract.key), keep=keep, maintain_order=True).sort(list(contract.key))


def collect_source(contract: Contract, inbox: Path, quarantine: Path) -> Collected:
    """Read every received file of a source.

    Parameters
    ----------
    inbox
        The source's own folder.
    quarantine
        Folder of all quarantines; this source writes ``<id>/<file>.parquet`` and ``<id>/<file>.refused.json``.
    """
    folder = quarantine / contract.id
    results: list[ReadResult] = []
    receipts: list[FileReceipt] = []
    for path in _picked(contract, _received(inbox)):
        try:
            result = read_file(contract, path)
        except FileRefused as error:
            receipts.append(_refuse(contract, path, folder, str(error)))
            continue
        _keep_quarantine(folder, path.name, result.quarantine)
        results.append(result)
        receipts.append(result.receipt)
    issues = pl.concat([pl.DataFrame(schema=QUARANTINE), *(r.quarantine for r in results)])
    return Collected(_merge(contract, results), issues, tuple(receipts))


def collect_into(contract: Contract, inbox: Path, quarantine: Path, store: WorkStore, table: str) -> Collected:
    """As :func:`collect_source`, with the accepted rows in ``table`` of the work store instead of in ``frame``.

    A single large file goes there block by block; the table is replaced only when some file could be used. ``frame``
    has the columns and no row.
    """
    paths = _picked(contract, _received(inbox))
    if len(paths) == 1 and suits(contract, paths[0]):
        return _collect_large(contract, paths[0], quarantine / contract.id, store, table)
    collected = collect_source(contract, inbox, quarantine)
    if any(r.status == "accepted" for r in collected.receipts) or not store.exists(table):
        store.write(table, collected.frame)
    return Collected(collected.frame.clear(), collected.quarantine, collected.receipts)


def _collect_large(contract: Contract, path: Path, folder: Path, store: WorkStore, table: str) -> Collected:
    issues, rows_in, empty = [pl.DataFrame(schema=QUARANTINE)], 0, pl.DataFrame(schema=schema(contract))

    def frames() -> Iterator[pl.DataFrame]:
        nonlocal rows_in
        yield empty
        for part in read_parts(contract, path):
            issues.append(part.quarantine)
            rows_in += part.rows_in
            yield part.frame.cast(schema(contract))  # type: ignore[arg-type]

    try:
        taken = store.write_stream(table, frames(), order_by=contract.key)
    except FileRefused as error:
        receipt = _refuse(contract, path, folder, str(error))
        if not store.exists(table):
            store.write(table, empty)
        return Collected(empty, issues[0], (receipt,))
    found = pl.concat(issues).sort("line", "identifier")
    _keep_quarantine(folder, path.name, found)
    return Collected(empty, found, (accepted(contract, path, rows_in, taken),))
