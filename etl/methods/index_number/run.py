"""Index numbers run on a table of any user."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etl.methods.index_number.bilateral import FORMULAS
from etl.methods.index_number.chain import TECHNIQUES, chain, quarterly_volume
from etl.methods.index_number.deflate import deflate
from etl.methods.index_number.rebase import rebase
from etl.methods.periods import Period, gaps, parse, series
from etl.methods.tabular import BadInput, Column, MethodResult, Parameter, table_method

FloatArray = NDArray[np.float64]
RUNNING = re.compile(r"\d{1,3}")


def _base_positions(method: str, labels: Sequence[str], base: str | None) -> list[int]:
    """Positions of the reference period: the period itself, or every period of a year; default the first."""
    if base is None:
        return [0]
    same = [i for i, label in enumerate(labels) if label == base.strip() or _same(label, base)]
    found = same or [i for i, label in enumerate(labels) if label.startswith(f"{base.strip()}-")]
    if not found:
        raise BadInput(f"{method}: parameter base: {base} is not among the periods {labels[0]} to {labels[-1]}")
    return found


def _same(label: str, text: str) -> bool:
    try:
        return parse(label) == parse(text)
    except ValueError:
        return False


def _in_order(texts: Sequence[str]) -> tuple[list[Period] | None, dict[str, str]]:
    """Periods in time order (None: running numbers), and the label of each text given, in that order.

    Raises
    ------
    BadInput
        If the texts are neither periods of one frequency nor whole numbers, or one is missing between first and last.
    """
    if all(RUNNING.fullmatch(t) for t in texts):
        return None, {t: t for t in sorted(texts, key=int)}
    try:
        periods = series(texts)
    except ValueError as error:
        raise BadInput(f"chain_index: column period: {error}") from None
    holes = gaps(periods)
    if holes:
        raise BadInput(f"chain_index: period {holes[0]} has no row; a chain needs every period from first to last")
    pairs = sorted(zip(periods, texts, strict=True))
    return [p for p, _ in pairs], {t: str(p) for p, t in pairs}


def _cube(frame: pl.DataFrame) -> tuple[list[Period] | None, list[str], int, FloatArray, FloatArray]:
    """Periods, their labels in order, number of items, prices and quantities ``(t, n)``, ``nan`` where a pair is missing."""
    twice = frame.filter(pl.struct("item", "period").is_duplicated())
    if twice.height:
        raise BadInput(f"chain_index: item {twice['item'][0]} has period {twice['period'][0]} twice; one row each")
    if not frame.height:
        raise BadInput("chain_index: the table has no row; rows with item, period, price and quantity are expected")
    periods, labels = _in_order(frame["period"].unique(maintain_order=True).to_list())
    items = {name: i for i, name in enumerate(sorted(set(frame["item"].to_list())))}
    rows = {text: i for i, text in enumerate(labels)}
    cube = np.full((2, len(rows), len(items)), np.nan)
    for item, period, price, quantity in frame.select("item", "period", "price", "quantity").iter_rows():
        if price is not None and quantity is not None:
            cube[:, rows[period], items[item]] = price, quantity
    return periods, list(labels.values()), len(items), cube[0], cube[1]


@table_method(
    "chain_index",
    "价格与物量指数（链式、定基、年度重叠） / price and quantity indices, chained or direct",
    [
        Column("item", "text", "品种 / item"),
        Column("period", "text", "时期或序号 / period, or a running number"),
        Column("price", "number", "价格 / price", nullable=True),
        Column("quantity", "number", "数量 / quantity", nullable=True),
    ],
    [
        Parameter("formula", "choice", "公式 / formula", "laspeyres", FORMULAS),
        Parameter("base", "text", "基期，指数为 100 / reference period, index = 100 (default: the first)"),
        Parameter(
            "linking", "choice", "链接方式 / period on period, direct, or quarterly volumes at annual prices", "period",
            ("period", "fixed", *TECHNIQUES),
        ),
    ],
)  # fmt: skip
def run_chain(frame: pl.DataFrame, parameters: Mapping[str, Any]) -> MethodResult:
    """One row a period; all indices are 100 in the reference period."""
    periods, labels, items, prices, quantities = _cube(frame)
    base = _base_positions("chain_index", labels, parameters["base"])
    try:
        if parameters["linking"] in TECHNIQUES:
            rows = _volumes(parameters, periods, prices, quantities)
        else:
            rows = _chained(parameters, prices, quantities)
        for name in ("index", "quantity_index", "value_index"):
            rows[name] = rebase(rows[name], base)
    except ValueError as error:
        raise BadInput(f"chain_index: {error}") from None
    table = pl.DataFrame({"period": labels, **rows}).with_columns(pl.col(pl.Float64).fill_nan(None))
    said = {k: parameters[k] for k in ("formula", "linking")}
    return MethodResult({**said, "base": [labels[i] for i in base], "items": items}, table)


def _values(prices: FloatArray, quantities: FloatArray) -> FloatArray:
    whole = np.nansum(prices * quantities, axis=1)
    if whole[0] <= 0:
        raise ValueError("the items have no value in the first period; start where they have")
    return np.asarray(whole / whole[0], dtype=np.float64)


def _chained(parameters: Mapping[str, Any], prices: FloatArray, quantities: FloatArray) -> dict[str, Any]:
    found = chain(parameters["formula"], prices, quantities, fixed=parameters["linking"] == "fixed")
    return {
        "index": found.price,
        "quantity_index": found.quantity,
        "value_index": _values(prices, quantities),
        "link": found.price_link,
        "quantity_link": found.quantity_link,
        "matched": found.matched,
        "matched_share": found.matched_share,
    }


def _volumes(
    parameters: Mapping[str, Any], periods: Sequence[Period] | None, prices: FloatArray, quantities: FloatArray
) -> dict[str, Any]:
    """Volume by the technique, and the price index that with it gives the value."""
    within = periods[0].frequency if periods else 1
    if periods is None or within == 1 or parameters["formula"] != "laspeyres" or periods[0].within != 1:
        raise ValueError(
            f"linking={parameters['linking']} needs quarters or months from the first of a year, and formula=laspeyres"
        )
    years = -(-len(periods) // within)
    shape = (years * within, prices.shape[1])
    padded = [np.vstack([a, np.full((shape[0] - len(periods), shape[1]), np.nan)]) for a in (prices, quantities)]
    volume = quarterly_volume(parameters["linking"], *(a.reshape(years, within, -1) for a in padded))
    flat = volume.reshape(-1)[: len(periods)]
    value = _values(prices, quantities)
    return {"index": value / flat, "quantity_index": flat, "value_index": value}


@table_method(
    "index_rebase",
    "指数换基 / another reference period for an index",
    [Column("period", "period", "时期 / period"), Column("value", "number", "指数 / index", nullable=True)],
    [
        Parameter("base", "text", "新基期（一期或一年） / new reference period, or a year", required=True),
        Parameter("level", "number", "基期水平 / level there", 100.0),
    ],
)
def run_rebase(frame: pl.DataFrame, parameters: Mapping[str, Any]) -> MethodResult:
    """Rows: ``period, index`` in the order of the input."""
    try:
        periods = series(frame["period"].to_list())
        labels = [str(p) for p in periods]
        at = _base_positions("index_rebase", labels, parameters["base"])
        values = frame["value"].cast(pl.Float64).fill_null(np.nan).to_numpy()
        found = rebase(values, at, level=parameters["level"])
    except BadInput:
        raise
    except ValueError as error:
        raise BadInput(f"index_rebase: {error}") from None
    rows = pl.DataFrame({"period": labels, "index": found}).with_columns(pl.col("index").fill_nan(None))
    return MethodResult({"base": [labels[i] for i in at], "level": parameters["level"]}, rows)


@table_method(
    "deflate",
    "价格缩减 / amounts at constant prices",
    [
        Column("id", "text", "对象或时期 / what the row is about"),
        Column("value", "number", "现价 / at current prices", nullable=True),
        Column("price_index", "number", "价格指数 / price index", nullable=True),
    ],
    [
        Parameter("base", "number", "价格指数的基数 / value of the index at its base", 100.0),
        Parameter("deflator", "text", "缩减指数名称 / name of the price index used", required=True),
    ],
)
def run_deflate(frame: pl.DataFrame, parameters: Mapping[str, Any]) -> MethodResult:
    """Rows: ``id, constant_price_value``; the result says by which deflator."""
    columns = (frame[c].cast(pl.Float64).fill_null(np.nan).to_numpy() for c in ("value", "price_index"))
    try:
        found = deflate(*columns, base=parameters["base"])
    except ValueError as error:
        raise BadInput(f"deflate: {error}") from None
    rows = frame.select("id").with_columns(constant_price_value=pl.Series(found, nan_to_null=True))
    return MethodResult({"deflator": parameters["deflator"], "base": parameters["base"]}, rows)
