"""One unit under several codes (重复单位): found by text and opening day, counted once (GSBPM 5.1; ESS over-coverage).

A register that is put together from several files holds some units twice, with a second, valid code. Name, scope and products that
read the same, the same kind of unit and the same opening day are taken for one unit. Of its codes one stays in the frame; where more
than one of them sent returns, a person has to say which, and none is left out.
"""

from typing import Final

import polars as pl

from etl.assets.register import DUPLICATE, REGISTER_CURRENT
from warehouse.write import WorkStore

SCHEMA: Final = {
    "unit_id": pl.String, "same_as": pl.String, "left_out": pl.Boolean, "returns": pl.Int64, "reason": pl.String,
}  # fmt: skip
SECOND, BOTH_ANSWER = "second_code", "several_codes_with_returns"


def duplicates(units: pl.DataFrame, returns: pl.DataFrame) -> pl.DataFrame:
    """Codes that stand for a unit another code stands for: :data:`SCHEMA`, sorted by unit.

    Parameters
    ----------
    units
        ``unit_id, text_hash, unit_kind, opening_date, closing_date``, one row a code; rows without an opening day or a text
        are no one's duplicate.
    returns
        ``unit_id, returns``: how many returns came under a code.

    Notes
    -----
    The code that stays is one that sent returns, then one not closed, then the first in order. A code that sent returns is never left
    out: its returns would be lost.
    """
    key = ["text_hash", "unit_kind", "opening_date"]
    known = units.drop_nulls(key).filter(pl.len().over(key) > 1)
    known = known.join(returns, on="unit_id", how="left").with_columns(pl.col("returns").fill_null(0))
    ordered = known.sort(
        *key, pl.col("returns") == 0, pl.col("closing_date").is_not_null(), "unit_id"
    )  # returns first, open first
    kept = pl.col("unit_id").first().over(key)
    second = ordered.with_columns(same_as=kept).filter(pl.col("unit_id") != pl.col("same_as"))
    left_out = pl.col("returns") == 0
    return second.select(
        "unit_id", "same_as", left_out=left_out, returns=pl.col("returns").cast(pl.Int64),
        reason=pl.when(left_out).then(pl.lit(SECOND)).otherwise(pl.lit(BOTH_ANSWER)),
    ).sort("unit_id")  # fmt: skip


def left_out(work: WorkStore) -> pl.Series:
    """Codes that are left out of the frame because another one stands for the unit."""
    return work.read(DUPLICATE).filter("left_out")["unit_id"]


def for_people(work: WorkStore, area: str | None, limit: int) -> pl.DataFrame:
    """The head of the list with names, opening day and ``area``, of one district (its code) or of all (None).

    Those first of which several codes sent returns: a person has to say which is the unit.
    """
    listed = work.read(DUPLICATE)
    columns = ["uscc", "name", "opening_date", "operating_district", "registered_district"]
    texts = work.matching(REGISTER_CURRENT, columns, listed["unit_id"].alias("uscc")).select(
        pl.col("uscc").alias("unit_id"), "name", "opening_date",
        area=pl.coalesce("operating_district", "registered_district"),
    )  # fmt: skip
    joined = listed.join(texts, on="unit_id", how="inner").sort("left_out", "unit_id")
    return joined.filter(pl.lit(True) if area is None else pl.col("area") == area).head(limit)
