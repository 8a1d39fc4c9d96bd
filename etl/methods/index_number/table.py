"""A user's table of items, periods, prices and quantities as arrays, refused where no index can be made of it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etl.methods.periods import Period, gaps, parse, series
from etl.methods.refusals import refuse_duplicates, refuse_row, refused
from etl.methods.tabular import BadInput

FloatArray = NDArray[np.float64]
METHOD = "chain_index"
RUNNING = re.compile(r"\d{1,3}")


@dataclass(frozen=True)
class Cube:
    """``prices, quantities`` shape ``(t, n)`` of ``labels`` (in time order) and ``items``; ``nan`` where a pair is missing.

    ``periods`` is None where they are running numbers.
    """

    periods: list[Period] | None
    labels: list[str]
    items: list[str]
    prices: FloatArray
    quantities: FloatArray


def item_cube(frame: pl.DataFrame) -> Cube:
    """The cube of ``item, period, price, quantity``.

    Raises
    ------
    BadInput
        If a price is not above zero, a quantity below zero, an item stands twice in a period, or a period is missing.
    """
    for column, bad, said in (
        ("price", frame["price"] <= 0, "is not above zero"),
        ("quantity", frame["quantity"] < 0, "is below zero"),
    ):
        wrong = frame.filter(bad.fill_null(False))[column]
        value = f"{wrong[0]:g}" if wrong.len() else ""
        refuse_row(METHOD, frame, bad, f"{column} {value} {said}; correct it or leave the item out", "item", "period")
    periods, spelt = _in_order(frame["period"].unique(maintain_order=True).to_list())
    one = frame.with_columns(period=pl.col("period").replace_strict(spelt))
    refuse_duplicates(METHOD, one, "item", "period")
    labels, items = list(dict.fromkeys(spelt.values())), sorted(set(frame["item"]))
    rows, columns = ({name: i for i, name in enumerate(names)} for names in (labels, items))
    cube = np.full((2, len(labels), len(items)), np.nan)
    for item, period, price, quantity in one.select("item", "period", "price", "quantity").iter_rows():
        if price is not None and quantity is not None:
            cube[:, rows[period], columns[item]] = price, quantity
    return Cube(periods, labels, items, cube[0], cube[1])


def _in_order(texts: Sequence[str]) -> tuple[list[Period] | None, dict[str, str]]:
    """Periods in time order (None: running numbers), and the label of each text given, in that order."""
    if all(RUNNING.fullmatch(t) for t in texts):
        numbers = sorted({int(t) for t in texts})
        absent = sorted({*range(numbers[0], numbers[-1])} - {*numbers})
        _refuse_gap([str(n) for n in absent])
        return None, {t: str(int(t)) for t in sorted(texts, key=int)}
    with refused(f"{METHOD}: column period"):
        spelt = {t: parse(t) for t in texts}
        periods = sorted(series([str(p) for p in dict.fromkeys(spelt.values())]))
    _refuse_gap([str(p) for p in gaps(periods)])
    return periods, {t: str(spelt[t]) for t in sorted(texts, key=lambda t: spelt[t])}


def _refuse_gap(absent: Sequence[str]) -> None:
    if absent:
        raise BadInput(f"{METHOD}: period {absent[0]} has no row; a chain needs every period from first to last")


def refuse_for_volumes(cube: Cube, linking: str, formula: str) -> int:
    """Periods a year, of a cube that may be linked at annual prices.

    Raises
    ------
    BadInput
        If the periods are no quarters or months or do not begin with a year, the formula is another than Laspeyres, an item is
        missing before the last period, the first year is not whole, or an item has no quantity in a year that is a base.
    """
    name = f"{METHOD}: linking={linking}"
    if cube.periods is None or cube.periods[0].frequency == 1:
        raise BadInput(f"{name} needs quarters or months, found {cube.labels[0]}; choose linking=period or fixed")
    if formula != "laspeyres":
        raise BadInput(f"{name} is made of Laspeyres volumes, found formula={formula}; give formula=laspeyres")
    first, within = cube.periods[0], cube.periods[0].frequency
    if first.within != 1:
        raise BadInput(
            f"{name} needs whole years, the table begins with {first}; leave out what is before the next year"
        )
    _refuse_incomplete(cube, name, first)
    return within


def _refuse_incomplete(cube: Cube, name: str, first: Period) -> None:
    """What is missing of the items: a whole first year, a value before the last period, quantities of a year that is a base."""
    within = first.frequency
    have = np.isfinite(cube.prices)
    there = np.flatnonzero(have.any(axis=1))
    last = int(there[-1]) if there.size else -1
    if last + 1 < within:
        raise BadInput(
            f"{name} needs a whole first year, {first.year} has values of {last + 1} of {within} periods; complete it"
        )
    holes = np.argwhere(~have[: last + 1])
    if holes.size:
        at, item = holes[0]
        raise BadInput(
            f"{name}: item {cube.items[item]} has no price or quantity in {cube.labels[at]}; every item is needed in every period up to "
            f"the last one ({cube.labels[last]}); complete it or leave the item out ({len(holes)} such cells)"
        )
    bases = max(last // within, 1)
    yearly = cube.quantities[: bases * within].reshape(bases, within, -1).sum(axis=1)
    idle = np.argwhere(yearly <= 0)
    if idle.size:
        year, item = idle[0]
        raise BadInput(
            f"{name}: item {cube.items[item]} has no quantity in the whole of {first.year + year}, so it has no average price; leave it out "
            "or join it with another"
        )
