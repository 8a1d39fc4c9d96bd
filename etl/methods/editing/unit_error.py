"""Errors of unit (计量单位错误): a value a thousand or ten times what the previous return lets expect."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etl.methods.editing.rules import numeric
from etl.methods.registry import method
from etl.methods.tabular import BadInput, Column, MethodResult, Parameter, table_method

FloatArray = NDArray[np.float64]
Marker = Literal["C", "N", "S"]
#: ONS thousand-pound correction: corrected when the ratio lies strictly between 350 and 1,350.
LOWER: Final = 0.35
UPPER: Final = 1.35
RESERVED: Final = ("id", "original", "value", "ratio", "factor", "marker")


@dataclass(frozen=True)
class UnitErrors:
    """Shapes ``(n,)``. ``marker``: ``C`` corrected, ``N`` no error, ``S`` cannot be judged (nothing to compare with).

    ``ratio`` is ``nan`` for ``S``; ``factor`` 1 where nothing is corrected; ``corrected`` = current / factor.
    """

    ratio: FloatArray
    factor: FloatArray
    corrected: FloatArray
    marker: NDArray[np.str_]


@method("editing.unit_error")
def unit_errors(
    current: FloatArray,
    predictive: FloatArray,
    auxiliary: FloatArray | None = None,
    *,
    factors: Sequence[float] = (1000.0,),
    lower: float = LOWER,
    upper: float = UPPER,
) -> UnitErrors:
    r"""Values given in a wrong unit: :math:`lower < (x_t / x_{t-1}) / f < upper` for one of the ``factors`` f.

    Parameters
    ----------
    current, predictive, auxiliary
        Shape ``(n,)``, ``nan`` missing. The auxiliary value is used where the predictive one is missing or zero.
    factors
        Multiples a wrong unit brings: 1000 yuan for thousand yuan, 10 (千元 for 万元), 0.001, …; the first that fits counts.

    Raises
    ------
    BadInput
        If a factor is 1 or not positive, the bounds do not enclose 1, or two factors' ranges overlap or reach 1.

    Source: ONS Statistical Methods Library, Thousand Pound Correction (there the bounds are 350 and 1,350).
    """
    _check_factors(factors, lower, upper)
    base = np.where(np.isfinite(predictive) & (predictive != 0), predictive, np.nan)
    if auxiliary is not None:
        base = np.where(np.isnan(base) & np.isfinite(auxiliary) & (auxiliary != 0), auxiliary, base)
    ratio = current / base
    factor = np.ones(current.shape)
    for candidate in factors:
        hit = (ratio / candidate > lower) & (ratio / candidate < upper) & (factor == 1.0)
        factor[hit] = candidate
    marker = np.where(np.isnan(ratio), "S", np.where(factor == 1.0, "N", "C"))
    return UnitErrors(ratio, factor, current / factor, marker)


def _check_factors(factors: Sequence[float], lower: float, upper: float) -> None:
    if not 0 < lower < 1 < upper:
        raise BadInput(f"thousand_error: lower={lower}, upper={upper}; expected 0 < lower < 1 < upper")
    if not factors or any(not f > 0 for f in factors):
        raise BadInput(f"thousand_error: factors {list(factors)}; expected positive numbers such as 1000")
    ordered = sorted((*factors, 1.0))
    for small, large in pairwise(ordered):
        if small * upper > large * lower:
            raise BadInput(
                f"thousand_error: factors {small:g} and {large:g} overlap within {lower} to {upper} "
                "(1 means no error); narrow the bounds"
            )


@table_method(
    "thousand_error",
    "千倍及单位错误 / thousand-fold and unit errors",
    [
        Column("id", "text", "记录 / record"),
        Column("current", "number", "本期 / this period", nullable=True),
        Column("previous", "number", "上期或预测值 / previous or predicted", nullable=True),
        Column(
            "auxiliary", "number", "辅助值（缺上期时用）/ used where previous is missing", required=False, nullable=True
        ),
        Column("(?!(id|current|previous|auxiliary)$).+", "text", "同表其他变量 / others", False, True, pattern=True),
    ],
    [
        Parameter("factors", "numbers", "倍数 / factors", default=[1000.0]),
        Parameter("lower", "number", "比值下界（除以倍数后）/ lower bound of ratio over factor", default=LOWER),
        Parameter("upper", "number", "比值上界（除以倍数后）/ upper bound of ratio over factor", default=UPPER),
        Parameter("targets", "text", "一并改正的变量 / variables corrected with it, a,b", default=""),
    ],
)
def run_thousand_error(frame: pl.DataFrame, parameters: Mapping[str, Any]) -> MethodResult:
    """Rows: ``id, original, value, ratio, factor, marker`` and ``<target>`` corrected for each of ``targets``."""
    targets = [t.strip() for t in parameters["targets"].split(",") if t.strip()]
    lost = [t for t in targets if t not in frame.columns]
    if lost:
        raise BadInput(f"thousand_error: targets names {lost[0]}, which is not a column")
    odd = [t for t in targets if t in RESERVED]
    if odd:
        raise BadInput(f"thousand_error: targets names {odd[0]}, which is a column of the result; rename the column")
    frame = numeric(frame.drop("id"), targets, "thousand_error").with_columns(frame["id"])
    given = {
        c: frame[c].cast(pl.Float64).to_numpy().astype(np.float64)
        for c in frame.columns
        if c != "id" and (c in ("current", "previous", "auxiliary") or c in targets)
    }
    found = unit_errors(
        given["current"], given["previous"], given.get("auxiliary"),
        factors=parameters["factors"], lower=parameters["lower"], upper=parameters["upper"],
    )  # fmt: skip
    rows = pl.DataFrame(
        {
            "id": frame["id"],
            "original": given["current"],
            "value": found.corrected,
            "ratio": found.ratio,
            "factor": found.factor,
            "marker": found.marker,
            **{t: given[t] / found.factor for t in targets},
        }
    ).with_columns(pl.col(pl.Float64).fill_nan(None))
    return MethodResult(result={m: int((found.marker == m).sum()) for m in ("C", "N", "S")}, rows=rows)
