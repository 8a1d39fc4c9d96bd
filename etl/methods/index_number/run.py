"""Index numbers run on a table of any user."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etl.methods.index_number.bilateral import FORMULAS
from etl.methods.index_number.chain import TECHNIQUES, chain, quarterly_volume
from etl.methods.index_number.deflate import deflate
from etl.methods.index_number.rebase import rebase
from etl.methods.index_number.table import Cube, item_cube, refuse_for_volumes
from etl.methods.periods import parse, series
from etl.methods.refusals import refuse_row, refused
from etl.methods.tabular import BadInput, Column, MethodResult, Parameter, table_method

FloatArray = NDArray[np.float64]


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
    cube = item_cube(frame)
    base = _base_positions("chain_index", cube.labels, parameters["base"])
    with refused("chain_index"):
        made = _volumes if parameters["linking"] in TECHNIQUES else _chained
        rows, note = made(parameters, cube)
        for name in ("index", "value_index"):
            rows[name] = rebase(rows[name], base)
        volume = rows["quantity_index"]
        rows["quantity_index"] = rebase(volume, base) if np.isfinite(volume[base]).all() else volume * np.nan
    table = pl.DataFrame({"period": cube.labels, **rows}).with_columns(pl.col(pl.Float64).fill_nan(None))
    said = {k: parameters[k] for k in ("formula", "linking")}
    named, asked = [cube.labels[i] for i in base], parameters["base"]
    part = _part_of_year(asked, named, cube.periods[0].frequency) if asked and cube.periods else None
    notes = "; ".join(n for n in (note, part) if n) or None
    return MethodResult({**said, "base": named, "items": len(cube.items), "note": notes}, table)


def _values(cube: Cube) -> FloatArray:
    """Value of all items by that of the first period; ``nan`` where no item is there."""
    worth = cube.prices * cube.quantities
    whole = np.where(np.isfinite(worth).any(axis=1), np.nansum(worth, axis=1), np.nan)
    if not whole[0] > 0:
        raise ValueError(f"the items have no value in the first period, {cube.labels[0]}; start where they have")
    return np.asarray(whole / whole[0], dtype=np.float64)


def _chained(parameters: Mapping[str, Any], cube: Cube) -> tuple[dict[str, Any], str | None]:
    fixed = parameters["linking"] == "fixed"
    found = chain(parameters["formula"], cube.prices, cube.quantities, fixed=fixed, labels=cube.labels)
    rows = {
        "index": found.price,
        "quantity_index": found.quantity,
        "value_index": _values(cube),
        "link": found.price_link,
        "quantity_link": found.quantity_link,
        "matched": found.matched,
        "matched_share": found.matched_share,
    }
    return rows, _undefined(cube, found.quantity_link, fixed=fixed)


def _undefined(cube: Cube, links: FloatArray, *, fixed: bool) -> str | None:
    """Why there is no quantity index; None where there is one for every period."""
    broken = np.flatnonzero(np.isnan(links[1:])) + 1
    if not broken.size:
        return None
    at = int(broken[0])
    pair = cube.quantities[[0 if fixed else at - 1, at]]
    item = int(np.flatnonzero(np.isfinite(pair).all(axis=0) & (pair == 0).any(axis=0))[0])
    return (
        f"item {cube.items[item]} has quantity 0 in the link to {cube.labels[at]}, of which Törnqvist's quantity index cannot be made: "
        f"quantity_index is empty {'there' if fixed else 'from there on'} (throughout where the base is); formula=fisher takes a zero"
    )


def _volumes(parameters: Mapping[str, Any], cube: Cube) -> tuple[dict[str, Any], str | None]:
    """Volume by the technique, and the price index that with it gives the value."""
    within = refuse_for_volumes(cube, parameters["linking"], parameters["formula"])
    count, items = cube.prices.shape
    years = -(-count // within)
    blank = np.full((years * within - count, items), np.nan)
    padded = (np.vstack([a, blank]).reshape(years, within, -1) for a in (cube.prices, cube.quantities))
    flat = quarterly_volume(parameters["linking"], *padded).reshape(-1)[:count]
    value = _values(cube)
    return {"index": value / flat, "quantity_index": flat, "value_index": value}, None


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
    if parameters["level"] <= 0:
        raise BadInput(f"index_rebase: parameter level: {parameters['level']:g} is not above zero; give 100, say")
    with refused("index_rebase"):
        periods = series(frame["period"].to_list())
        labels = [str(p) for p in periods]
        at = _base_positions("index_rebase", labels, parameters["base"])
        values = frame["value"].cast(pl.Float64).fill_null(np.nan).to_numpy()
        found = rebase(values, at, level=parameters["level"])
    rows = pl.DataFrame({"period": labels, "index": found}).with_columns(pl.col("index").fill_nan(None))
    base = [labels[i] for i in at]
    note = _part_of_year(parameters["base"], base, periods[0].frequency)
    return MethodResult({"base": base, "level": parameters["level"], "note": note}, rows)


def _part_of_year(asked: str, base: Sequence[str], frequency: int) -> str | None:
    """What to know where a year was asked for and not all of its periods are there."""
    if parse(asked).frequency != 1 or len(base) == frequency:
        return None
    said = f"the table has {len(base)} of the {frequency} periods of {asked.strip()}, {', '.join(base)}"
    return f"{said}: their mean is taken for that of the year; complete the year"


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
    refuse_row("deflate", frame, frame["price_index"] <= 0, "the price index is not above zero", "id")
    columns = (frame[c].cast(pl.Float64).fill_null(np.nan).to_numpy() for c in ("value", "price_index"))
    with refused("deflate"):
        found = deflate(*columns, base=parameters["base"])
    rows = frame.select("id").with_columns(constant_price_value=pl.Series(found, nan_to_null=True))
    return MethodResult({"deflator": parameters["deflator"], "base": parameters["base"]}, rows)
