"""Composite index of several indicators, with what it would have been under other weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etl.methods.periods import edge, parse
from etl.methods.refusals import one_spelling, refuse_duplicates, refuse_row, refused
from etl.methods.registry import method
from etl.methods.tabular import BadInput, Column, MethodResult, Parameter, table_method

FloatArray = NDArray[np.float64]
Standard = Literal["zscore", "minmax", "rank"]
LEAST: Final = 3  # values of a component in the base
BASE: Final = 100.0
SPREAD: Final = 10.0
"""A z-score index has 100 as its mean over the base periods and 10 as the standard deviation of each component."""


@dataclass(frozen=True)
class Composite:
    """``index`` shape ``(periods,)``, ``nan`` where a component is missing; ``low``, ``high``: 5 % and 95 % of the index under
    other weights; ``contributions`` shape ``(periods, components)``, which sum to ``index`` (arithmetic) or ``log index``."""

    index: FloatArray
    low: FloatArray
    high: FloatArray
    contributions: FloatArray


@method("climate.standardise")
def standardise(
    values: FloatArray,
    kind: Standard,
    base: NDArray[np.bool_],
    directions: FloatArray,
    names: Sequence[str] = (),
) -> FloatArray:
    """Bring components to one scale, larger meaning better.

    Parameters
    ----------
    values
        Shape ``(periods, components)``, ``nan`` where missing.
    kind
        ``zscore``: 100 + 10 z with mean and standard deviation of the base; ``minmax``: 0 to 100 over the base (clipped
        beyond it); ``rank``: share of the base at most as large, times 100.
    base
        Shape ``(periods,)``: the periods that set the scale (fixed, so that new data do not change old figures).
    directions
        Shape ``(components,)``: 1 where more is better, -1 where less is.
    names
        Names of the components, for errors; left out, their numbers from 0.

    Raises
    ------
    ValueError
        If a component has fewer than 3 values in the base or does not vary there.
    """
    turned = values * directions
    result = np.full_like(turned, np.nan)
    for k in range(turned.shape[1]):
        known = turned[base, k]
        known = known[~np.isnan(known)]
        name = names[k] if names else k
        if known.size < LEAST:
            raise ValueError(f"component {name}: at least {LEAST} values in the base are needed, got {known.size}")
        if np.ptp(known) == 0:
            raise ValueError(
                f"component {name}: its {known.size} values in the base are all the same; lengthen the base"
            )
        column = turned[:, k]
        if kind == "zscore":
            result[:, k] = BASE + SPREAD * (column - known.mean()) / known.std(ddof=1)
        elif kind == "minmax":
            result[:, k] = np.clip((column - known.min()) / np.ptp(known), 0.0, 1.0) * 100
        else:
            share = np.searchsorted(np.sort(known), column, side="right") / known.size * 100
            result[:, k] = np.where(np.isnan(column), np.nan, share)
    return result


@method("climate.composite")
def composite(
    standardised: FloatArray,
    weights: FloatArray,
    *,
    geometric: bool = False,
    draws: int = 1000,
    concentration: float = 50.0,
    seed: int = 20260101,
) -> Composite:
    r"""Weighted mean of standardised components, and its range when the weights are in doubt.

    .. math:: I_t = \sum_k w_k s_{tk} \quad\text{or}\quad \prod_k s_{tk}^{w_k}, \qquad \sum_k w_k = 1

    Sensitivity: ``draws`` weights from a Dirichlet distribution around the stated ones (``concentration`` times the weight),
    5 % and 95 % of the index they give. A missing component makes the index missing: nothing is weighted up in its place.

    Raises
    ------
    ValueError
        If weights are not positive, there is no draw or no concentration, or a geometric mean meets a value that is not
        positive.
    """
    if draws < 1 or concentration <= 0:
        raise ValueError(f"at least one draw and a concentration above 0 are needed, got {draws} and {concentration:g}")
    if not np.all((weights > 0) & np.isfinite(weights)) or weights.shape != (standardised.shape[1],):
        raise ValueError(f"{standardised.shape[1]} positive weights are needed, got {weights.tolist()}")
    w = weights / weights.sum()
    if geometric and np.any(standardised <= 0):
        raise ValueError(
            "a geometric mean needs positive components; use minmax or rank with care, or the arithmetic mean"
        )
    scores = np.log(standardised) if geometric else standardised
    parts = scores * w
    other = np.random.Generator(np.random.PCG64(seed)).dirichlet(w * concentration * w.size, draws)
    spread = scores @ other.T
    whole, low, high = parts.sum(axis=1), *np.quantile(spread, [0.05, 0.95], axis=1)
    if geometric:
        whole, low, high = np.exp(whole), np.exp(low), np.exp(high)
    return Composite(whole, low, high, parts)


@method("climate.diffusion")
def diffusion(values: FloatArray, directions: FloatArray, tolerance: float = 0.0) -> FloatArray:
    """Diffusion index (扩散指数): share of components rising plus half of those unchanged, times 100.

    ``values`` shape ``(periods, components)``; the first period and periods with no known change are ``nan``.
    """
    change = np.diff(values * directions, axis=0, prepend=np.nan)
    known = ~np.isnan(change)
    up, flat = (change > tolerance) & known, (np.abs(change) <= tolerance) & known
    with np.errstate(invalid="ignore"):
        return np.asarray(
            np.where(known.any(axis=1), 100 * (up.sum(axis=1) + flat.sum(axis=1) / 2) / known.sum(axis=1), np.nan)
        )


def wide(frame: pl.DataFrame, order: Sequence[str]) -> tuple[list[str], FloatArray]:
    """Periods in order and values of shape ``(periods, components)`` from ``period, indicator, value``."""
    table = frame.pivot("indicator", index="period", values="value").sort("period")
    missing = [n for n in order if n not in table.columns]
    table = table.with_columns(pl.lit(None, pl.Float64).alias(n) for n in missing)
    values = table.select(pl.col(list(order)).cast(pl.Float64).fill_null(np.nan)).to_numpy()
    return table["period"].to_list(), np.asarray(values, dtype=np.float64)


@table_method(
    "climate_index",
    "景气指数 / climate index",
    [
        Column("period", "period", "参考期 / reference period"),
        Column("indicator", "text", "指标 / indicator"),
        Column("value", "number", "数值 / value", nullable=True),
    ],
    [
        Parameter("weights", "table", "文件：indicator, weight, direction(1|-1) / file of weights", required=True),
        Parameter(
            "standard",
            "choice",
            "标准化 / how components are brought to one scale",
            "zscore",
            ("zscore", "minmax", "rank"),
        ),
        Parameter("base_from", "text", "基期起 / first base period; empty: all", ""),
        Parameter("base_to", "text", "基期止 / last base period; empty: all", ""),
        Parameter("geometric", "flag", "几何平均 / geometric mean", False),
        Parameter("draws", "integer", "敏感性模拟次数 / draws of other weights", 1000, least=1),
        Parameter(
            "concentration",
            "number",
            "权数集中度，越大越接近给定权数 / closeness of other weights to the stated ones",
            50.0,
            least=1,
        ),
        Parameter("seed", "integer", "随机种子 / seed", 20260101, least=0),
    ],
)
def run_climate_index(frame: pl.DataFrame, parameters: Mapping[str, Any]) -> MethodResult:
    """Rows: ``period, index, low, high, diffusion, contributions``; result: weights used, periods without an index."""
    names, weights, directions = _weights(parameters["weights"])
    frame = _checked(frame, names)
    periods, values = wide(frame, names)
    with refused("climate_index"):
        base = _base(periods, parameters["base_from"], parameters["base_to"])
        scores = standardise(values, parameters["standard"], base, directions, names)
        found = composite(
            scores, weights, geometric=bool(parameters["geometric"]), draws=int(parameters["draws"]),
            concentration=float(parameters["concentration"]), seed=int(parameters["seed"]),
        )  # fmt: skip
    spread = diffusion(values, directions)
    rows = pl.DataFrame({
        "period": periods, "index": found.index, "low": found.low, "high": found.high, "diffusion": spread,
        "contributions": [dict(zip(names, row, strict=True)) for row in found.contributions.tolist()],
    })  # fmt: skip
    rows = rows.with_columns(pl.col("index", "low", "high", "diffusion").fill_nan(None))
    used = {n: float(w) for n, w in zip(names, weights / weights.sum(), strict=True)}
    return MethodResult({"weights": used, "periods_without_index": rows["index"].null_count()}, rows)


def _checked(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Periods in one spelling, no indicator twice in one, and none without a weight."""
    frame = one_spelling("climate_index", frame)
    refuse_duplicates("climate_index", frame, "period", "indicator")
    said = "has no weight; add it to the file of weights, or take its rows out"
    refuse_row("climate_index", frame, ~frame["indicator"].is_in(list(names)), said, "indicator")
    return frame


def _base(periods: Sequence[str], first: str, last: str) -> NDArray[np.bool_]:
    """The periods from ``first`` to ``last`` (years, quarters, months or days, both included); empty: no limit."""
    found = [parse(p) for p in periods]
    start = edge(first, found[0].frequency, last=False) if first else found[0]
    stop = edge(last, found[0].frequency, last=True) if last else found[-1]
    base = np.array([start <= p <= stop for p in found], dtype=bool)
    if not base.any():
        raise ValueError(f"no period lies in the base {start} to {stop}; the table has {found[0]} to {found[-1]}")
    return base


def _weights(table: pl.DataFrame) -> tuple[list[str], FloatArray, FloatArray]:
    if not {"indicator", "weight"} <= set(table.columns) or table.height == 0:
        raise BadInput("climate_index: parameter weights: a file with columns indicator, weight, direction is expected")
    where = "climate_index: parameter weights"
    refuse_duplicates(where, table, "indicator")
    weights = table["weight"].cast(pl.Float64, strict=False).fill_null(np.nan)
    refuse_row(where, table, ~(weights.is_finite() & (weights > 0)), "the weight is not a number above 0", "indicator")
    given = table["direction"] if "direction" in table.columns else pl.Series([None] * table.height, dtype=pl.String)
    turned = given.cast(pl.String).str.strip_chars().replace("", "1").fill_null("1").cast(pl.Float64, strict=False)
    refuse_row(where, table, ~turned.is_in([1.0, -1.0]).fill_null(False), "direction is neither 1 nor -1", "indicator")
    return table["indicator"].to_list(), weights.to_numpy(), turned.to_numpy()
