"""One asset per source: files in, typed rows and receipts out (GSBPM phase 4)."""

import hashlib
from collections.abc import Iterable
from datetime import date
from functools import cache
from pathlib import Path

import dagster as dg
import polars as pl

import etl.collect
from etl.collect import Collected, collect_into, delivery, kept_quarantine
from etl.contract import Contract, list_contracts
from etl.progress import step
from etl.reading import FileReceipt
from etl.resources import Stores, as_of, is_full
from warehouse.write import WorkStore

GROUP = "collect"


def table_name(source_id: str) -> str:
    """Asset and table of a source's accepted rows."""
    return f"collect_{source_id}__rows_received"


def receipt_table(source_id: str) -> str:
    """Table of a source's file receipts."""
    return f"collect_{source_id}__log_receipt"


def superseded_table(source_id: str) -> str:
    """Table of the accepted rows that a corrected or later return replaced."""
    return f"collect_{source_id}__log_superseded"


def receipts_frame(collected: Collected, key: str) -> pl.DataFrame:
    """File receipts as a table: what came, what was taken, what was refused and why; ``delivery``: key of all of them."""
    schema = {
        "source_id": pl.String,
        "file": pl.String,
        "sha256": pl.String,
        "ref_period": pl.String,
        "rows_in": pl.Int64,
        "rows_accepted": pl.Int64,
        "rows_quarantined": pl.Int64,
        "status": pl.String,
        "message": pl.String,
    }
    rows = [{name: getattr(receipt, name) for name in schema} for receipt in collected.receipts]
    return pl.DataFrame(rows, schema=schema).with_columns(delivery=pl.lit(key)).sort("source_id", "file")


@cache
def _merging() -> str:
    """Hash of the code that makes one table of a source's files; reading has its own in the delivery's key."""
    return hashlib.sha256(b"".join(Path(f).read_bytes() for f in (etl.collect.__file__, __file__))).hexdigest()


def standing(contract: Contract, work: WorkStore, quarantine: Path, key: str) -> Collected | None:
    """What was collected before, if it was made from this delivery and was taken whole; a refusal is looked at every night.

    The receipts are written last and forgotten first: a night that was cut off leaves none, and the files are read again.
    """
    table, replaced = receipt_table(contract.id), superseded_table(contract.id)
    if not key or not work.exists(table) or not work.exists(table_name(contract.id)):
        return None
    rows = work.read(table)
    if (
        rows.is_empty()
        or "delivery" not in rows.columns
        or set(rows["delivery"]) != {key}
        or set(rows["status"]) != {"accepted"}
    ):
        return None
    receipts = tuple(FileReceipt(**row) for row in rows.drop("delivery").iter_rows(named=True))
    if not all(kept_quarantine(quarantine, r) for r in receipts):
        return None
    superseded = work.read(replaced) if work.exists(replaced) else pl.DataFrame()
    return Collected(pl.DataFrame(), pl.DataFrame(), receipts, superseded)


def _collected(contract: Contract, inbox: Path, stores: Stores, *, fresh: bool) -> Collected:
    """Rows of the delivery in the work store, with receipts, and what another return replaced."""
    work, name = stores.work, table_name(contract.id)
    key = delivery(contract, inbox, stores.root)
    key = f"{key}|{_merging()}" if key else ""
    before = None if fresh else standing(contract, work, stores.quarantine, key)
    if before is not None:
        return before
    if work.exists(receipt_table(contract.id)):
        work.write(receipt_table(contract.id), work.read(receipt_table(contract.id)).clear())
    collected = collect_into(contract, inbox, stores.quarantine, work, name, stores.root, fresh=fresh)
    replaced = collected.superseded
    if replaced.height or work.exists(superseded_table(contract.id)):
        empty = None if replaced.width else work.read(superseded_table(contract.id)).clear()
        work.write(superseded_table(contract.id), replaced if empty is None else empty)
    work.write(receipt_table(contract.id), receipts_frame(collected, key))
    return collected


def _check_results(contract: Contract, collected: Collected, kept: int, today: date) -> Iterable[dg.AssetCheckResult]:
    receipts = collected.receipts
    balanced = all(r.rows_in == r.rows_accepted + r.rows_quarantined for r in receipts)
    taken = sum(r.rows_accepted for r in receipts)
    whole = kept + collected.superseded.height == taken or not any(r.status == "accepted" for r in receipts)
    yield dg.AssetCheckResult(
        check_name="rows_conserved",
        passed=balanced and whole,
        description=f"{sum(r.rows_in for r in receipts)} rows in = {kept} kept + {collected.superseded.height} replaced by "
        f"other returns + {sum(r.rows_quarantined for r in receipts)} quarantined",
    )
    refused = [f"{r.file}: {r.message}" for r in receipts if r.status == "refused"]
    yield dg.AssetCheckResult(
        check_name="files_readable",
        passed=not refused,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(refused) or "all files readable",
    )
    minimum = contract.expect.rows_min
    absent = not contract.is_core and not receipts and kept == 0
    yield dg.AssetCheckResult(
        check_name="enough_rows",
        passed=absent or kept >= minimum,
        description="nothing received yet; the source is not needed for a release"
        if absent
        else f"{kept} rows accepted, the contract of {contract.id} expects at least {minimum}",
    )
    survey = contract.survey
    expired = survey is not None and survey.valid_until < today
    yield dg.AssetCheckResult(
        check_name="form_in_force",
        passed=not expired,
        description="the survey form has expired; renew its approval before use" if expired else "in force",
    )


def build_collect_asset(contract: Contract) -> dg.AssetsDefinition:
    """The collect asset of one contract, with the checks the contract implies."""
    name = table_name(contract.id)
    specs = [
        dg.AssetCheckSpec("rows_conserved", asset=name, blocking=True),
        dg.AssetCheckSpec("files_readable", asset=name),
        dg.AssetCheckSpec("enough_rows", asset=name, blocking=True),
        dg.AssetCheckSpec("form_in_force", asset=name, blocking=True),
    ]

    @dg.asset(name=name, group_name=GROUP, check_specs=specs, description=contract.title_zh, kinds={"duckdb"})
    def collect(context: dg.AssetExecutionContext, stores: Stores) -> dg.MaterializeResult:  # type: ignore[type-arg]
        with step(name) as notes:
            work = stores.work
            inbox = stores.inbox(context) / contract.id
            collected = _collected(contract, inbox, stores, fresh=is_full(context))
            kept = work.rows(name)
            if kept and not any(r.status == "accepted" for r in collected.receipts):
                notes.append("没有可用的新文件，沿用上次接收的数据 / no usable file, last accepted rows kept")
            if collected.superseded.height:
                notes.append(f"{collected.superseded.height:,} rows replaced by corrected or later returns")
            quarantined = sum(r.rows_quarantined for r in collected.receipts)
            notes.insert(0, f"{kept:,} rows, {quarantined:,} quarantined")
            notes += [f"REFUSED {r.file}: {r.message}" for r in collected.receipts if r.status == "refused"]
            today = date.fromisoformat(as_of(context))
            return dg.MaterializeResult(
                metadata={"rows": kept, "quarantined": quarantined},
                check_results=list(_check_results(contract, collected, kept, today)),
            )

    return collect


def collect_assets() -> list[dg.AssetsDefinition]:
    """The collect assets of all contracts in ``etl/sources``."""
    return [build_collect_asset(contract) for contract in list_contracts()]
