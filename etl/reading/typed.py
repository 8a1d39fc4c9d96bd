"""Text tables → typed rows by the contract; each cell that does not fit becomes an issue with its expectation."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import polars as pl

from etl.contract import Column, Contract, RowRule
from etl.reading.columns import BAD, HIGH, LOW, MISSING, Held, collect, expectation, judged

ROW: Final = "__row"
ISSUE: Final = {
    ROW: pl.Int64,
    "identifier": pl.String,
    "value": pl.String,
    "expectation": pl.String,
    "reason": pl.String,
}


@dataclass(frozen=True)
class Typed:
    """``frame`` has ``__row`` and the contract's identifiers; ``issues`` one row per cell or rule that does not fit."""

    frame: pl.DataFrame
    issues: pl.DataFrame


@dataclass(frozen=True)
class _Check:
    """One thing that may be wrong: the column of the flag, the identifier blamed, what to tell."""

    flag: str
    identifier: str
    expectation: str
    reason: str


class Seen:
    """Keys of the rows read so far in one file; a key that comes again is a duplicate."""

    def __init__(self) -> None:
        self._keys: list[pl.DataFrame] = []

    def duplicates(self, keys: pl.DataFrame) -> pl.Series:
        """True where a complete key stands earlier in ``keys`` or in what was handed in before."""
        whole = pl.all_horizontal(pl.all().is_not_null())
        one = pl.all() if keys.width == 1 else pl.struct(pl.all())
        later = keys.select(~one.is_first_distinct() & whole).to_series()
        if self._keys:
            before = pl.concat(self._keys).join(keys, on=keys.columns, how="semi")
            met = keys.with_row_index(ROW).join(before, on=keys.columns, how="semi")[ROW]
            again = pl.Series(range(keys.height), dtype=pl.UInt32).is_in(met.implode())
            later = later | (again & keys.select(whole).to_series())
        self._keys.append(keys)
        return later


def _column_checks(column: Column) -> Iterator[_Check]:
    yield _Check(BAD + column.to, column.to, expectation(column), "值不符合要求 / value does not fit")
    if column.required:
        yield _Check(MISSING + column.to, column.to, "必填 / required", "缺值 / value missing")
    if column.min is not None:
        low = f"不小于 {column.min} / at least {column.min}"
        yield _Check(LOW + column.to, column.to, low, "小于下限 / below the minimum")
    if column.max is not None:
        high = f"不大于 {column.max} / at most {column.max}"
        yield _Check(HIGH + column.to, column.to, high, "大于上限 / above the maximum")


def _broken(contract: Contract, rule: RowRule) -> pl.Expr:
    """True in rows that contradict themselves; a missing operand is not zero."""
    if rule.kind == "le":
        is_number = contract.column(str(rule.right)).type in ("int", "decimal")
        right = pl.col(str(rule.right)) + rule.tolerance if rule.tolerance and is_number else pl.col(str(rule.right))
        return pl.col(str(rule.left)) > right
    parts = pl.sum_horizontal(pl.col(list(rule.parts)))
    complete = pl.all_horizontal(pl.col(list(rule.parts)).is_not_null())
    over = parts - pl.col(str(rule.total)) > rule.tolerance
    under = pl.col(str(rule.total)) - parts > rule.tolerance
    return over | (complete & under) if rule.kind == "sum" else over


def _issues(check: _Check, where: pl.Series, shown: pl.Series) -> pl.DataFrame:
    """Issues at the rows where ``where`` is true."""
    rows = where.fill_null(False).arg_true()
    told = (check.identifier, check.expectation, check.reason)
    identifier, expected, reason = (pl.lit(text, pl.String) for text in told)
    return pl.DataFrame({ROW: rows.cast(pl.Int64), "value": shown.gather(rows).cast(pl.String)}).select(
        ROW, identifier.alias("identifier"), "value", expected.alias("expectation"), reason.alias("reason")
    )


@dataclass(frozen=True)
class _Checks:
    """What is looked at in a contract's rows: cells, then contradictions (with their flags), then keys that come again."""

    cells: tuple[_Check, ...]
    rules: tuple[_Check, ...]
    again: _Check
    broken: tuple[pl.Expr, ...]


@lru_cache(maxsize=256)
def _checks(held: Held) -> _Checks:
    contract = held.contract
    rules = tuple(
        _Check(f"rule:{at}", rule.columns[0], rule.expectation, "行内矛盾 / contradiction")
        for at, rule in enumerate(contract.rules)
    )
    key = contract.own_key
    unique = f"同一文件中 {'+'.join(key)} 唯一 / unique key in a file"
    return _Checks(
        tuple(check for column in contract.columns for check in _column_checks(column)),
        rules,
        _Check("again:", key[0], unique, "重复记录，保留第一条 / duplicate, the first is kept"),
        tuple(_broken(contract, r).alias(check.flag) for r, check in zip(contract.rules, rules, strict=True)),
    )


def _found(contract: Contract, raw: pl.DataFrame, frame: pl.DataFrame, checks: _Checks) -> pl.DataFrame:
    """The issues of all checks, by row and identifier; only flags that are set somewhere are looked at."""
    rows = (*checks.rules, checks.again)
    counts = frame.select(pl.col([check.flag for check in (*checks.cells, *rows)]).sum()).row(0, named=True)
    found = [pl.DataFrame(schema=ISSUE)]
    for check in checks.cells:
        if counts[check.flag]:
            header = contract.column(check.identifier).header
            absent = header not in raw.columns
            cells = pl.Series([None], dtype=pl.String).new_from_index(0, raw.height) if absent else raw[header]
            found.append(_issues(check, frame[check.flag], cells))
    found += [_issues(check, frame[check.flag], frame[check.identifier]) for check in rows if counts[check.flag]]
    return pl.concat(found).sort(ROW, "identifier", maintain_order=True) if len(found) > 1 else found[0]


def type_rows(contract: Contract, raw: pl.DataFrame, seen: Seen | None = None) -> Typed:
    """Typed columns and issues of a text table whose columns are the contract's headers.

    ``seen`` holds the keys of the blocks of the same file that came before.
    """
    checks = _checks(Held(contract))
    row = pl.int_range(pl.len(), dtype=pl.Int64).alias(ROW)
    frame = collect(judged(contract, raw).with_columns(row, *checks.broken))
    again = (seen or Seen()).duplicates(frame.select(contract.own_key))
    frame = frame.with_columns(again.alias(checks.again.flag))
    return Typed(frame.select([c.to for c in contract.columns] + [ROW]), _found(contract, raw, frame, checks))
