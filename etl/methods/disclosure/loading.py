"""Input of ``protect`` and ``audit``: a CSV file and a specification to a :class:`Problem`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from etl.methods.disclosure.problem import LIMIT, Problem, ProblemError
from etl.methods.disclosure.problem_build import Source, from_microdata
from etl.methods.disclosure.problem_cells import from_cells
from etl.methods.disclosure.spec import Spec, SpecError
from etl.methods.disclosure.textfile import DECIMALS, check_columns, numbers, read_rows

COUNT: Final = "n"


@dataclass(frozen=True)
class Loaded:
    """What was read: the specification, the rows as they count (values as numbers), the problem, remarks.

    ``frame`` has the columns the specification names; ``status`` in cells mode is filled from the count of
    contributors where none is given.
    """

    spec: Spec
    frame: pl.DataFrame
    problem: Problem
    notes: tuple[str, ...]

    @property
    def status(self) -> str | None:
        """Column of given statuses, if there is one."""
        return "__status" if "__status" in self.frame.columns else None


def load(path: Path, spec: Spec) -> Loaded:
    """Read the input and check it against the specification.

    Raises
    ------
    ProblemError
        For anything wrong: file, line and column, expectation, remedy.
    """
    frame = read_rows(path)
    for source in spec.sources:
        check_columns(frame, path, source.levels or (source.column,))
    check_columns(frame, path, [c for c in _plain(spec) if c is not None])
    notes: list[str] = []
    try:
        if spec.mode == "microdata":
            frame = _microdata(frame, path, spec, notes)
            problem = from_microdata(
                frame, spec.sources, spec.value, spec.contributor, spec.weight, spec.tables, tuple(spec.public),
                spec.waivers,
            )  # fmt: skip
        else:
            frame, count = _cells(frame, path, spec, notes)
            problem = from_cells(
                frame, spec.sources, spec.value, "__status", spec.lower, spec.upper, count, spec.tables,
                frequency=spec.value is None,
            )  # fmt: skip
    except SpecError:
        raise
    except ProblemError as error:
        text = str(error)
        raise ProblemError(text if str(path) in text else f"{path}: {text}; correct the input or {spec.path}") from None
    return Loaded(spec, frame, problem, tuple(notes))


def _plain(spec: Spec) -> tuple[str | None, ...]:
    return (spec.value, spec.contributor, spec.weight, spec.status, spec.count, spec.lower, spec.upper)


def _microdata(frame: pl.DataFrame, path: Path, spec: Spec, notes: list[str]) -> pl.DataFrame:
    columns = []
    if spec.value is not None:
        gaps = frame[spec.value].null_count()
        if gaps:
            notes.append(f"{gaps} 行无数值，未计入 / {gaps} rows have no {spec.value} and count for nothing")
        columns.append(_rounded(numbers(frame, spec.value, path, empty=True), notes))
    if spec.weight is not None:
        weights = numbers(frame, spec.weight, path).cast(pl.Float64)
        if (weights < 0).any():
            at = int((weights < 0).arg_true()[0])
            raise ProblemError(
                f"权重为负 / {path} line {at + 2}, column {spec.weight}: {weights[at]}; expected 0 or more; correct the row"
            )
        columns.append(weights)
    frame = frame.with_columns(columns)
    if spec.contributor is not None:
        _unknown_names(frame, spec, notes)
    return frame if spec.value is None else frame.filter(pl.col(spec.value).is_not_null())


def _rounded(values: pl.Series, notes: list[str]) -> pl.Series:
    """What has more decimals than can be counted exactly is rounded to as many as fit."""
    size = float(values.cast(pl.Float64).abs().sum())
    if isinstance(values.dtype, pl.Decimal) and size * 10.0**values.dtype.scale < LIMIT / 2:
        return values
    values = values.cast(pl.Float64)
    fitting = [d for d in range(DECIMALS + 1) if size * 10.0**d < LIMIT / 2]
    if not fitting:
        raise ProblemError(
            f"列 {values.name} 数值过大 / column {values.name!r}: sum of {size:g} cannot be counted exactly"
        )
    short = values.round(fitting[-1])
    if float((short - values).abs().max() or 0.0) > 0:  # type: ignore[arg-type]
        notes.append(f"{values.name} 四舍五入到 {fitting[-1]} 位小数 / rounded to {fitting[-1]} decimals")
    whole = (short * 10.0 ** fitting[-1]).round(0).cast(pl.Int64).cast(pl.Decimal(38, 0))
    exact = [None if v is None else v.scaleb(-fitting[-1]) for v in whole.to_list()]
    return pl.Series(values.name, exact, dtype=pl.Decimal(38, fitting[-1]))


def _unknown_names(frame: pl.DataFrame, spec: Spec, notes: list[str]) -> None:
    names = set(frame[str(spec.contributor)].drop_nulls().unique())
    for what, listed in (("waivers", spec.waivers), ("public", tuple(spec.public))):
        if strange := [n for n in listed if n not in names]:
            notes.append(
                f"{what}: {len(strange)} 个名称不在数据中 / {len(strange)} names are not in the input, e.g. {strange[0]}"
            )


def _cells(frame: pl.DataFrame, path: Path, spec: Spec, notes: list[str]) -> tuple[pl.DataFrame, str | None]:
    count = spec.count or (COUNT if spec.value is None and COUNT in frame.columns else None)
    if spec.value is None and count is None:
        raise ProblemError(
            f"缺少数值 / {spec.path}: a finished table needs value: COLUMN, or count: COLUMN for a frequency table "
            f"(a column {COUNT!r} serves as well); name one of {', '.join(frame.columns)}"
        )
    read = {c: numbers(frame, c, path) for c in (spec.value, count) if c is not None}
    for column, values in read.items():
        scale = values.dtype.scale if isinstance(values.dtype, pl.Decimal) else 0
        if float(values.cast(pl.Float64).abs().sum()) * 10.0**scale >= LIMIT / 2:
            raise ProblemError(
                f"数值过大 / {path}, column {column}: the sum cannot be counted exactly; expected less than 2^59 units of "
                "the smallest decimal; give fewer decimals or a larger unit"
            )
    read |= {c: numbers(frame, c, path, empty=True).cast(pl.Float64) for c in (spec.lower, spec.upper) if c is not None}
    status = frame[spec.status] if spec.status is not None else pl.Series([None] * frame.height, dtype=pl.String)
    status = status.fill_null("")
    if (wrong := ~status.is_in(["", "u", "s", "z", "m"])).any():
        at = int(wrong.arg_true()[0])
        raise ProblemError(
            f"未知状态 / {path} line {at + 2}, column {spec.status}: {status[at]!r}; expected u, s, z, m or nothing; "
            "correct the row"
        )
    if spec.status is None and count is None and spec.lower is None:
        notes.append("无状态列和单位数：没有初级保护单元 / no status and no count of contributors: nothing is unsafe")
    frame = frame.with_columns(**read)
    if count is not None:
        few = (frame[count] > 0) & (frame[count] < spec.rules.min_contributors)
        status = pl.Series([("u" if f and s == "" else s) for s, f in zip(status, few, strict=True)], dtype=pl.String)
    return frame.with_columns(__status=status), count


def finest(frame: pl.DataFrame, source: Source) -> list[str]:
    """Every row's finest code of a dimension, the total's where there is none; by own reading of the columns."""
    columns = source.levels or (source.column,)
    rows = frame.select(pl.col(list(columns)).cast(pl.String)).rows()
    codes = []
    for row in rows:
        named = [c for c in row if c not in (None, "", source.total)]
        codes.append(str(named[-1]) if named else source.total)
    return codes


def ancestors(frame: pl.DataFrame, source: Source) -> Mapping[str, str]:
    """Code → code above (the total's for roots), of every code of the input and the hierarchy file."""
    above: dict[str, str] = {}
    if source.levels:
        for row in frame.select(pl.col(list(source.levels)).cast(pl.String)).unique().rows():
            line = list(dict.fromkeys(c for c in row if c not in (None, "", source.total)))
            above.update(zip(line, [source.total, *line], strict=False))
        return above
    for child, parent in source.pairs:
        if child != source.total and child != parent:
            above[child] = parent or source.total
    return above


def units_of(values: pl.Series, scale: int) -> np.ndarray:
    """Values as whole numbers of ``10 ** -scale``, as Python counts them."""
    return np.array([round(v * 10**scale) for v in values.to_list()], dtype=np.int64)
