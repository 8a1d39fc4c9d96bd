"""Bilateral price and quantity indices of two periods over the same items."""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from etl.methods.registry import method

FloatArray = NDArray[np.float64]
Formula = Literal["laspeyres", "paasche", "fisher", "tornqvist", "walsh"]
FORMULAS: tuple[Formula, ...] = ("laspeyres", "paasche", "fisher", "tornqvist", "walsh")


def _dot(a: FloatArray, b: FloatArray) -> float:
    return math.fsum(a * b)


@method("index_number.bilateral")
def price_index(formula: Formula, p0: FloatArray, q0: FloatArray, p1: FloatArray, q1: FloatArray) -> float:
    r"""Price index of period 1 with period 0 = 1.

    .. math::
        P_L = \frac{\sum p_1 q_0}{\sum p_0 q_0},\quad P_P = \frac{\sum p_1 q_1}{\sum p_0 q_1},\quad P_F = \sqrt{P_L P_P},
        \quad P_W = \frac{\sum p_1 \sqrt{q_0 q_1}}{\sum p_0 \sqrt{q_0 q_1}},\quad
        \ln P_T = \sum \tfrac{s_0 + s_1}{2} \ln \frac{p_1}{p_0}

    Parameters
    ----------
    formula
        ``tornqvist`` weighs by the mean of both value shares :math:`s`.
    p0, q0, p1, q1
        Shape ``(n,)``: prices above zero, quantities not below zero, the same items in the same order.

    Raises
    ------
    ValueError
        If shapes differ, a price is not above zero, a quantity is below zero or missing, or the weights add up to zero.

    Source: *Consumer Price Index Manual: Concepts and Methods* (2020), annex of index formulas; *Producer Price Index
    Manual* (2004), chapters 15-16.
    """
    _check(p0, q0, p1, q1)
    return _index(formula, p0, q0, p1, q1)


def quantity_index(formula: Formula, p0: FloatArray, q0: FloatArray, p1: FloatArray, q1: FloatArray) -> float:
    """Quantity index of period 1 with period 0 = 1: the formula with prices and quantities exchanged.

    Only Fisher's gives with its price index exactly the value ratio (factor reversal). ``tornqvist`` needs quantities
    above zero, the others take a zero. Parameters and errors as :func:`price_index`.
    """
    _check(p0, q0, p1, q1)
    if not has_quantity_index(formula, q0, q1):
        raise ValueError("a quantity is zero; Törnqvist's quantity index needs quantities above zero, choose another")
    return _index(formula, q0, p0, q1, p1)


def has_quantity_index(formula: Formula, q0: FloatArray, q1: FloatArray) -> bool:
    """Whether the quantity index of these quantities exists: a zero has no logarithm for Törnqvist's."""
    return formula != "tornqvist" or bool((q0 > 0).all() and (q1 > 0).all())


def _index(formula: Formula, p0: FloatArray, q0: FloatArray, p1: FloatArray, q1: FloatArray) -> float:
    if formula == "laspeyres":
        return _ratio(_dot(p1, q0), _dot(p0, q0))
    if formula == "paasche":
        return _ratio(_dot(p1, q1), _dot(p0, q1))
    if formula == "fisher":
        return math.sqrt(_ratio(_dot(p1, q0), _dot(p0, q0)) * _ratio(_dot(p1, q1), _dot(p0, q1)))
    if formula == "walsh":
        weight = np.sqrt(q0 * q1)
        return _ratio(_dot(p1, weight), _dot(p0, weight))
    v0, v1 = p0 * q0, p1 * q1
    whole0, whole1 = math.fsum(v0), math.fsum(v1)
    if whole0 <= 0 or whole1 <= 0:
        raise ValueError("the items have no value in one of the periods; an index needs weights above zero")
    return math.exp(_dot((v0 / whole0 + v1 / whole1) / 2, np.log(p1 / p0)))


def _ratio(numerator: float, denominator: float) -> float:
    if denominator <= 0:
        raise ValueError("the weights of the items add up to zero; an index needs weights above zero")
    return numerator / denominator


def _check(p0: FloatArray, q0: FloatArray, p1: FloatArray, q1: FloatArray) -> None:
    if not (p0.shape == q0.shape == p1.shape == q1.shape) or p0.ndim != 1:
        raise ValueError("prices and quantities of both periods need the same length")
    if p0.size == 0:
        raise ValueError("no item is priced in both periods; an index needs at least one")
    for name, prices in (("earlier", p0), ("later", p1)):
        if not (np.isfinite(prices).all() and (prices > 0).all()):
            raise ValueError(
                f"a price of the {name} period is missing or not above zero; correct it or leave the item out"
            )
    for name, quantities in (("earlier", q0), ("later", q1)):
        if not (np.isfinite(quantities).all() and (quantities >= 0).all()):
            raise ValueError(
                f"a quantity of the {name} period is missing or below zero; correct it or leave the item out"
            )
