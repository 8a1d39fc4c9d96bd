"""What the rows say of every cell, added up afresh from the input file: value, contributors, what the rules find."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etl.methods.disclosure.dimension import shown_levels
from etl.methods.disclosure.loading import Loaded, ancestors, finest, units_of
from etl.methods.disclosure.problem_build import Source
from etl.methods.disclosure.sensitivity import RuleSet

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Key = tuple[str, ...]
#: More levels than any dimension has.
DEEP: Final = 10_000


@dataclass(frozen=True)
class Facts:
    """One entry a cell with at least one row: ``keys``; values in units; ``n`` contributors (-1: not known).

    ``unsafe`` by the rules or as given, with required ``upper`` and ``lower`` distance and ``width``; ``forced``: to
    be published although; ``owner``: the only contributor that is not public, or None.
    """

    keys: dict[Key, int]
    value: IntArray
    n: IntArray
    unsafe: BoolArray
    forced: BoolArray
    upper: IntArray
    lower: IntArray
    width: IntArray
    owner: list[str | None]
    contributions: pl.DataFrame


def find(loaded: Loaded) -> Facts:
    """Add up every cell that a table shows and apply the rules to it."""
    return _from_rows(loaded) if loaded.spec.mode == "microdata" else _from_cells(loaded)


def _levels(loaded: Loaded) -> list[tuple[int, ...]]:
    """By table: how many levels below the total it shows of every dimension."""
    names = loaded.spec.dims
    found = []
    for items in (loaded.spec.tables or {"": names}).values():
        shown = shown_levels(items, names)
        found.append(tuple(DEEP if shown.get(n, 0) is None else int(shown.get(n) or 0) for n in names))
    return found


def _line(loaded: Loaded, source: Source, codes: list[str]) -> pl.Series:
    """Every code with everything above it, the total last."""
    above, lines = ancestors(loaded.frame, source), []
    for code in codes:
        lines.append([code])
        while lines[-1][-1] != source.total:
            lines[-1].append(above[lines[-1][-1]])
    return pl.Series(lines, dtype=pl.List(pl.String))


def _spread(loaded: Loaded) -> pl.LazyFrame:
    """One line a (cell, row): number of the cell's key columns ``d0 …`` and ``row``."""
    sources = loaded.spec.sources
    dims = [f"d{i}" for i in range(len(sources))]
    finest_codes = {d: pl.Series(finest(loaded.frame, s), dtype=pl.String) for d, s in zip(dims, sources, strict=True)}
    rows = pl.LazyFrame(finest_codes).with_row_index("row")
    leaves = rows.select(dims).unique()
    for d, source in zip(dims, sources, strict=True):
        codes = sorted(set(finest_codes[d]))
        lines = pl.LazyFrame({d: codes, f"{d}_line": _line(loaded, source, codes)}, schema_overrides={d: pl.String})
        leaves = leaves.join(lines, on=d)
    parts = []
    for levels in _levels(loaded):
        part = leaves.with_columns(pl.col(f"{d}_line").list.tail(k + 1) for d, k in zip(dims, levels, strict=True))
        for d in dims:
            part = part.explode(f"{d}_line")
        parts.append(part)
    cells = pl.concat(parts).unique() if len(parts) > 1 else parts[0]
    return rows.join(cells, on=dims).select("row", *(pl.col(f"{d}_line").alias(d) for d in dims))


def _from_rows(loaded: Loaded) -> Facts:
    spec, frame, scale = loaded.spec, loaded.frame, loaded.problem.scale
    units = np.ones(frame.height, np.int64) if spec.value is None else units_of(frame[spec.value], scale)
    weighted = units
    if spec.weight is not None:
        weighted = np.rint(units * frame[spec.weight].to_numpy()).astype(np.int64)
    names = frame[spec.contributor].to_list() if spec.contributor else [None] * frame.height
    who = [f"\x1f{i}" if name is None else str(name) for i, name in enumerate(names)]
    answered = np.ones(frame.height, np.bool_) if spec.observed is None else frame[spec.observed].to_numpy()
    # What nobody answered adds to the figure and is nobody's.
    units = np.where(answered, units, 0)
    rows = pl.LazyFrame({"units": units, "weighted": weighted, "who": who}).with_row_index("row")
    dims = [f"d{i}" for i in range(len(spec.dims))]
    long = _spread(loaded).join(rows, on="row").collect().lazy()
    cells = long.group_by(dims).agg(
        pl.col("weighted").sum(),
        public=pl.col("units").filter(pl.col("who").is_in(list(spec.public))).sum(),
        n=pl.col("who").filter(pl.col("units") != 0).n_unique(),
    ).sort(dims).with_row_index("cell").collect()  # fmt: skip
    given = long.group_by([*dims, "who"]).agg(pl.col("units").sum()).filter(pl.col("units") != 0)
    given = given.join(cells.lazy().select("cell", *dims), on=dims).with_columns(size=pl.col("units").abs())
    given = given.sort("cell", "size", "who", descending=[False, True, False])
    return _judged(loaded, cells, given.collect(), dims, bool((weighted < 0).any()))


def _judged(loaded: Loaded, cells: pl.DataFrame, given: pl.DataFrame, dims: list[str], negative: bool) -> Facts:
    spec, count = loaded.spec, cells.height
    unsafe, distance = np.zeros(count, np.bool_), np.zeros(count, np.int64)
    owner: list[str | None] = [None] * count
    value, public = cells["weighted"].to_numpy(), cells["public"].to_list()
    secret = given.filter(~pl.col("who").is_in(list(spec.public)))
    estimated = spec.weight is not None and not negative
    blank = [pl.col(f"d{i}").is_in(list(spec.unanswered.get(n, ()))) for i, n in enumerate(spec.dims)]
    silent = cells.select(pl.any_horizontal(blank)).to_series().to_numpy()
    for cell, who, sizes in secret.group_by("cell", maintain_order=True).agg("who", "size").rows():
        owner[cell] = who[0] if len(who) == 1 else None
        total = int(value[cell]) - public[cell] if estimated else sum(sizes)
        if not silent[cell]:
            unsafe[cell], distance[cell] = judge(who, sizes, total, spec.rules, spec.waivers, spec.counts)
    width = _width(value, unsafe, loaded)
    keys = {row: i for i, row in enumerate(cells.select(dims).rows())}
    none = np.zeros(count, np.bool_)
    return Facts(
        keys, value, cells["n"].to_numpy().astype(np.int64), unsafe, none, distance, distance.copy(), width, owner,
        given.select("cell", "who", "units"),
    )  # fmt: skip


def judge(
    who: list[str], sizes: list[int], total: int, rules: RuleSet, waivers: tuple[str, ...], counts: bool
) -> tuple[bool, int]:
    """Whether contributions (large to small, nobody's public) make a cell unsafe, and the distance its bounds must keep."""
    open_to = [i for i, name in enumerate(who) if name not in waivers]
    if not open_to:
        return False, 0
    unsafe, distance = len(who) < rules.min_contributors, Fraction(0)
    if counts:
        return unsafe, 0
    largest = sizes[open_to[0]]
    others = sizes[: open_to[0]] + sizes[open_to[0] + 1 :]
    if rules.p_percent is not None:
        rest = total - largest - sum(others[:1])
        distance = max(distance, Fraction(str(rules.p_percent)) / 100 * largest - rest)
    for number, percent in rules.dominance:
        held = largest + sum(others[: number - 1])
        distance = max(distance, held * 100 / Fraction(str(percent)) - total)
    return unsafe or distance > 0, -(-distance.numerator // distance.denominator)


def _width(value: IntArray, unsafe: BoolArray, loaded: Loaded) -> IntArray:
    share = Fraction(str(loaded.spec.rules.min_width_percent)) / 100
    least = 10**loaded.problem.scale if loaded.spec.counts else 1
    width = [
        max(least, -(-abs(int(v)) * share.numerator // share.denominator)) if u else 0
        for v, u in zip(value, unsafe, strict=True)
    ]
    return np.array(width, dtype=np.int64)


def _from_cells(loaded: Loaded) -> Facts:
    spec, frame, scale = loaded.spec, loaded.frame, loaded.problem.scale
    codes = list(zip(*(finest(frame, s) for s in spec.sources), strict=True))
    below = [_steps(ancestors(frame, s), s.total) for s in spec.sources]
    wanted = [
        any(all(at[c] <= level for c, at, level in zip(key, below, levels, strict=True)) for levels in _levels(loaded))
        for key in codes
    ]
    count = spec.count or ("n" if spec.value is None else None)
    value = units_of(frame[str(spec.value or count)], scale)
    n = np.full(len(codes), -1, np.int64) if count is None else units_of(frame[count], 0)
    given = frame["__status"].to_list()
    low, up = (_asked(frame, name, scale) for name in (spec.lower, spec.upper))
    few = (spec.value is None) & (value > 0) & (value < spec.rules.min_contributors)
    unsafe = np.array([g in ("u", "m") or (f and g == "") for g, f in zip(given, few, strict=True)], dtype=np.bool_)
    forced = np.array([g == "z" for g in given], dtype=np.bool_)
    share = Fraction(str(spec.rules.p_percent or 0)) / 100
    for side in (low, up):
        for i, letter in enumerate(given):
            if letter == "u" and spec.value is not None and side[i] < 0:
                side[i] = -(-abs(int(value[i])) * share.numerator // share.denominator)
        side[~unsafe | (side < 0)] = 0
    picked = [i for i, w in enumerate(wanted) if w and (value[i] != 0 or n[i] > 0)]
    at = np.array(picked, dtype=np.int64)
    empty = pl.DataFrame(schema={"cell": pl.UInt32, "who": pl.String, "units": pl.Int64})
    return Facts(
        {codes[i]: k for k, i in enumerate(picked)}, value[at], n[at], unsafe[at], forced[at], up[at], low[at],
        _width(value, unsafe, loaded)[at], [None] * at.size, empty,
    )  # fmt: skip


def _steps(above: Mapping[str, str], total: str) -> dict[str, int]:
    """Steps of every code below the total."""
    steps = {total: 0}
    for code in above:
        line = [code]
        while line[-1] not in steps:
            line.append(above[line[-1]])
        for place, one in enumerate(reversed(line[:-1]), 1):
            steps[one] = steps[line[-1]] + place
    return steps


def _asked(frame: pl.DataFrame, column: str | None, scale: int) -> IntArray:
    if column is None:
        return np.full(frame.height, -1, np.int64)
    distances = [None if v is None else Fraction(str(v)) * 10**scale for v in frame[column].to_list()]
    return np.array([-1 if d is None else round(np.ceil(float(d) - 1e-6)) for d in distances], dtype=np.int64)
