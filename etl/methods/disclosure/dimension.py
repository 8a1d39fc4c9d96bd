"""Hierarchical dimensions of published tables: codes, their parents, the total."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Dimension:
    """Codes of a dimension; ``codes[0]`` is the total, ``parents[i]`` the number of the code above (-1 for it)."""

    name: str
    codes: tuple[str, ...]
    parents: IntArray

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Number of every code."""
        return {code: i for i, code in enumerate(self.codes)}

    @cached_property
    def lineage(self) -> IntArray:
        """Every code and those above it up to the total, shape ``(codes, levels)``, filled up with -1."""
        rows = [np.arange(len(self.codes), dtype=np.int64)]
        while (rows[-1] > 0).any():
            rows.append(np.where(rows[-1] > 0, self.parents[rows[-1]], -1))
        return np.stack(rows, axis=1)

    @cached_property
    def depth(self) -> IntArray:
        """Steps below the total, shape ``(codes,)``."""
        depth: IntArray = (self.lineage >= 0).sum(axis=1) - 1
        return depth

    def down_to(self, level: int | None) -> int:
        """How many codes, in order, lie at most ``level`` steps below the total (None: all)."""
        return len(self.codes) if level is None else int(np.searchsorted(self.depth, level, side="right"))

    @cached_property
    def leaf(self) -> NDArray[np.bool_]:
        """Codes with nothing below them, shape ``(codes,)``."""
        leaf = np.ones(len(self.codes), dtype=np.bool_)
        leaf[self.parents[1:]] = False
        return leaf


def shown_levels(items: Sequence[str], names: Sequence[str]) -> dict[str, int | None]:
    """Dimension → deepest level a table shows (None: all), from items ``dim`` or ``dim:k``; roots have depth 1.

    Raises
    ------
    ValueError
        For unknown dimensions, and levels that are no whole number above zero.
    """
    found: dict[str, int | None] = {}
    for item in items:
        name, _, level = (item, "", "") if item in names else item.rpartition(":")
        if name not in names:
            raise ValueError(
                f"未知维度 / unknown dimension {item!r}; expected some of {', '.join(names)}, or name:level"
            )
        if level and (not level.isdecimal() or int(level) < 1):
            raise ValueError(f"层级有误 / {item!r}: expected name or name:level with a whole number after the colon")
        found[name] = int(level) if level else None
    return found


def _ordered(name: str, parents: Mapping[str, str], total: str) -> Dimension:
    """Codes with parents before children, otherwise in order of code; refuses circles and unknown parents."""
    below: dict[str, list[str]] = {}
    for code, parent in parents.items():
        if parent != total and parent not in parents:
            raise ValueError(f"维度 {name}: 上级代码 {parent!r} 不存在 / parent {parent!r} of {code!r} is no code")
        below.setdefault(parent, []).append(code)
    codes, above, queue = [total], [-1], [total]
    while queue:
        at = codes.index(parent := queue.pop(0))
        for code in sorted(below.get(parent, ())):
            codes.append(code)
            above.append(at)
            queue.append(code)
    if lost := sorted(set(parents) - set(codes)):
        raise ValueError(f"维度 {name}: 代码成环 / codes of {name!r} lie in a circle: {lost[:5]}")
    return Dimension(name, tuple(codes), np.array(above, dtype=np.int64))


def from_parents(name: str, pairs: Iterable[tuple[str, str | None]], total: str = "Total") -> Dimension:
    """A dimension from ``(child, parent)`` pairs; a root has the parent ``None``, an empty one or the total.

    Raises
    ------
    ValueError
        For a code with two parents, an unknown parent, a circle.
    """
    parents: dict[str, str] = {}
    for child, parent in pairs:
        above = total if parent in (None, "", total) else str(parent)
        if child in (total, above):
            continue
        if parents.setdefault(child, above) != above:
            raise ValueError(
                f"维度 {name}: 代码 {child!r} 有两个上级 / code {child!r} lies under {parents[child]!r} and {above!r}"
            )
    return _ordered(name, parents, total)


def _cleaned(frame: pl.DataFrame, levels: Sequence[str], total: str) -> pl.DataFrame:
    """Level columns as text; the total, an empty text and a repetition of the coarser code count as no code."""
    if missing := [c for c in levels if c not in frame.columns]:
        raise ValueError(f"缺少列 {missing} / no columns {missing}; found {frame.columns}")
    columns: list[pl.Series] = []
    for level in levels:
        text = frame[level].cast(pl.String)
        columns.append(text.set(text.is_in(["", total]), None))
    return pl.DataFrame(columns)


def from_levels(
    frame: pl.DataFrame, name: str, levels: Sequence[str], total: str = "Total"
) -> tuple[Dimension, IntArray]:
    """A dimension from columns coarse → fine, and the number of every row's finest code (0: the total).

    A null, an empty text or the total in a column ends the row's line there (unbalanced hierarchies); a code that
    stands in several columns of a row is one code.
    """
    text = _cleaned(frame, levels, total)
    finest = text.select(pl.coalesce(pl.col(list(levels)[::-1]))).to_series().fill_null(total)
    pairs: set[tuple[str, str | None]] = set()
    for row in text.unique().sort(list(levels)).rows():
        line: list[Any] = list(dict.fromkeys(code for code in row if code is not None))
        pairs.update(zip(line, [None, *line], strict=False))
    dimension = from_parents(name, sorted(pairs, key=str), total)
    return dimension, numbered(dimension, finest)


def numbered(dimension: Dimension, codes: pl.Series) -> IntArray:
    """Numbers of a column of codes (null: the total); names the first unknown ones."""
    text = codes.cast(pl.String).fill_null(dimension.codes[0])
    numbers = text.replace_strict(list(dimension.codes), range(len(dimension.codes)), default=-1, return_dtype=pl.Int64)
    if (numbers < 0).any():
        wrong = text.filter(numbers < 0).unique().sort().to_list()[:5]
        raise ValueError(f"维度 {dimension.name}: 未知代码 / unknown codes {wrong}")
    return numbers.to_numpy().astype(np.int64)
