"""The register as of tonight: the newest full extract with the nightly changes after it (GSBPM 5.1)."""

from calendar import monthrange
from pathlib import Path

import dagster as dg
import polars as pl

from etl.assets.collect import receipt_table, table_name
from etl.progress import step
from etl.remember import Memory
from etl.resources import Stores, is_full
from warehouse.keyed import query_of
from warehouse.write import WorkStore

GROUP = "process"
REGISTER_CURRENT = "process_register__rows_current"
CHANGED = "process_register__rows_changed"
APPLIED = "process_register__rows_applied"
"""The changes :data:`REGISTER_CURRENT` holds, as they were applied."""
DUPLICATE = "control_register__unit_duplicate"
DELTA = table_name("register_delta")


def full_extract_until(receipts: pl.DataFrame) -> str:
    """Last day (ISO) of the newest month of which a full extract was accepted; empty when none says its month."""
    months = receipts.filter(pl.col("status") == "accepted")["ref_period"].drop_nulls().sort()
    if months.len() == 0:
        return ""
    year, month = (int(part) for part in str(months[-1]).split("-"))
    return f"{year}-{month:02d}-{monthrange(year, month)[1]:02d}"


def _origin(work: WorkStore, since: str) -> str:
    """What the register rests on besides its changes: the full extract, and how changes are applied. Empty: not known."""
    receipts = work.read(receipt_table("register"))
    if not {"delivery", "sha256"} <= set(receipts.columns) or (receipts["sha256"] == "").any():
        return ""
    came = receipts.select("delivery", "sha256").unique().sort("delivery", "sha256")
    queries, columns = [query_of(CHANGED), query_of(REGISTER_CURRENT)], work.read(CHANGED, rows=0)
    return Memory(Path()).key("register_current", (since, came, queries, columns))


def _follow(work: WorkStore) -> bool:
    """Apply what differs from the changes applied last; false where a change was taken back and the extract's row is due again."""
    if work.lacking(APPLIED, CHANGED, ["uscc"]).height:
        return False
    differing = work.differing(CHANGED, APPLIED)
    if differing.height:
        work.change_rows(REGISTER_CURRENT, "uscc", differing["uscc"], [differing])
    return True


def update_register(work: WorkStore, *, full: bool = False) -> tuple[int, int]:
    """Make :data:`REGISTER_CURRENT`; its rows, and how many changes stand. Without changes nothing is copied.

    While the full extract is the same, a night's cost follows the changes it brings; ``full``: all is put together anew.
    """
    since = full_extract_until(work.read(receipt_table("register")))
    changes = work.derive(CHANGED, {"since": since})
    if not changes:
        return work.alias(REGISTER_CURRENT, table_name("register")), 0
    origin = _origin(work, since)
    version = work.version(REGISTER_CURRENT)
    # A night that was cut off left a version that was not noted: what it applied is not known.
    known = origin and version is not None and work.seen(APPLIED, REGISTER_CURRENT, origin) == version
    if full or not known or not _follow(work):
        work.saw(APPLIED, REGISTER_CURRENT, None)
        work.derive(REGISTER_CURRENT, key="uscc")
    work.rename(CHANGED, APPLIED)
    work.saw(APPLIED, REGISTER_CURRENT, work.version(REGISTER_CURRENT), origin)
    return work.rows(REGISTER_CURRENT), changes


@dg.asset(
    name=REGISTER_CURRENT,
    group_name=GROUP,
    deps=[table_name("register"), DELTA],
    check_specs=[dg.AssetCheckSpec("one_row_a_unit", asset=REGISTER_CURRENT, blocking=True)],
    description="截至当夜的名录：最新全量叠加其后增量 / the register as of tonight",
)
def register_current(context: dg.AssetExecutionContext, stores: Stores) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Apply the nightly changes to the monthly full extract."""
    with step(REGISTER_CURRENT) as notes:
        rows, changes = update_register(stores.work, full=is_full(context))
        notes.append(f"{rows:,} units, {changes:,} changed since the full extract")
        unique = stores.work.distinct(REGISTER_CURRENT, "uscc") == rows if changes else True
        return dg.MaterializeResult(
            metadata={"rows": rows, "changes": changes},
            check_results=[dg.AssetCheckResult(check_name="one_row_a_unit", passed=unique)],
        )
