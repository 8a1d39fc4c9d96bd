"""Chained indices: period on period over matched items, direct on one period, and quarterly volumes at annual prices."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from etl.methods.index_number.bilateral import Formula, has_quantity_index, price_index, quantity_index
from etl.methods.registry import method

FloatArray = NDArray[np.float64]
Technique = Literal["annual_overlap", "one_quarter_overlap", "over_the_year"]
TECHNIQUES: tuple[Technique, ...] = ("annual_overlap", "one_quarter_overlap", "over_the_year")


@dataclass(frozen=True)
class Chain:
    """Indices over ``t`` periods, the first = 1.

    ``price, quantity, price_link, quantity_link, matched_share`` shape ``(t,)``; links of the first period are ``nan``.
    ``matched_share`` is the share of the earlier period's value that is in the link (1 where the items do not change);
    ``matched`` shape ``(t,)`` counts the items of each link.
    """

    price: FloatArray
    quantity: FloatArray
    price_link: FloatArray
    quantity_link: FloatArray
    matched: NDArray[np.int64]
    matched_share: FloatArray


@method("index_number.chain")
def chain(
    formula: Formula, prices: FloatArray, quantities: FloatArray, *, fixed: bool = False, labels: Sequence[str] = ()
) -> Chain:
    """Chain the bilateral indices of neighbouring periods; with ``fixed`` compare every period with the first instead.

    Parameters
    ----------
    prices, quantities
        Shape ``(t, n)``; ``nan`` where an item is not there. Each link uses the items that have a price and a quantity
        in both of its periods (matched model); new and lost items move neither.
    labels
        Names of the periods for errors; left out: their positions.

    Returns
    -------
    Chain
        ``quantity_link`` is ``nan`` where Törnqvist's does not exist (a quantity of zero), and ``quantity`` from there on.

    Raises
    ------
    ValueError
        If no item is matched, or as :func:`price_index` says; names the two periods.
    """
    names = labels or [f"period {k}" for k in range(prices.shape[0])]
    t = prices.shape[0]
    price, quantity, share = np.ones(t), np.ones(t), np.ones(t)
    links = np.full((2, t), np.nan)
    matched = np.zeros(t, dtype=np.int64)
    have = np.isfinite(prices) & np.isfinite(quantities)
    matched[0] = int(have[0].sum())
    for k in range(1, t):
        earlier = 0 if fixed else k - 1
        both = have[earlier] & have[k]
        arrays = prices[earlier, both], quantities[earlier, both], prices[k, both], quantities[k, both]
        try:
            links[0, k] = price_index(formula, *arrays)
            if has_quantity_index(formula, arrays[1], arrays[3]):
                links[1, k] = quantity_index(formula, *arrays)
        except ValueError as error:
            raise ValueError(f"{names[earlier]} to {names[k]}: {error}") from None
        price[k], quantity[k] = price[earlier] * links[0, k], quantity[earlier] * links[1, k]
        matched[k] = int(both.sum())
        whole = math.fsum((prices[earlier] * quantities[earlier])[have[earlier]])
        share[k] = math.fsum(arrays[0] * arrays[1]) / whole if whole > 0 else math.nan
    return Chain(price, quantity, links[0], links[1], matched, share)


@method("index_number.quarterly_volume")
def quarterly_volume(technique: Technique, prices: FloatArray, quantities: FloatArray) -> FloatArray:
    """Chain-linked quarterly (or monthly) Laspeyres volumes at the average prices of the year before; year one = 1.

    Parameters
    ----------
    technique
        ``annual_overlap``: each year hangs on the average of the year before (adds up to the annual chain exactly, may
        step between the years); ``one_quarter_overlap``: on its last period valued at that year's average prices (no
        step); ``over_the_year``: on the same period of the year before (keeps growth on last year, breaks the pattern
        within the year, not recommended by the Manual).
    prices, quantities
        Shape ``(years, periods a year, n)``, complete years; the last may be incomplete (``nan`` at its end).

    Returns
    -------
    array
        Shape ``(years, periods a year)``; the mean of the first year is 1.

    Raises
    ------
    ValueError
        If a value other than at the end of the last year is missing (an end is one of all items), a price is not above zero or a
        quantity below zero, or an item has no quantity in a year that is a base.

    Source: IMF, *Quarterly National Accounts Manual* (2017), chapter 8, chain-linking techniques.
    """
    years, within, items = prices.shape
    if (prices <= 0).any() or (quantities < 0).any():
        raise ValueError("a price is not above zero or a quantity below zero; correct it or leave the item out")
    have = (np.isfinite(prices) & np.isfinite(quantities)).reshape(years * within, items)
    whole = np.asarray(have.all(axis=1), dtype=np.bool_)
    ends = not (np.diff(whole.astype(int)) > 0).any() and bool(whole[: max(years - 1, 1) * within].all())
    if not ends or (have.any(axis=1) & ~whole).any():
        raise ValueError(
            "a price or quantity is missing other than at the end of the last year; complete the years first"
        )
    index = np.full((years, within), np.nan)
    index[0] = _valued(_average(prices[0], quantities[0]), quantities[0])
    index[0] /= index[0].mean()
    for y in range(1, years):
        average = _average(prices[y - 1], quantities[y - 1])
        before, now = _valued(average, quantities[y - 1]), _valued(average, quantities[y])
        if technique == "annual_overlap":
            index[y] = index[y - 1].mean() * now / before.mean()
        elif technique == "one_quarter_overlap":
            index[y] = index[y - 1, -1] * now / before[-1]
        else:
            index[y] = index[y - 1] * now / before
    return index


def _average(prices: FloatArray, quantities: FloatArray) -> FloatArray:
    """Unit values of a year, shape ``(n,)``."""
    whole = quantities.sum(axis=0)
    if not (whole > 0).all():
        raise ValueError("an item has no quantity in a whole year, so it has no average price; leave it out or join it")
    return np.asarray((prices * quantities).sum(axis=0) / whole, dtype=np.float64)


def _valued(average: FloatArray, quantities: FloatArray) -> FloatArray:
    return np.asarray(quantities @ average, dtype=np.float64)
