"""One-sided winsorisation of weights (ONS form), and the L value that minimises the mean squared error."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etl.methods.refusals import refuse_duplicates, refuse_row, refused
from etl.methods.registry import method
from etl.methods.tabular import Column, MethodResult, table_method

FloatArray = NDArray[np.float64]
WINSORISABLE, FULLY_ENUMERATED, SMALL_WEIGHT = "W", "NW_FE", "NW_AG"
"""Flags: open to winsorisation; not, being taken with certainty; not, design times calibration weight at most 1."""


@dataclass(frozen=True)
class Winsorised:
    """All ``(n,)``: ``outlier_weight`` :math:`o`, ``flag``, ``threshold`` (``nan`` where not open), ``predicted``."""

    outlier_weight: FloatArray
    flag: tuple[str, ...]
    threshold: FloatArray
    predicted: FloatArray


@method("weighting.winsorise")
def winsorise(
    value: FloatArray,
    design_weight: FloatArray,
    calibration_weight: FloatArray,
    l_value: FloatArray,
    groups: Sequence[str],
    auxiliary: FloatArray | None = None,
) -> Winsorised:
    r"""Outlier weights of one-sided winsorisation.

    .. math:: k_i = \hat\mu_i + \frac{L}{a_i g_i - 1}, \qquad
              y_i^* = \frac{y_i}{a_i g_i} + \Big(1 - \frac{1}{a_i g_i}\Big) k_i \ \text{if}\ y_i > k_i, \qquad
              o_i = y_i^* / y_i

    with :math:`\hat\mu_i = x_i \sum a y / \sum a x` over the units of the group that are open to winsorisation
    (:math:`x = 1` without an auxiliary: the weighted mean). Not open: design weight 1 with a calibration weight of at
    least 1 (``NW_FE``), or :math:`a_i g_i \le 1` (``NW_AG``).

    Parameters
    ----------
    value, design_weight, calibration_weight, l_value
        Shape ``(n,)``, no gaps; design weights at least 1, calibration weights positive (1 without calibration), L not
        negative and one of it in each group.
    groups
        Calibration group (ratio estimation) or stratum (expansion) of each unit, length ``n``.
    auxiliary
        Shape ``(n,)``; leave out for expansion estimation.

    Raises
    ------
    ValueError
        If a value is missing or outside its range, L differs within a group, or the auxiliary of a group adds to 0.
    """
    y, a, g, level = (np.asarray(v, dtype=np.float64) for v in (value, design_weight, calibration_weight, l_value))
    x = np.ones_like(y) if auxiliary is None else np.asarray(auxiliary, dtype=np.float64)
    names, code = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    _check(y, a, g, level, x, names, code)
    weight = a * g
    certain = (a == 1) & (g >= 1)
    small = ~certain & (weight <= 1)
    open_ = ~(certain | small)
    above, below = (np.bincount(code, weights=a * v * open_, minlength=len(names)) for v in (y, x))
    empty = (below == 0) & (np.bincount(code, weights=open_, minlength=len(names)) > 0)
    if empty.any():
        raise ValueError(f"stratum {names[int(np.flatnonzero(empty)[0])]}: the weighted auxiliary adds to 0")
    predicted = np.divide(above, below, out=np.zeros(len(names)), where=below != 0)[code] * x
    gap = np.divide(level, weight - 1, out=np.full_like(y, np.inf), where=open_)
    threshold = predicted + gap
    with np.errstate(invalid="ignore"):
        new = np.where(open_ & (y > threshold), y / weight + (1 - 1 / weight) * threshold, y)
    outlier = np.divide(new, y, out=np.ones_like(y), where=y != 0)
    flags = np.where(certain, FULLY_ENUMERATED, np.where(small, SMALL_WEIGHT, WINSORISABLE))
    return Winsorised(outlier, tuple(flags.tolist()), np.where(open_, threshold, np.nan), predicted)


def _check(
    y: FloatArray, a: FloatArray, g: FloatArray, level: FloatArray, x: FloatArray, names: Any, code: Any
) -> None:
    if len({v.shape for v in (y, a, g, level, x, code)}) != 1:
        raise ValueError("value, weights, l_value, group and auxiliary need one entry for each unit")
    if not all(np.isfinite(v).all() for v in (y, a, g, level, x)):
        raise ValueError("a value, weight, l_value or auxiliary is missing; winsorise after editing and imputation")
    for name, bad in (("design_weight is smaller than 1", a < 1), ("calibration_weight is not positive", g <= 0),
                      ("l_value is negative", level < 0)):  # fmt: skip
        if bad.any():
            raise ValueError(
                f"{name} in {int(bad.sum())} units, first in stratum {names[code[np.flatnonzero(bad)[0]]]}"
            )
    order = np.lexsort((level, code))
    differ = np.flatnonzero((np.diff(code[order]) == 0) & (np.diff(level[order]) != 0))
    if differ.size:
        first, second = (level[order][differ[0] + k] for k in (0, 1))
        raise ValueError(
            f"stratum {names[code[order][differ[0]]]} has more than one l_value ({first:g} and {second:g}); one for each is expected"
        )


@method("weighting.optimal_l_value")
def optimal_l_value(value: FloatArray, predicted: FloatArray, weight: FloatArray) -> float:
    r"""The L that minimises the mean squared error of a winsorised total (Kokic & Bell 1994; Clark 1995).

    The optimum satisfies :math:`L = -\text{bias}(L) = \sum_i \max(D_i - L,\, 0)` with
    :math:`D_i = (w_i - 1)(y_i - \mu_i)`; with :math:`D` sorted downwards it is :math:`L = \sum_{i \le k} D_i / (k +
    1)` for the :math:`k` that leaves :math:`D_{k+1} \le L < D_k`.

    Parameters
    ----------
    value, predicted, weight
        Shape ``(n,)``: past data, cleaned of errors, of the units that are open to winsorisation; their predicted
        values and total weights :math:`w = a g`.

    Returns
    -------
    float
        0 where no unit lies above its prediction: nothing is then gained by winsorisation, and L of 0 would cut
        nothing.

    Raises
    ------
    ValueError
        If a value is missing.
    """
    d = np.sort((np.asarray(weight) - 1) * (np.asarray(value) - np.asarray(predicted)))[::-1]
    if not np.isfinite(d).all():
        raise ValueError("a value, prediction or weight is missing")
    positive = d[d > 0]
    if not positive.size:
        return 0.0
    candidate = np.cumsum(positive) / np.arange(2, positive.size + 2)
    following = np.append(positive[1:], 0.0)
    return float(candidate[int(np.flatnonzero(following <= candidate)[0])])


@table_method(
    "winsorise",
    "缩尾权数 / winsorised weights (one-sided)",
    [
        Column("unit", "text", "单位 / unit, once in each period"),
        Column("stratum", "text", "层（比率估计时为校准组） / stratum, for ratio estimation the calibration group"),
        Column("value", "number", "调查值 / value"),
        Column("design_weight", "number", "设计权数 a / design weight, at least 1"),
        Column(
            "calibration_weight", "number", "校准权数 g，无校准为 1 / calibration weight (g), 1 without calibration"
        ),
        Column("auxiliary", "number", "辅助变量；无此列为扩张估计 / auxiliary; without it expansion", required=False),
        Column("l_value", "number", "L 值，每层一个 / L value, one in each stratum"),
        Column("period", "text", "时期，各期分别计算 / period, each by itself", required=False),
    ],
)
def run_winsorise(frame: pl.DataFrame, parameters: Mapping[str, Any]) -> MethodResult:
    """Rows in the order of the input; ``new_weight`` is ``a * g * o``."""
    period = ["period"] if "period" in frame.columns else []
    refuse_duplicates("winsorise", frame, "unit", *period)
    for column, bad, what in (
        ("design_weight", frame["design_weight"] < 1, "smaller than 1"),
        ("calibration_weight", frame["calibration_weight"] <= 0, "not positive"),
        ("l_value", frame["l_value"] < 0, "negative"),
    ):
        refuse_row("winsorise", frame, bad, f"{column} is {what}", *period, "unit", column)
    group = pl.concat_str([*period, "stratum"], separator=" / ").alias("group")
    arrays = {n: frame[n].to_numpy() for n in frame.columns if n not in ("unit", "stratum", "period")}
    with refused("winsorise"):
        found = winsorise(
            arrays["value"], arrays["design_weight"], arrays["calibration_weight"], arrays["l_value"],
            frame.select(group)["group"].to_list(), arrays.get("auxiliary"),
        )  # fmt: skip
    weight = arrays["design_weight"] * arrays["calibration_weight"]
    rows = frame.select("unit", *period, "stratum").with_columns(
        new_weight=pl.Series(weight * found.outlier_weight),
        flag=pl.Series(found.flag),
        is_outlier=pl.Series(found.outlier_weight != 1),
        outlier_weight=pl.Series(found.outlier_weight),
        new_value=pl.Series(arrays["value"] * found.outlier_weight),
        threshold=pl.Series(found.threshold).fill_nan(None),
    )
    before, after = (float(w @ arrays["value"]) for w in (weight, rows["new_weight"].to_numpy()))
    result = {
        "units": rows.height, "outliers": int(rows["is_outlier"].sum()), "total_before": before, "total_after": after,
        "estimation": "ratio" if "auxiliary" in arrays else "expansion",
    }  # fmt: skip
    return MethodResult(result, rows)
