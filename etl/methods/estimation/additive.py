"""Cells that add up: finest cells are reconciled to known totals, rounded once, and every total is their exact sum."""

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etl.methods.registry import method

FloatArray = NDArray[np.float64]


@method("estimation.reconcile")
def reconcile(cells: FloatArray, variance: FloatArray, groups: FloatArray, totals: FloatArray) -> FloatArray:
    r"""Cells moved as little as possible, in units of their own error, so that groups of them have known totals.

    .. math:: \tilde y = \hat y + V A^\top (A V A^\top)^{-} (t - A \hat y)

    Parameters
    ----------
    cells, variance
        Shape ``(m,)``: estimates of the finest cells and their variances; a cell of variance 0 is not moved.
    groups
        Shape ``(k, m)``: 1 where the cell belongs to the group (a district, a class, the city), else 0.
    totals
        Shape ``(k,)``: known totals; redundant ones (city = sum of districts) are welcome if they agree.

    Raises
    ------
    ValueError
        If shapes disagree, a variance is negative, or the totals contradict each other or cells that cannot move.
    """
    y, v, a, t = (np.asarray(x, dtype=np.float64) for x in (cells, variance, groups, totals))
    if v.shape != y.shape or a.shape != (t.size, y.size):
        raise ValueError(
            f"cells {y.shape}, variances {v.shape}, groups {a.shape}, totals {t.shape} do not fit together"
        )
    if (v < 0).any():
        raise ValueError("a variance is negative")
    for _ in range(2):
        spread = (a * v) @ a.T
        y = y + v * (a.T @ (np.linalg.pinv(spread, hermitian=True) @ (t - a @ y)))
    miss = np.abs(a @ y - t) / np.maximum(np.abs(t), 1)
    if miss.max(initial=0) > 1e-9:
        worst = int(miss.argmax())
        off = (a @ y - t)[worst]
        raise ValueError(f"total {worst} cannot be met (off by {off:g}): it contradicts other totals or fixed cells")
    return y


@method("estimation.quantise")
def quantise(cells: FloatArray, decimals: int = 2, total: Decimal | None = None) -> list[Decimal]:
    """Finest cells as decimals, each rounded once; with ``total`` by largest remainder so that they add to it exactly.

    Parameters
    ----------
    cells
        Shape ``(m,)``, no gaps.
    total
        A total that is published already and whose digits have to be met; it may differ from the sum of the cells by
        rounding only (at most one unit of the last decimal a cell).

    Raises
    ------
    ValueError
        If a cell is missing or the total is further away than rounding explains.
    """
    if not np.isfinite(cells).all():
        raise ValueError("a cell is missing; cells that are not known cannot be added")
    unit = Decimal(1).scaleb(-decimals)
    exact = [Decimal(float(c)) for c in cells]
    rounded = [c.quantize(unit, ROUND_HALF_EVEN) for c in exact]
    if total is None:
        return rounded
    steps = int(((total - sum(rounded, Decimal(0))) / unit).to_integral_value())
    if sum(rounded, Decimal(0)) + steps * unit != total or abs(steps) > len(rounded):
        raise ValueError(f"the cells add to {sum(rounded, Decimal(0))}, the total is {total}: more than rounding; "
                         "reconcile the cells first")  # fmt: skip
    sign = 1 if steps > 0 else -1
    order = sorted(range(len(exact)), key=lambda i: (sign * (rounded[i] - exact[i]), i))
    for i in order[: abs(steps)]:
        rounded[i] += sign * unit
    return rounded


@method("estimation.roll_up")
def roll_up(atoms: pl.DataFrame, levels: Mapping[str, Sequence[str]], value: str = "value") -> pl.DataFrame:
    """Totals of every level as exact sums of the same atoms, so that every level has the same grand total.

    Parameters
    ----------
    atoms
        Finest cells: columns for the levels, and ``value`` as ``Decimal``.
    levels
        Name of a level and the columns that make it: ``{"city": [], "district": ["district"], "class": ["class"]}``.

    Returns
    -------
    polars.DataFrame
        ``level``, the columns of ``atoms`` (null where summed over), ``value``; sorted by level as given, then columns.

    Raises
    ------
    ValueError
        If the values are not decimals (sums of binary fractions depend on their order) or one is missing.
    """
    if not atoms.schema[value].is_decimal():
        raise ValueError(
            f"column {value} has to be Decimal: sums of binary fractions depend on their order; use quantise"
        )
    if atoms[value].null_count():
        raise ValueError(f"column {value} has {atoms[value].null_count()} missing atoms")
    keys = [c for c in atoms.columns if c != value]
    parts = []
    for level, columns in levels.items():
        summed = atoms.group_by(columns).agg(pl.col(value).sum()) if columns else atoms.select(pl.col(value).sum())
        missing = [pl.lit(None, dtype=atoms.schema[k]).alias(k) for k in keys if k not in columns]
        parts.append(
            summed.with_columns(pl.lit(level).alias("level"), *missing).select("level", *keys, value).sort(keys)
        )
    return pl.concat(parts)
