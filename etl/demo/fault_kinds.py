"""How each kind of fault writes a row, and whether the row then still fits its contract."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

import numpy as np
import polars as pl

from etl.contract import MONEY_FACTORS, Column, Contract, RowRule
from etl.demo.scenario import activities
from etl.uscc import ALPHABET, valid

Row = dict[str, Any]
Cells = dict[str, Any]
"""Column → what is written there instead of the truth (None: left blank)."""
WORDS: Final = ("约{}", "{}（预计）", "{}左右")
CORRECTION: Final = (0.7, 1.3)
"""Range of the factor by which a first return is off that is corrected later."""


def broken_uscc(rng: np.random.Generator, contract: Contract, row: Row, column: str) -> Cells:
    """Another check sign."""
    code = str(row[column])
    return {column: code[:-1] + ALPHABET[(ALPHABET.index(code[-1]) + int(rng.integers(1, 31))) % 31]}


@cache
def _classes() -> tuple[str, ...]:
    return tuple(sorted({code for a in activities() for code in a.gbt}))


def unknown_gbt_code(rng: np.random.Generator, contract: Contract, row: Row, column: str) -> Cells:
    """A class that does not exist."""
    return {column: "99" + str(row[column])[2:]}


def wrong_gbt_code(rng: np.random.Generator, contract: Contract, row: Row, column: str) -> Cells:
    """A class that exists, of another division."""
    others = [code for code in _classes() if code[:2] != str(row[column])[:2]]
    return {column: str(rng.choice(others))}


def unknown_answer(rng: np.random.Generator, contract: Contract, row: Row, column: str) -> Cells:
    """A code that is not among the answers."""
    return {column: "88"}


def text_in_number(rng: np.random.Generator, contract: Contract, row: Row, column: str) -> Cells:
    """The number with a word."""
    return {column: WORDS[int(rng.integers(len(WORDS)))].format(row[column])}


def sign_error(rng: np.random.Generator, contract: Contract, row: Row, column: str) -> Cells:
    """The number with the other sign."""
    return {column: -row[column]} if row[column] else {}


def sum_mismatch(rng: np.random.Generator, contract: Contract, row: Row, column: str) -> Cells:
    """A total of about half its parts."""
    return {column: int(row[column]) // 2 - 7} if row[column] > 100 else {}


def part_over_whole(rng: np.random.Generator, contract: Contract, row: Row, column: str) -> Cells:
    """A part a little larger than what it is part of."""
    rule = next(r for r in contract.rules if r.kind == "le" and r.left == column)
    whole = row[str(rule.right)]
    margin = rule.tolerance / _factor(contract.column(column)) + 3
    return {} if whole is None else {column: whole + (int(margin) if isinstance(whole, int) else margin)}


def _unit_error(written_in: str) -> Callable[[np.random.Generator, Contract, Row, str], Cells]:
    """All money of the row in another unit than the form's."""

    def write(rng: np.random.Generator, contract: Contract, row: Row, column: str) -> Cells:
        cells: Cells = {}
        for money in contract.columns:
            value = row.get(money.to)
            if money.is_money and value:
                amount, unit = value * _factor(money), MONEY_FACTORS[written_in]
                cells[money.to] = amount // unit if amount % unit == 0 else amount / unit
        return {name: v for name, v in cells.items() if v != row[name]}

    return write


def thousand_fold(rng: np.random.Generator, contract: Contract, row: Row, column: str) -> Cells:
    """One number with three digits too many."""
    value = row[column]
    return {column: value * 1000 if isinstance(value, int) else round(value * 1000, 2)} if value else {}


def transposed_digits(rng: np.random.Generator, contract: Contract, row: Row, column: str) -> Cells:
    """Two neighbouring digits of the whole part changed about."""
    value = row[column]
    digits = str(abs(int(value)))
    places = [i for i in range(len(digits) - 1) if digits[i] != digits[i + 1]]
    if not places:
        return {}
    at = int(rng.choice(places))
    turned = int(digits[:at] + digits[at + 1] + digits[at] + digits[at + 2 :])
    return {column: turned if isinstance(value, int) else round(turned + abs(value) % 1, 2)}


def missing_item(rng: np.random.Generator, contract: Contract, row: Row, column: str) -> Cells:
    """Nothing where the truth has a value."""
    return {column: None}


def corrected_return(rng: np.random.Generator, contract: Contract, row: Row, column: str) -> Cells:
    """Amounts all off by one factor; ``column`` names them, joined by commas (empty: all money)."""
    names = column.split(",") if column else [c.to for c in contract.columns if c.is_money]
    factor = float(rng.uniform(*CORRECTION))
    wrong = {n: round(row[n] * factor) for n in names if row.get(n)}
    return {name: v for name, v in wrong.items() if v != row[name]}


WRITERS: Final[Mapping[str, Callable[[np.random.Generator, Contract, Row, str], Cells]]] = {
    "broken_uscc": broken_uscc, "unknown_gbt_code": unknown_gbt_code, "wrong_gbt_code": wrong_gbt_code,
    "unknown_answer": unknown_answer, "text_in_number": text_in_number, "sign_error": sign_error,
    "sum_mismatch": sum_mismatch, "part_over_whole": part_over_whole, "thousand_fold": thousand_fold,
    "transposed_digits": transposed_digits, "missing_item": missing_item, "corrected_return": corrected_return,
    "unit_error_in_yuan": _unit_error("CNY"), "unit_error_in_10k": _unit_error("CNY_10K"),
    "unit_error_in_1000": _unit_error("CNY_1000"),
}  # fmt: skip
"""Kinds that write cells of a row; the others (``duplicate_row``, ``duplicate_unit``, ``late_return``) move whole rows."""


def _factor(column: Column) -> int:
    return MONEY_FACTORS.get(column.unit or "", 1)


def fits(contract: Contract, row: Row, cells: Cells) -> bool:
    """Whether a row that fits its contract still does with other cells in it.

    Worked out here from the contract alone, apart from the readers, so that the two can be held against one another.
    """
    written = row | cells
    return all(_cell_fits(contract.column(name), value) for name, value in cells.items()) and all(
        _rule_holds(contract, rule, written) for rule in contract.rules
    )


def _cell_fits(column: Column, value: Any) -> bool:
    if value is None:
        return not column.required
    if column.check == "uscc_checksum":
        return bool(valid(pl.Series([value]))[0])
    if column.check == "gbt_code":
        return value in _classes()
    if column.check == "enum":
        return value in column.values
    if column.type not in ("int", "decimal"):
        return True
    if isinstance(value, str) or (column.type == "int" and value != int(value)):
        return False
    stored = value * _factor(column)
    return (column.min is None or stored >= column.min) and (column.max is None or stored <= column.max)


def _rule_holds(contract: Contract, rule: RowRule, row: Row) -> bool:
    """A rule of the contract on one row; a missing or unreadable operand is none."""

    def stored(name: str | None) -> Any:
        value = row.get(str(name))
        column = contract.column(str(name))
        if column.type == "date":
            return value
        return None if value is None or isinstance(value, str) else value * _factor(column)

    if rule.kind == "le":
        left, right = stored(rule.left), stored(rule.right)
        if left is None or right is None:
            return True
        return bool(left <= (right if isinstance(right, str) else right + rule.tolerance))
    parts, total = [stored(name) for name in rule.parts], stored(rule.total)
    if total is None:
        return True
    known = sum(p for p in parts if p is not None)
    under = rule.kind == "sum" and None not in parts and total - known > rule.tolerance
    return known - total <= rule.tolerance and not under
