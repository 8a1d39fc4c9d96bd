"""Response tracking: who has answered, who is late, whom to remind first (催报)."""

from collections.abc import Sequence
from datetime import date

import polars as pl

from etl.methods.registry import method

STATES = ("received_on_time", "received_late", "not_due", "overdue")
"""按期报送、迟报、未到期、逾期未报."""


@method("sampling.response_states")
def response_states(sample: pl.DataFrame, as_of: date) -> pl.DataFrame:
    """State of every asked unit on a day.

    Parameters
    ----------
    sample
        ``unit, due`` (Date), ``received`` (Date, null where nothing came yet), ``weight``, ``size`` (the expected value
        from register or last return, any unit), other columns are kept. One row a unit.
    as_of
        The day; what was received later counts as not yet received. There is no clock in here.

    Returns
    -------
    polars.DataFrame
        The columns of ``sample`` with ``state`` (one of :data:`STATES`), ``days_late`` (0 where not late) and
        ``influence``, the unit's share ``weight * size`` of the expected total (null where the size is not known).

    Raises
    ------
    ValueError
        If a column is missing, a unit stands twice, or a due date, weight is missing.
    """
    lost = [c for c in ("unit", "due", "received", "weight", "size") if c not in sample.columns]
    if lost:
        raise ValueError(f"column {lost[0]} is missing; unit, due, received, weight, size are expected")
    if sample["unit"].is_duplicated().any() or sample.select("due", "weight").null_count().row(0) != (0, 0):
        raise ValueError("one row a unit, each with its due date and weight, is expected")
    received = pl.when(pl.col("received") <= as_of).then("received")
    expected = pl.col("weight") * pl.col("size")
    day = pl.lit(as_of)
    return sample.with_columns(
        state=pl.when(received.is_not_null() & (received <= pl.col("due")))
        .then(pl.lit("received_on_time"))
        .when(received.is_not_null())
        .then(pl.lit("received_late"))
        .when(day <= pl.col("due"))
        .then(pl.lit("not_due"))
        .otherwise(pl.lit("overdue")),
        days_late=pl.max_horizontal((pl.coalesce(received, day) - pl.col("due")).dt.total_days(), pl.lit(0)),
        influence=expected / expected.sum(),
    )


@method("sampling.reminders")
def reminders(states: pl.DataFrame, steps: Sequence[tuple[int, str]]) -> pl.DataFrame:
    """The 催报 list: overdue units, those of greatest influence on the published total first.

    Parameters
    ----------
    states
        Result of :func:`response_states`.
    steps
        ``(days late, action)`` ascending, such as ``[(1, "短信"), (5, "电话"), (10, "上门")]``: the last step reached
        applies.

    Returns
    -------
    polars.DataFrame
        Overdue rows with ``action`` and ``covered_if_received``, the weighted share of the expected total that will
        have come in when this unit and all before it have answered. Units of unknown size come first: their influence
        is unknown, not small.

    Raises
    ------
    ValueError
        If there is no step or they do not ascend.
    """
    days = [d for d, _ in steps]
    if not days or days != sorted(set(days)):
        raise ValueError("steps are (days late, action) with ascending days; at least one is expected")
    come = pl.col("state").is_in(["received_on_time", "received_late"])
    base = float(states.filter(come)["influence"].sum())
    action = pl.lit(None, dtype=pl.String)
    for day, name in steps:
        action = pl.when(pl.col("days_late") >= day).then(pl.lit(name)).otherwise(action)
    return (
        states.filter(pl.col("state") == "overdue")
        .with_columns(action=action)
        .sort(["influence", "days_late", "unit"], descending=[True, True, False], nulls_last=False)
        .with_columns(covered_if_received=base + pl.col("influence").fill_null(0.0).cum_sum())
    )


@method("sampling.response_rates")
def response_rates(states: pl.DataFrame, by: Sequence[str] = ()) -> pl.DataFrame:
    """Response so far by group: ``asked, received, late, overdue``, ``unit_rate``, ``weighted_rate`` (weight, size).

    ``weighted_rate`` is null where no unit of the group has a known positive size. Sorted by ``by``.
    """
    come = pl.col("state").is_in(["received_on_time", "received_late"])
    expected = pl.col("weight") * pl.col("size")
    measures = [
        pl.len().alias("asked"),
        come.sum().alias("received"),
        (pl.col("state") == "received_late").sum().alias("late"),
        (pl.col("state") == "overdue").sum().alias("overdue"),
        come.mean().alias("unit_rate"),
        pl.when(expected.sum() > 0).then(expected.filter(come).sum() / expected.sum()).alias("weighted_rate"),
    ]
    return states.group_by(by).agg(measures).sort(by) if by else states.select(measures)
