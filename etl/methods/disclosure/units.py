"""Values as whole numbers in units of their smallest decimal."""

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etl.methods.disclosure.problem import LIMIT, ProblemError

IntArray = NDArray[np.int64]
MOST_DECIMALS: Final = 6


def to_units(column: pl.Series, scale: int | None = None) -> tuple[IntArray, int]:
    """Whole numbers and the number of decimals; ``scale`` asks for that many.

    Raises
    ------
    ProblemError
        For text, gaps, infinite values, more than six decimals, and sums beyond 2^60 units.
    """
    if column.null_count():
        raise ProblemError(f"列 {column.name} 有空值 / column {column.name!r} has {column.null_count()} empty values")
    if column.dtype.is_integer():
        units, found = column.cast(pl.Int64).to_numpy(), 0
    elif isinstance(column.dtype, pl.Decimal):
        found = column.dtype.scale
        units = (column.cast(pl.Decimal(38, found)) * 10**found).cast(pl.Int64).to_numpy()
    elif column.dtype.is_float():
        units, found = _from_floats(column.to_numpy(), column.name)
    else:
        raise ProblemError(f"列 {column.name} 不是数值 / column {column.name!r} is {column.dtype}, expected numbers")
    if scale is not None and scale < found:
        raise ProblemError(
            f"列 {column.name} 小数位过多 / column {column.name!r} has {found} decimals, values have {scale}"
        )
    step = 10 ** ((scale if scale is not None else found) - found)
    if float(np.abs(units.astype(np.float64)).sum()) * step >= LIMIT:
        raise ProblemError(f"列 {column.name} 数值过大 / column {column.name!r}: sum beyond 2^60 units of 1e-{found}")
    return units.astype(np.int64) * step, found if scale is None else scale


def _from_floats(values: NDArray[np.float64], name: str) -> tuple[IntArray, int]:
    if not np.isfinite(values).all():
        raise ProblemError(f"列 {name} 有非有限值 / column {name!r} has values that are not finite")
    for scale in range(MOST_DECIMALS + 1):
        units = np.round(values * 10.0**scale)
        if (np.abs(units / 10.0**scale - values) <= 1e-12 * np.maximum(1.0, np.abs(values))).all():
            return units.astype(np.int64), scale
    raise ProblemError(
        f"列 {name} 小数超过 {MOST_DECIMALS} 位 / column {name!r} has more than {MOST_DECIMALS} decimals"
    )
