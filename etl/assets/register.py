"""The register as of tonight: the newest full extract with the nightly changes after it (GSBPM 5.1)."""

from calendar import monthrange

import dagster as dg
import polars as pl

from etl.assets.collect import receipt_table, table_name
from etl.progress import step
from etl.resources import Stores
from warehouse.write import WorkStore

GROUP = "process"
REGISTER_CURRENT = "process_register__rows_current"
DUPLICATE = "control_register__unit_duplicate"
DELTA = table_name("register_delta")


def full_extract_until(receipts: pl.DataFrame) -> str:
    """Last day (ISO) of the newest month of which a full extract was accepted; empty when none says its month."""
    months = receipts.filter(pl.col("status") == "accepted")["ref_period"].drop_nulls().sort()
    if months.len() == 0:
        return ""
    year, month = (int(part) for part in str(months[-1]).split("-"))
    return f"{year}-{month:02d}-{monthrange(year, month)[1]:02d}"


def update_register(work: WorkStore) -> tuple[int, int]:
    """Make :data:`REGISTER_CURRENT`; its rows, and how many changes were applied. Without changes nothing is copied."""
    since = full_extract_until(work.read(receipt_table("register")))
    changes = work.read(DELTA, ["uscc", "ref_period"]).filter(pl.col("ref_period") > since).n_unique("uscc")
    if not changes:
        return work.alias(REGISTER_CURRENT, table_name("register")), 0
    return work.derive(REGISTER_CURRENT, {"since": since}), changes


@dg.asset(
    name=REGISTER_CURRENT,
    group_name=GROUP,
    deps=[table_name("register"), DELTA],
    check_specs=[dg.AssetCheckSpec("one_row_a_unit", asset=REGISTER_CURRENT, blocking=True)],
    description="截至当夜的名录：最新全量叠加其后增量 / the register as of tonight",
)
def register_current(stores: Stores) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Apply the nightly changes to the monthly full extract."""
    with step(REGISTER_CURRENT) as notes:
        rows, changes = update_register(stores.work)
        notes.append(f"{rows:,} units, {changes:,} changed since the full extract")
        unique = stores.work.distinct(REGISTER_CURRENT, "uscc") == rows if changes else True
        return dg.MaterializeResult(
            metadata={"rows": rows, "changes": changes},
            check_results=[dg.AssetCheckResult(check_name="one_row_a_unit", passed=unique)],
        )
