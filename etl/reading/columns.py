"""Contract columns as polars expressions: text → value and flags, all columns of a block step by step together."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import zip_longest
from typing import Final

import polars as pl

from etl import uscc
from etl.contract import MONEY_FACTORS, Column, Contract
from taxonomy.scheme import load_scheme

MONEY: Final = pl.Decimal(20, 2)
MISSING_MARKS: Final = ("", "-", "--", "—", "－", "…", "..", "...", "......", "/", "N/A", "n/a", "NA", "无")
DATE_FORMATS: Final = ("%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%Y年%m月%d日", "%Y-%m-%d %H:%M:%S")
TEXT, FITS, BAD, MISSING, LOW, HIGH = "text:", "fits:", "bad:", "missing:", "low:", "high:"
"""Heads of helper columns (no identifier holds a colon)."""
Plan = list[list[pl.Expr]]
"""Steps of one column; a step may use what the steps before it made."""


@cache
def _codes(scheme: str, level: int | None) -> pl.Series:
    codes = load_scheme(scheme).codes
    return pl.Series(sorted({c.code for c in codes if level is None or c.level == level}), dtype=pl.String).implode()


@cache
def _district_names() -> dict[str, str]:
    return {c.name_zh: c.code for c in load_scheme("district_sz").codes}


def _is_free(column: Column) -> bool:
    return column.type == "string" and not column.check


def _text(column: Column, is_ascii: bool) -> Plan:
    """Trimmed text, null where missing; marks for missing count as missing except in free text."""
    name = TEXT + column.to
    text, cells = pl.col(name), pl.col(column.header)
    folded = cells if _is_free(column) or is_ascii else cells.str.normalize("NFKC")
    marks = ("",) if _is_free(column) else MISSING_MARKS
    plan = [[folded.str.strip_chars(" \t　\r\n").alias(name)], [pl.when(~text.is_in(marks)).then(text).alias(name)]]
    if column.ditto:
        again = text.is_in(column.ditto)
        above = pl.when(~again).then(text).forward_fill()
        plan.append([pl.when(again).then(above).otherwise(text).alias(name)])
    return plan


def _number(column: Column) -> Plan:
    name, fits = column.to, pl.col(FITS + column.to)
    plain = pl.col(TEXT + name).str.replace_all(r"[,\s]", "").alias(name)
    value = pl.col(name)
    if column.type == "int":
        whole = value.str.contains(r"^[+-]?[0-9]{1,15}(\.0+)?$").alias(FITS + name)
        return [[plain], [whole], [value.str.replace(r"\.0+$", "").cast(pl.Int64, strict=False)]]
    number = value.str.contains(r"^[+-]?[0-9]{1,15}(\.[0-9]{1,6}0*)?$|^[+-]?[0-9]{1,15}\.[0-9]+$").alias(FITS + name)
    # what is no such number is left out before the product: that raises where it has too many places
    exact = pl.when(fits).then(value).cast(pl.Decimal(38, 8), strict=False) * MONEY_FACTORS.get(column.unit or "", 1)
    money = value.cast(MONEY, strict=False)
    precise = (value == money.cast(pl.Decimal(38, 8))).fill_null(False)
    return [[plain], [number], [exact.alias(name)], [money.alias(name), (fits & precise).alias(FITS + name)]]


def _checked_text(column: Column) -> Plan:
    name, text, fits = column.to, pl.col(TEXT + column.to), FITS + column.to
    if column.check == "enum":
        known = {code: code for code in column.values} | {label: code for code, label in column.values.items()}
        mapped = text.replace_strict(known, default=None, return_dtype=pl.String).alias(name)
        return [[mapped], [pl.col(name).is_not_null().alias(fits)]]
    if column.check == "district":
        named = text.replace(_district_names()).alias(name)
        return [[named], [pl.col(name).is_in(_codes("district_sz", None)).alias(fits)]]
    if column.check == "gbt_code":
        return [[text.alias(name), text.is_in(_codes("gbt4754_2017", 4)).alias(fits)]]
    matches = text.str.contains(column.pattern) if column.pattern else pl.lit(True)
    return [[text.alias(name), matches.alias(fits)]]


def _dates(text: pl.Series) -> pl.Series:
    """Days in the first format that reads them; a later format only sees what those before it left."""
    value = text.str.strptime(pl.Date, DATE_FORMATS[0], strict=False)
    for other in DATE_FORMATS[1:]:
        if value.null_count() == text.null_count():
            break
        rest = (value.is_null() & text.is_not_null()).arg_true()
        value = value.scatter(rest, text.gather(rest).str.strptime(pl.Date, other, strict=False))
    return value


def _is_code(column: Column) -> bool:
    return column.type == "string" and column.check == "uscc_checksum"


def _apart(column: Column, texts: pl.DataFrame) -> list[pl.Series]:
    """Values and fits of a column that is no expression: dates, unified social credit codes."""
    if column.type == "date":
        days = _dates(texts[TEXT + column.to])
        return [days.alias(column.to), days.is_not_null().alias(FITS + column.to)]
    return [pl.Series(FITS + column.to, uscc.problem_codes(texts[column.to]) == 0)] if _is_code(column) else []


def _verdict(column: Column) -> Plan:
    """The value where it fits, and flags of what is wrong."""
    text, value, bad = pl.col(TEXT + column.to), pl.col(column.to), pl.col(BAD + column.to)
    flags = [(text.is_not_null() & ~pl.col(FITS + column.to).fill_null(False)).alias(bad.meta.output_name())]
    if column.required:
        flags.append(text.is_null().alias(MISSING + column.to))
    limits = [] if column.min is None else [(value < column.min).alias(LOW + column.to)]
    limits += [] if column.max is None else [(value > column.max).alias(HIGH + column.to)]
    return [flags, [pl.when(~bad).then(value).alias(column.to)], limits]


class Held:
    """A contract as a key of a cache: contracts hold mappings, so they are told apart by identity."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract

    def __hash__(self) -> int:
        return id(self.contract)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Held) and other.contract is self.contract


@dataclass(frozen=True)
class _Plans:
    """The plans of a contract's columns: text by whether all cells are ASCII, values and verdicts, codes."""

    texts: dict[bool, list[Plan]]
    codes: Plan
    values: list[Plan]
    verdicts: list[Plan]
    is_ascii: pl.Expr


@lru_cache(maxsize=256)
def _plans(held: Held) -> _Plans:
    columns = held.contract.columns
    expressions = [c for c in columns if c.type != "date" and not _is_code(c)]
    folded = pl.col([c.header for c in columns if not _is_free(c)] or [columns[0].header])
    return _Plans(
        {ascii_only: [_text(c, ascii_only) for c in columns] for ascii_only in (False, True)},
        [[uscc.normalise(pl.col(TEXT + c.to)).alias(c.to) for c in columns if _is_code(c)]],
        [_number(c) if c.type in ("int", "decimal") else _checked_text(c) for c in expressions],
        [_verdict(c) for c in columns],
        (folded.str.len_bytes() == folded.str.len_chars()).all(),
    )


def _then(frame: pl.LazyFrame, plans: Sequence[Plan]) -> pl.LazyFrame:
    """The first steps of all plans, then the second ones …"""
    for steps in zip_longest(*plans, fillvalue=()):
        if found := [expression for step in steps for expression in step]:
            frame = frame.with_columns(found)
    return frame


def _texts(contract: Contract, raw: pl.DataFrame) -> pl.DataFrame:
    """Trimmed text of each column, null where the file lacks the column; codes normalised besides."""
    absent = [pl.lit(None, pl.String).alias(c.header) for c in contract.columns if c.header not in raw.columns]
    raw = raw.with_columns(absent) if absent else raw
    made = _plans(Held(contract))
    is_ascii = raw.select(made.is_ascii).row(0, named=True)
    plans = [made.texts[is_ascii.get(c.header, False)][at] for at, c in enumerate(contract.columns)]
    first = raw.lazy().select([expression for plan in plans for expression in plan[0]])
    return collect(_then(_then(first, [plan[1:] for plan in plans]), [made.codes]))


def collect(frame: pl.LazyFrame) -> pl.DataFrame:
    """The frame as planned: the steps are in order already, and most files are smaller than the search for a better one."""
    return frame.collect(optimizations=pl.QueryOptFlags.none())


def judged(contract: Contract, raw: pl.DataFrame) -> pl.LazyFrame:
    """Identifiers with the values that fit, and boolean flags ``bad:<identifier>``, ``missing:``, ``low:``, ``high:``.

    ``raw`` has text columns named by the contract's headers; flags other than ``bad:`` exist where the contract asks.
    """
    texts, made = _texts(contract, raw), _plans(Held(contract))
    apart = [series for c in contract.columns for series in _apart(c, texts)]
    return _then(_then(texts.with_columns(apart).lazy(), made.values), made.verdicts)


def expectation(column: Column) -> str:
    """What a cell of the column has to be, for its sender."""
    if column.type == "int":
        return "整数 / a whole number"
    if column.type == "decimal":
        unit = f"（单位 {column.unit}）" if column.unit else ""
        return f"数字，至多两位小数{unit} / a number{unit}"
    if column.type == "date":
        return "日期，如 2021-03-05 / a date such as 2021-03-05"
    if column.check == "enum":
        listed = "、".join(f"{code} {label}" if code != label else code for code, label in column.values.items())
        return f"{listed} 之一 / one of the codes"
    checked = {
        "uscc_checksum": "18 位统一社会信用代码，校验位正确 / a valid unified social credit code",
        "gbt_code": "GB/T 4754-2017 四位小类代码 / a 4-digit GB/T 4754-2017 class",
        "district": "深圳区划代码或区名 / a district code or name",
    }
    return checked[column.check] if column.check else f"符合 {column.pattern} / matching {column.pattern}"
