"""Resistant fences (四分位栅栏): values far from the quartiles of their own group, on the natural or the log scale."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etl.methods.editing.outlier import QUANTILES, QuantileMethod, quartiles
from etl.methods.editing.rules import ROUNDING
from etl.methods.refusals import refuse_duplicates
from etl.methods.registry import method
from etl.methods.tabular import BadInput, Column, MethodResult, Parameter, table_method

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Fences:
    """Inner and outer fences in the unit of the values, and the values used."""

    inner_lower: float
    inner_upper: float
    outer_lower: float
    outer_upper: float
    used: int


@method("editing.resistant_fences")
def resistant_fences(
    values: FloatArray,
    *,
    inner: float = 1.5,
    outer: float = 3.0,
    log: bool = False,
    quantile_method: QuantileMethod = "linear",
) -> Fences:
    r"""Fences :math:`Q_1 - k\,(Q_3 - Q_1)` and :math:`Q_3 + k\,(Q_3 - Q_1)` for ``inner`` and ``outer`` multiples.

    ``log``: quartiles and fences of the logarithms (values that are not positive are then not used), for skewed sizes.

    Raises
    ------
    BadInput
        If the multiples are not ``0 < inner <= outer`` or no value can be used.

    Source: Tukey (1977), Exploratory Data Analysis, ch. 2; Thompson and Sigman (1999), J. Official Statistics 15, 517-535.
    """
    if not 0 < inner <= outer:
        raise BadInput(f"outlier_fences: inner={inner}, outer={outer}; expected 0 < inner <= outer")
    known = values[np.isfinite(values) & ((values > 0) | (not log))]
    if not known.size:
        raise BadInput("outlier_fences: no value can be used (missing, or not positive on the log scale)")
    scaled = np.log(known) if log else known
    first, _, third = quartiles(scaled, quantile_method)
    spread = third - first
    bounds = [first - inner * spread, third + inner * spread, first - outer * spread, third + outer * spread]
    low, high, far_low, far_high = (float(np.exp(b)) if log else float(b) for b in bounds)
    return Fences(low, high, far_low, far_high, int(known.size))


@table_method(
    "outlier_fences",
    "异常值（四分位栅栏）/ resistant fences",
    [
        Column("id", "text", "单位 / unit"),
        Column("value", "number", "数值 / value", nullable=True),
        Column("group", "text", "组 / group judged by itself", required=False),
    ],
    [
        Parameter("inner", "number", "内栅栏倍数 / inner multiple", default=1.5),
        Parameter("outer", "number", "外栅栏倍数 / outer multiple", default=3.0),
        Parameter("log", "flag", "对数尺度 / logarithms", default=False),
        Parameter("quantile_method", "choice", "四分位数定义 / quartiles", default="linear", choices=tuple(QUANTILES)),
        Parameter("min_group", "integer", "组内最少个数 / fewest values of a group", default=5, least=1),
    ],
)
def run_outlier_fences(frame: pl.DataFrame, parameters: Mapping[str, Any]) -> MethodResult:
    """Rows: ``id, group, outlier (none|mild|extreme), side (low|high), lower, upper, reason``."""
    options = {k: v for k, v in parameters.items() if k != "min_group"}
    table = frame.with_row_index("_row")
    refuse_duplicates("outlier_fences", frame, *(["group"] if "group" in frame.columns else []), "id")
    table = table if "group" in table.columns else table.with_columns(group=pl.lit("all"))
    parts = [
        _judge(part, options, parameters["min_group"]) for part in table.partition_by("group", maintain_order=True)
    ]
    rows = pl.concat(parts).sort("_row").drop("_row")
    counts = {kind: rows.filter(outlier=kind).height for kind in ("none", "mild", "extreme")}
    return MethodResult(result={**counts, "not_judged": rows["outlier"].null_count()}, rows=rows)


def _judge(part: pl.DataFrame, options: Mapping[str, Any], least: int) -> pl.DataFrame:
    values = part["value"].cast(pl.Float64).to_numpy().astype(np.float64)
    usable = np.isfinite(values) & ((values > 0) | (not options["log"]))
    placed = np.log(values, where=usable, out=np.full(values.shape, np.nan)) if options["log"] else values
    lower = upper = None
    kind, side, reason = (np.full(values.shape, None, dtype=object) for _ in range(3))
    reason[~usable] = np.where(np.isnan(values[~usable]), "missing", "not_positive")
    if usable.sum() < least:
        reason[usable] = "small_group"
    else:
        # judged on the scale of the quartiles: the way back from a logarithm is not exact
        fences = resistant_fences(placed, **{**options, "log": False})
        lower, upper = (float(np.exp(f)) if options["log"] else f for f in (fences.inner_lower, fences.inner_upper))
        room = ROUNDING * (abs(fences.outer_lower) + abs(fences.outer_upper))
        low, high = placed < fences.inner_lower - room, placed > fences.inner_upper + room
        far = (placed < fences.outer_lower - room) | (placed > fences.outer_upper + room)
        kind[usable] = "none"
        kind[low | high] = "mild"
        kind[far] = "extreme"
        side[low], side[high] = "low", "high"
    text = pl.String
    return part.select("_row", "id", "group").with_columns(
        pl.Series("outlier", kind.tolist(), dtype=text),
        pl.Series("side", side.tolist(), dtype=text),
        lower=pl.lit(lower, dtype=pl.Float64),
        upper=pl.lit(upper, dtype=pl.Float64),
        reason=pl.Series(reason.tolist(), dtype=text),
    )
