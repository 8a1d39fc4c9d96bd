"""Hidiroglou–Berthelot: outlying changes between two periods, with the quartile definition stated."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etl.methods.refusals import refuse_duplicates
from etl.methods.registry import method
from etl.methods.tabular import BadInput, Column, MethodResult, Parameter, table_method

FloatArray = NDArray[np.float64]
QuantileMethod = Literal["banff", "linear"]
#: Position of the q-th of n sorted values (from 1): banff q(n+1) (Hyndman–Fan 6), linear 1+q(n-1) (Hyndman–Fan 7).
QUANTILES: Final[Mapping[str, str]] = {"banff": "weibull", "linear": "linear"}
LEAST_PAIRS: Final = 3


def quartiles(values: FloatArray, quantile_method: QuantileMethod) -> tuple[float, float, float]:
    """First quartile, median, third quartile of ``values`` (at least one, all finite)."""
    if quantile_method not in QUANTILES:
        raise BadInput(f"quantile_method {quantile_method!r} is not one of {', '.join(QUANTILES)}")
    found = np.quantile(values, [0.25, 0.5, 0.75], method=QUANTILES[quantile_method])  # type: ignore[call-overload]
    return float(found[0]), float(found[1]), float(found[2])


@dataclass(frozen=True)
class HidiroglouBerthelot:
    """Shapes ``(n,)``; ``nan`` (and not an outlier) where a pair is missing or not positive.

    ``effect``: transformed, size-weighted change; ``lower``, ``upper``: the interval outside which it is an outlier;
    ``median_ratio``: of the pairs used; ``pairs``: how many those are.
    """

    ratio: FloatArray
    effect: FloatArray
    is_outlier: NDArray[np.bool_]
    lower: float
    upper: float
    median_ratio: float
    first_quartile: float
    median: float
    third_quartile: float
    pairs: int


@method("editing.hidiroglou_berthelot")
def hidiroglou_berthelot(
    current: FloatArray,
    previous: FloatArray,
    *,
    u: float = 0.5,
    a: float = 0.05,
    c: float = 4.0,
    quantile_method: QuantileMethod = "banff",
) -> HidiroglouBerthelot:
    r"""Outliers among period-to-period changes, large units judged more closely (Hidiroglou–Berthelot 法).

    .. math::
        r_i &= x_i(t)/x_i(t-1), \qquad s_i = \begin{cases} 1 - r_M/r_i & r_i < r_M \\ r_i/r_M - 1 & r_i \ge r_M\end{cases}

        E_i &= s_i\,\max(x_i(t), x_i(t-1))^u, \qquad d_{Q1} = \max(E_M - E_{Q1}, |a E_M|),\; d_{Q3} = \max(E_{Q3} - E_M, |a E_M|)

    An outlier lies strictly outside :math:`(E_M - c\,d_{Q1},\; E_M + c\,d_{Q3})`.

    Parameters
    ----------
    current, previous
        Shape ``(n,)``, same unit of measure; ``nan`` missing. Pairs with a value that is not positive are not judged.
    u, a, c
        Weight of size (0 to 1), least relative half-width, width of the interval in quartile distances.
    quantile_method
        ``banff``: position :math:`q(n+1)`; ``linear``: :math:`1+q(n-1)`; both interpolate linearly.

    Raises
    ------
    BadInput
        If a parameter is out of range, fewer than three pairs can be judged, or a change is too large to be computed.

    Source: Hidiroglou and Berthelot (1986), Survey Methodology 12, 73-83.
    """
    if not (0 <= u <= 1 and a >= 0 and c > 0):
        raise BadInput(f"outlier_hb: u={u}, a={a}, c={c}; expected 0 <= u <= 1, a >= 0, c > 0")
    used = np.isfinite(current) & np.isfinite(previous) & (current > 0) & (previous > 0)
    if used.sum() < LEAST_PAIRS:
        raise BadInput(f"outlier_hb: {int(used.sum())} pairs of positive values; at least {LEAST_PAIRS} are needed")
    ratio = np.full(current.shape, np.nan)
    # what overflows is refused below
    with np.errstate(over="ignore"):
        ratio[used] = current[used] / previous[used]
    _refuse_overflow(used & ~(np.isfinite(ratio) & (ratio > 0)), current, previous)
    middle = quartiles(ratio[used], quantile_method)[1]
    with np.errstate(over="ignore"):
        symmetric = np.where(ratio < middle, 1.0 - middle / ratio, ratio / middle - 1.0)
        effect = symmetric * np.maximum(current, previous) ** u
    effect[~used] = np.nan
    _refuse_overflow(used & ~np.isfinite(effect), current, previous)
    first, median, third = quartiles(effect[used], quantile_method)
    least = abs(a * median)
    lower, upper = median - c * max(median - first, least), median + c * max(third - median, least)
    outlier = used & ((effect < lower) | (effect > upper))
    return HidiroglouBerthelot(ratio, effect, outlier, lower, upper, middle, first, median, third, int(used.sum()))


def _refuse_overflow(bad: NDArray[np.bool_], current: FloatArray, previous: FloatArray) -> None:
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        raise BadInput(f"outlier_hb: pair {i + 1}, {current[i]:g} after {previous[i]:g}: the change is too large to be "
                       "computed; check the unit of measure")  # fmt: skip


@table_method(
    "outlier_hb",
    "异常变动（HB 法）/ Hidiroglou–Berthelot outliers",
    [
        Column("id", "text", "单位 / unit, once"),
        Column("current", "number", "本期 / this period", nullable=True),
        Column("previous", "number", "上期 / previous period", nullable=True),
    ],
    [
        Parameter("u", "number", "规模权重 0-1 / weight of size", default=0.5),
        Parameter("a", "number", "最小相对距离 / least relative distance", default=0.05),
        Parameter("c", "number", "区间倍数 / width in quartile distances", default=4.0),
        Parameter("quantile_method", "choice", "四分位数定义 / quartiles", default="banff", choices=tuple(QUANTILES)),
    ],
)
def run_outlier_hb(frame: pl.DataFrame, parameters: Mapping[str, Any]) -> MethodResult:
    """Rows: ``id, ratio, effect, is_outlier, reason``; result: the interval and the quartiles."""
    refuse_duplicates("outlier_hb", frame, "id")
    current, previous = (frame[c].cast(pl.Float64).to_numpy().astype(np.float64) for c in ("current", "previous"))
    found = hidiroglou_berthelot(current, previous, **parameters)
    missing = np.isnan(current) | np.isnan(previous)
    judged = ~np.isnan(found.effect)
    rows = pl.DataFrame(
        {
            "id": frame["id"],
            "ratio": pl.Series(found.ratio).fill_nan(None),
            "effect": pl.Series(found.effect).fill_nan(None),
            "is_outlier": pl.Series(found.is_outlier),
            "reason": pl.Series(np.where(judged, "", np.where(missing, "missing", "not_positive"))).replace("", None),
        }
    ).with_columns(is_outlier=pl.when(pl.col("reason").is_null()).then(pl.col("is_outlier")))
    scalars = ("lower", "upper", "median_ratio", "first_quartile", "median", "third_quartile", "pairs")
    result = {name: getattr(found, name) for name in scalars}
    result |= {"outliers": int(found.is_outlier.sum()), "quantile_method": parameters["quantile_method"]}
    return MethodResult(result=result, rows=rows)
