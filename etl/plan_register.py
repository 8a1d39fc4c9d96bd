"""The register of the annual plan as released: tasks with clause, due date and progress, targets beside the figures published."""

from datetime import date

import polars as pl

from etl.source_rows import period_end
from warehouse.catalogue import load_indicators
from warehouse.export.words import STORED_UNITS

TABLE = "public_plan_task"
TOTAL = "_T"
COLUMNS = (
    "task_id", "document_no", "clause", "task", "kind", "owner", "due_on", "progress_pct", "status", "indicator",
    "target_value", "target_unit",
)  # fmt: skip
SCHEMA = {
    "period": pl.String, **dict.fromkeys(COLUMNS[:6], pl.String), "due_on": pl.String, "progress_pct": pl.Decimal(20, 2),
    "status": pl.String, "indicator": pl.String, "target_value": pl.Decimal(20, 2), "target_unit": pl.String,
    "actual_value": pl.Decimal(24, 2), "attained_pct": pl.Float64,
}  # fmt: skip


def _published_totals(cells: pl.DataFrame, year: str) -> dict[str, object]:
    """Indicator → city total of the year, of those that are published."""
    at_total = pl.all_horizontal(pl.col(d) == TOTAL for d in ("ai_class", "district", "size"))
    rows = cells.filter((pl.col("table") == "core_leaf_year") & at_total & (pl.col("period") == year))
    return dict(rows.filter(pl.col("status") == "published").select("indicator", "value").iter_rows())


def plan_register(received: pl.DataFrame, cells: pl.DataFrame, vintage: date) -> pl.DataFrame:
    """The tasks of the latest quarter that is over at the vintage; empty if no register was received.

    Parameters
    ----------
    received
        Rows of ``plan_tasks``.
    cells
        Protected cells of the core cubes: a quantified target has ``actual_value`` and ``attained_pct`` beside it where its indicator's
        total of the plan's year is published, in the unit the target is stated in. Otherwise they are null, never zero.
    """
    over = [p for p in received["ref_period"].unique().to_list() if period_end(p) <= vintage]
    if not over:
        return pl.DataFrame(schema=SCHEMA)
    period = max(over, key=period_end)
    cards, totals = load_indicators(), _published_totals(cells, period[:4])
    comparable = {
        (i, STORED_UNITS[cards[i].unit][0]): value for i, value in totals.items() if i in cards and value is not None
    }
    rows = received.filter(pl.col("ref_period") == period).sort("task_id")
    keys = zip(rows["indicator"], rows["target_unit"], strict=True)
    actual = pl.Series("actual_value", [comparable.get(key) for key in keys], dtype=pl.Decimal(24, 2))
    target = pl.col("target_value").cast(pl.Float64)
    return (
        rows.select(pl.lit(period).alias("period"), *COLUMNS)
        .with_columns(actual, due_on=pl.col("due_on").cast(pl.String))
        .with_columns(
            attained_pct=pl.when(target > 0).then((100 * pl.col("actual_value").cast(pl.Float64) / target).round(1))
        )
        .select(pl.col(c).cast(t) for c, t in SCHEMA.items())
    )
