"""Units that the register holds under several codes: a list for people, and who is left out of the frame."""

import dagster as dg
import polars as pl

from etl.assets.collect import table_name
from etl.assets.process import CODE_UNIT
from etl.assets.register import DUPLICATE, REGISTER_CURRENT
from etl.duplicates import duplicates
from etl.progress import step
from etl.resources import Stores, is_full
from etl.text_hashes import TEXT_HASH, refresh_hashes
from warehouse.write import WorkStore

RETURNS = ("ai_survey_annual", "finance_annual", "labour_annual")


def _counted(work: WorkStore) -> pl.DataFrame:
    """``unit_id, returns``: annual returns by code."""
    parts = [work.read(table_name(source), ["uscc"]) for source in RETURNS]
    return pl.concat(parts).group_by(pl.col("uscc").alias("unit_id")).agg(returns=pl.len().cast(pl.Int64))


@dg.asset(
    name=DUPLICATE,
    group_name="control",
    deps=[CODE_UNIT, REGISTER_CURRENT, *map(table_name, RETURNS)],
    description="重复单位清单（受限） / units under several codes, restricted",
)
def unit_duplicate(context: dg.AssetExecutionContext, stores: Stores) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Find the codes that stand for one unit."""
    with step(DUPLICATE) as notes:
        work = stores.work
        refresh_hashes(work, full=is_full(context))
        twice = work.repeated(TEXT_HASH, "text_hash", ["unit_id", "text_hash"])
        facts = work.matching(
            REGISTER_CURRENT, ["uscc", "unit_kind", "opening_date", "closing_date"], twice["unit_id"].alias("uscc")
        )
        found = duplicates(twice.join(facts.rename({"uscc": "unit_id"}), on="unit_id"), _counted(work))
        work.write(DUPLICATE, found)
        left_out = int(found["left_out"].sum())
        notes.append(f"{found.height:,} second codes, {left_out:,} left out of the frame")
        return dg.MaterializeResult(metadata={"found": found.height, "left_out": left_out})
