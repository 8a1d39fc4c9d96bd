"""Growth over the same period of the previous year (同比), and why there is none where there is none."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import polars as pl

from etl.methods.registry import method
from etl.methods.tabular import Column, MethodResult, table_method

Reason = Literal["withheld", "missing", "base_zero", "base_not_positive"]
Number = int | float | Decimal


@dataclass(frozen=True)
class Growth:
    """``ratio`` (0.054 is +5.4 %) or the ``reason`` there is none; exactly one of the two is set."""

    ratio: float | None
    reason: Reason | None


def _known(value: Number | None) -> bool:
    return value is not None and math.isfinite(value)


@method("growth.yoy")
def yoy(current: Number | None, previous: Number | None, *, withheld: bool = False) -> Growth:
    r"""Growth rate :math:`g = x_t / x_{t-1} - 1`, in binary floating point.

    Parameters
    ----------
    current, previous
        Values of the two periods in the same unit; ``None`` or ``nan`` where missing.
    withheld
        Either value is confidential. A growth rate next to one published level would give the other level
        away, so nothing is computed then, whatever is passed for the values.

    Returns
    -------
    Growth
        Reasons, first that applies: ``withheld``, ``missing``, ``base_zero``, ``base_not_positive`` (a rate
        on a negative base has no meaning; a negative current value has: the rate is then below -1).
    """
    if withheld:
        return Growth(None, "withheld")
    if not (_known(current) and _known(previous)):
        return Growth(None, "missing")
    now, base = float(current or 0), float(previous or 0)
    if base == 0:
        return Growth(None, "base_zero")
    if base < 0:
        return Growth(None, "base_not_positive")
    return Growth(now / base - 1.0, None)


def yoy_expr(current: pl.Expr, previous: pl.Expr, withheld: pl.Expr | None = None) -> pl.Expr:
    """:func:`yoy` for whole columns: a struct ``{ratio: Float64, reason: String}``, one of the two null.

    ``withheld`` is a Boolean expression (null counts as true: what is not known to be free stays hidden).
    """
    hidden = pl.lit(False) if withheld is None else withheld.fill_null(True)
    now, base = current.cast(pl.Float64), previous.cast(pl.Float64)
    known = now.is_finite().fill_null(False) & base.is_finite().fill_null(False)
    reason = (
        pl.when(hidden)
        .then(pl.lit("withheld"))
        .when(~known)
        .then(pl.lit("missing"))
        .when(base == 0)
        .then(pl.lit("base_zero"))
        .when(base < 0)
        .then(pl.lit("base_not_positive"))
        .otherwise(pl.lit(None, dtype=pl.String))
    )
    ratio = pl.when(reason.is_null()).then(now / base - 1.0)
    return pl.struct(ratio=ratio, reason=reason)


@table_method(
    "growth_yoy",
    "同比增速 / growth on the same period of last year",
    [
        Column("id", "text", "对象 / what the row is about"),
        Column("value", "number", "本期 / this period", nullable=True),
        Column("value_prev", "number", "上年同期 / same period of last year", nullable=True),
    ],
)
def run_yoy(frame: pl.DataFrame, parameters: Mapping[str, Any]) -> MethodResult:
    """Rows: ``id, growth_ratio, reason`` (one of the two is null), in the order of the input."""
    growth = yoy_expr(pl.col("value"), pl.col("value_prev"))
    rows = frame.select("id", growth.alias("g")).select(
        "id", growth_ratio=pl.col("g").struct.field("ratio"), reason=pl.col("g").struct.field("reason")
    )
    return MethodResult(result={"rows": rows.height, "without_growth": rows["growth_ratio"].null_count()}, rows=rows)
