"""Text tables → typed rows by the contract; each cell that does not fit becomes an issue with its expectation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import polars as pl

from etl import uscc
from etl.contract import MONEY_FACTORS, Column, Contract, RowRule
from taxonomy.scheme import load_scheme

ROW: Final = "__row"
MONEY: Final = pl.Decimal(20, 2)
MISSING_MARKS: Final = ("", "-", "--", "—", "－", "…", "..", "...", "......", "/", "N/A", "n/a", "NA", "无")
ISSUE: Final = {
    ROW: pl.Int64,
    "identifier": pl.String,
    "value": pl.String,
    "expectation": pl.String,
    "reason": pl.String,
}
DATE_FORMATS: Final = ("%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%Y年%m月%d日", "%Y-%m-%d %H:%M:%S")


@dataclass(frozen=True)
class Typed:
    """``frame`` has ``__row`` and the contract's identifiers; ``issues`` one row per cell or rule that does not fit."""

    frame: pl.DataFrame
    issues: pl.DataFrame


class Seen:
    """Keys of the rows read so far in one file; a key that comes again is a duplicate."""

    def __init__(self) -> None:
        self._keys: list[pl.DataFrame] = []

    def duplicates(self, keys: pl.DataFrame) -> pl.Series:
        """True where a complete key stands earlier in ``keys`` or in what was handed in before."""
        whole = pl.all_horizontal(pl.all().is_not_null())
        later = keys.select(~pl.struct(pl.all()).is_first_distinct() & whole).to_series()
        if self._keys:
            before = pl.concat(self._keys).join(keys, on=keys.columns, how="semi")
            met = keys.with_row_index(ROW).join(before, on=keys.columns, how="semi")[ROW]
            again = pl.Series(range(keys.height), dtype=pl.UInt32).is_in(met.implode())
            later = later | (again & keys.select(whole).to_series())
        self._keys.append(keys)
        return later


@cache
def _codes(scheme: str, level: int | None) -> frozenset[str]:
    codes = load_scheme(scheme).codes
    return frozenset(c.code for c in codes if level is None or c.level == level)


@cache
def _district_names() -> dict[str, str]:
    return {c.name_zh: c.code for c in load_scheme("district_sz").codes}


def _text(column: Column, cells: pl.Series) -> pl.Series:
    """Trimmed text, null where missing; marks for missing count as missing except in free text."""
    folded = cells if column.type == "string" and not column.check else uscc.nfkc(cells)
    trimmed = folded.str.strip_chars(" \t　\r\n")
    marks = ("",) if column.type == "string" and not column.check else MISSING_MARKS
    kept = pl.select(pl.when(~trimmed.is_in(marks)).then(trimmed)).to_series()
    if column.ditto:
        repeated = pl.select(pl.when(~kept.is_in(column.ditto)).then(kept)).to_series().forward_fill()
        kept = pl.select(pl.when(kept.is_in(column.ditto)).then(repeated).otherwise(kept)).to_series()
    return kept.alias(column.to)


def _number(column: Column, text: pl.Series) -> tuple[pl.Series, pl.Series, str]:
    plain = text.str.replace_all(r"[,\s]", "")
    factor = MONEY_FACTORS.get(column.unit or "", 1)
    if column.type == "int":
        fits = plain.str.contains(r"^[+-]?\d{1,15}(\.0+)?$")
        value = plain.str.replace(r"\.0+$", "").cast(pl.Int64, strict=False)
        return value, fits, "整数 / a whole number"
    fits = plain.str.contains(r"^[+-]?\d{1,15}(\.\d{1,6}0*)?$|^[+-]?\d{1,15}\.\d+$")
    exact = plain.cast(pl.Decimal(38, 8), strict=False) * factor
    value = exact.cast(MONEY, strict=False)
    precise = (exact == value.cast(pl.Decimal(38, 8))).fill_null(False)
    unit = f"（单位 {column.unit}）" if column.unit else ""
    return value, fits & precise, f"数字，至多两位小数{unit} / a number{unit}"


def _date(text: pl.Series) -> tuple[pl.Series, pl.Series, str]:
    value = text.str.strptime(pl.Date, DATE_FORMATS[0], strict=False)
    for other in DATE_FORMATS[1:]:
        rest = (value.is_null() & text.is_not_null()).arg_true()
        if rest.len():
            value = value.scatter(rest, text.gather(rest).str.strptime(pl.Date, other, strict=False))
    return value, value.is_not_null(), "日期，如 2021-03-05 / a date such as 2021-03-05"


def _enum(column: Column, text: pl.Series) -> tuple[pl.Series, pl.Series, str]:
    known = {code: code for code in column.values} | {label: code for code, label in column.values.items()}
    value = text.replace_strict(known, default=None, return_dtype=pl.String)
    listed = "、".join(f"{code} {label}" if code != label else code for code, label in column.values.items())
    return value, value.is_not_null(), f"{listed} 之一 / one of the codes"


def _checked_text(column: Column, text: pl.Series) -> tuple[pl.Series, pl.Series, str]:
    if column.check == "uscc_checksum":
        codes = uscc.normalise(text)
        problems = pl.Series(uscc.problem_codes(codes.fill_null("")))
        return codes, problems == 0, "18 位统一社会信用代码，校验位正确 / a valid unified social credit code"
    if column.check == "gbt_code":
        return (
            text,
            text.is_in(_codes("gbt4754_2017", 4)),
            "GB/T 4754-2017 四位小类代码 / a 4-digit GB/T 4754-2017 class",
        )
    if column.check == "district":
        value = text.replace(_district_names())
        return value, value.is_in(_codes("district_sz", None)), "深圳区划代码或区名 / a district code or name"
    if column.pattern:
        return text, text.str.contains(column.pattern), f"符合 {column.pattern} / matching {column.pattern}"
    return text, pl.Series([True]).new_from_index(0, len(text)), ""


def _value(column: Column, text: pl.Series) -> tuple[pl.Series, pl.Series, str]:
    if column.type in ("int", "decimal"):
        return _number(column, text)
    if column.type == "date":
        return _date(text)
    return _enum(column, text) if column.check == "enum" else _checked_text(column, text)


def _issues(where: pl.Series, column: str, shown: pl.Series, expectation: str | pl.Series, reason: str) -> pl.DataFrame:
    """Issues at the rows where ``where`` is true."""
    rows = where.fill_null(False).arg_true()
    expected = expectation if isinstance(expectation, str) else expectation.gather(rows)
    return pl.DataFrame({ROW: rows.cast(pl.Int64), "value": shown.gather(rows).cast(pl.String)}).select(
        ROW, pl.lit(column).alias("identifier"), "value", pl.lit(expected).alias("expectation"),
        pl.lit(reason).alias("reason"),
    )  # fmt: skip


def _column(column: Column, cells: pl.Series) -> tuple[pl.Series, list[pl.DataFrame]]:
    text = _text(column, cells)
    value, fits, expectation = _value(column, text)
    bad = text.is_not_null() & ~fits.fill_null(False)
    found = [_issues(bad, column.to, cells, expectation, "值不符合要求 / value does not fit")]
    value = pl.select(pl.when(~bad).then(value)).to_series().alias(column.to)
    if column.required:
        found.append(_issues(text.is_null(), column.to, cells, "必填 / required", "缺值 / value missing"))
    if column.min is not None:
        low = f"不小于 {column.min} / at least {column.min}"
        found.append(_issues((value < column.min), column.to, cells, low, "小于下限 / below the minimum"))
    if column.max is not None:
        high = f"不大于 {column.max} / at most {column.max}"
        found.append(_issues((value > column.max), column.to, cells, high, "大于上限 / above the maximum"))
    return value, [f for f in found if f.height]


def _rule(rule: RowRule, frame: pl.DataFrame) -> pl.DataFrame:
    """Rows that contradict themselves; a missing operand is not zero."""
    if rule.kind == "le":
        broken = frame.select(pl.col(str(rule.left)) > _plus(str(rule.right), frame, rule.tolerance)).to_series()
        return _issues(
            broken,
            rule.columns[0],
            frame[rule.columns[0]].cast(pl.String),
            rule.expectation,
            "行内矛盾 / contradiction",
        )
    parts = pl.sum_horizontal(pl.col(list(rule.parts)))
    complete = pl.all_horizontal(pl.col(list(rule.parts)).is_not_null())
    over = parts - pl.col(str(rule.total)) > rule.tolerance
    under = pl.col(str(rule.total)) - parts > rule.tolerance
    broken = frame.select(over | (complete & under) if rule.kind == "sum" else over).to_series()
    total = frame[str(rule.total)].cast(pl.String)
    return _issues(broken, str(rule.total), total, rule.expectation, "行内矛盾 / contradiction")


def _plus(name: str, frame: pl.DataFrame, tolerance: int) -> pl.Expr:
    return pl.col(name) + tolerance if tolerance and frame.schema[name].is_numeric() else pl.col(name)


def _duplicates(contract: Contract, frame: pl.DataFrame, seen: Seen) -> pl.DataFrame:
    key = list(contract.own_key)
    later = seen.duplicates(frame.select(key))
    return _issues(
        later, key[0], frame[key[0]].cast(pl.String), f"同一文件中 {'+'.join(key)} 唯一 / unique key in a file",
        "重复记录，保留第一条 / duplicate, the first is kept",
    )  # fmt: skip


def type_rows(contract: Contract, raw: pl.DataFrame, seen: Seen | None = None) -> Typed:
    """Typed columns and issues of a text table whose columns are the contract's headers.

    ``seen`` holds the keys of the blocks of the same file that came before.
    """
    values: list[pl.Series] = []
    issues: list[pl.DataFrame] = []
    for column in contract.columns:
        absent = column.header not in raw.columns
        cells = pl.Series(column.header, [None] * raw.height, dtype=pl.String) if absent else raw[column.header]
        value, found = _column(column, cells)
        values.append(value)
        issues += found
    frame = pl.DataFrame(values).with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias(ROW))
    checks: Sequence[Callable[[], pl.DataFrame]] = [lambda r=r: _rule(r, frame) for r in contract.rules]  # type: ignore[misc]
    issues += [check() for check in checks]
    issues.append(_duplicates(contract, frame, seen or Seen()))
    found_all = pl.concat([i.cast(ISSUE) for i in issues]) if issues else pl.DataFrame(schema=ISSUE)  # type: ignore[arg-type]
    return Typed(frame, found_all.sort(ROW, "identifier", maintain_order=True))
