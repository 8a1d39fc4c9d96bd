"""Methods run on a table of any user: declared columns and parameters in, a result and rows out.

A runner checks nothing about columns itself: what it declares is checked and cast before it is called, so that every method
refuses bad input in the same words. The functions that hold the mathematics stay beside it and take arrays or series.
"""

import importlib
import math
import pkgutil
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import polars as pl

Kind = Literal["text", "number", "integer", "flag", "period"]
ParameterKind = Literal["text", "number", "integer", "flag", "choice", "numbers", "table", "lines", "text_or_file"]
FLAGS = {
    "1": True,
    "0": False,
    "1.0": True,
    "0.0": False,
    "true": True,
    "false": False,
    "是": True,
    "否": False,
    "yes": True,
    "no": False,
}
PERIOD = re.compile(r"(\d{4})(?:-?(0[1-9]|1[0-2])|-?Q([1-4]))?")
BETWEEN_NAMES = re.compile("[;；,，、]")


class BadInput(ValueError):
    """What a user gave does not fit what the method declares: one line, what, where, expected, what to do."""


@dataclass(frozen=True)
class Column:
    """A column of the input. ``name`` may be a pattern such as ``x\\d+`` with ``pattern=True`` (one or more columns).

    ``required``: the column must be there; ``nullable``: its cells may be empty (null, never zero).
    """

    name: str
    kind: Kind
    note: str
    required: bool = True
    nullable: bool = False
    pattern: bool = False


@dataclass(frozen=True)
class Parameter:
    """A parameter. ``table`` and ``lines`` are given as files: a frame of strings, a list of non-empty lines.

    ``text_or_file``: a text, or a file that holds it. ``least``: the smallest number taken.
    """

    name: str
    kind: ParameterKind
    note: str
    default: Any = None
    choices: tuple[str, ...] = ()
    required: bool = False
    least: int | None = None


@dataclass(frozen=True)
class MethodResult:
    """``result``: the scalars of the whole; ``rows``: one row an element, in the order the page of the method states."""

    result: Mapping[str, Any] = field(default_factory=dict)
    rows: pl.DataFrame = field(default_factory=pl.DataFrame)


Runner = Callable[[pl.DataFrame, Mapping[str, Any]], MethodResult]


@dataclass(frozen=True)
class TableMethod:
    """A runnable method; its page is ``docs/methods/<id>.md``. ``input_needed`` False: it takes parameters alone."""

    id: str
    title: str
    columns: tuple[Column, ...]
    parameters: tuple[Parameter, ...]
    run: Runner
    input_needed: bool = True


_RUNNERS: dict[str, TableMethod] = {}


def table_method(
    identifier: str,
    title: str,
    columns: Sequence[Column],
    parameters: Sequence[Parameter] = (),
    *,
    input_needed: bool = True,
) -> Callable[[Runner], Runner]:
    """Make the decorated function runnable under ``identifier`` by ``aistat method run``.

    Raises
    ------
    ValueError
        If another function carries the identifier.
    """

    def register(run: Runner) -> Runner:
        known = _RUNNERS.get(identifier)
        if known is not None and known.run.__qualname__ != run.__qualname__:
            raise ValueError(f"table method {identifier!r} is already {known.run.__module__}.{known.run.__qualname__}")
        _RUNNERS[identifier] = TableMethod(identifier, title, tuple(columns), tuple(parameters), run, input_needed)
        return run

    return register


def table_methods() -> Mapping[str, TableMethod]:
    """Every runnable method by identifier, sorted; imports all modules beside this one first."""
    package = __name__.rpartition(".")[0]
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        importlib.import_module(module.name)
    return MappingProxyType(dict(sorted(_RUNNERS.items())))


def run_table(method: TableMethod, frame: pl.DataFrame, parameters: Mapping[str, Any]) -> MethodResult:
    """Check and cast a frame of strings and parameters (strings, or frames and lists for files), then run.

    Raises
    ------
    BadInput
        If a column is missing or unknown, a cell is of the wrong kind, or a parameter is unknown, missing or out of range.
    """
    return method.run(checked_frame(method, frame), checked_parameters(method, parameters))


def checked_frame(method: TableMethod, frame: pl.DataFrame) -> pl.DataFrame:
    """The declared columns of ``frame``, typed; columns the method does not know are left out. A table without a row is refused."""
    help_ = f"'aistat method show {method.id}' lists what is expected"
    typed = typed_columns(method.id, method.columns, frame, help_, absent=not method.input_needed)
    if method.input_needed and not frame.height:
        raise BadInput(f"{method.id}: the table is empty: a header line and no row; at least one row is expected")
    return typed


def typed_columns(
    where: str, columns: Sequence[Column], frame: pl.DataFrame, help_: str, *, absent: bool = False
) -> pl.DataFrame:
    """The declared columns of a table of strings, typed; others are left out. ``absent``: required ones may be absent.

    Raises
    ------
    BadInput
        If a column is missing or its name differs from a declared one by upper case or blanks alone, or a cell is empty
        or of the wrong kind; says ``where``, the line of a file with one header line, and ``help_``.
    """
    known, patterns = ([c.name for c in columns if c.pattern is wanted] for wanted in (False, True))
    refuse_near_names(where, frame.columns, known, patterns)
    chosen: list[pl.Series] = []
    for column in columns:
        names = [n for n in frame.columns if re.fullmatch(_pattern(column), n)]
        if not names and column.required and not absent:
            what = _described(column) if column.pattern else f"column {column.name} ({column.note})"
            raise BadInput(f"{where}: {what} is missing; found: {', '.join(frame.columns) or 'none'}; {help_}")
        chosen += [_typed(where, column, frame[n]) for n in names]
    return pl.DataFrame(chosen)


def refuse_near_names(where: str, names: Sequence[str], known: Sequence[str], patterns: Sequence[str] = ()) -> None:
    """BadInput for a column that would be left out, or taken for another, for the case of its letters or a blank alone."""
    exact = {k.casefold(): k for k in known}
    for name in names:
        loose = name.strip().casefold()
        meant = exact.get(loose)
        if meant is None and not any(re.fullmatch(p, name) for p in patterns):
            meant = next((loose for p in patterns if re.fullmatch(p, loose)), None)
        if meant not in (None, name):
            raise BadInput(f"{where}: column {name!r} is not known; {meant!r} is: rename the column")


def _described(column: Column) -> str:
    """Columns of a pattern in words: how their names begin, where all begin alike, and what they are."""
    begins = re.match(r"\w*", column.name)
    return f"a column {begins[0]}… of {column.note}" if begins and begins[0] else f"a column of {column.note}"


def _pattern(column: Column) -> str:
    return column.name if column.pattern else re.escape(column.name)


def names_in(cell: str | None) -> list[str]:
    """Names of several units in one cell, in any of the separators of :data:`BETWEEN_NAMES`; none in an empty one."""
    return [name for part in BETWEEN_NAMES.split(cell or "") if (name := part.strip())]


def checked_parameters(method: TableMethod, given: Mapping[str, Any]) -> dict[str, Any]:
    """Every declared parameter with its value or default."""
    known = {p.name: p for p in method.parameters}
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise BadInput(f"{method.id}: parameter {unknown[0]} is not known; parameters: {', '.join(known) or 'none'}")
    missing = [p.name for p in method.parameters if p.required and p.name not in given]
    if missing:
        raise BadInput(
            f"{method.id}: parameter {missing[0]} ({known[missing[0]].note}) is needed; add --param {missing[0]}=…"
        )
    return {name: _value(method.id, p, given[name]) if name in given else p.default for name, p in known.items()}


def _typed(method: str, column: Column, cells: pl.Series) -> pl.Series:
    text = cells.cast(pl.String).str.strip_chars()
    text = pl.select(pl.when(text == "").then(None).otherwise(text).alias(cells.name)).to_series()
    cast, expected = _CASTS[column.kind](text)
    bad = text.is_not_null() & cast.is_null()
    if bad.any():
        raise _cell_error(method, cells.name, bad, f"{text.filter(bad)[0]!r} is not {expected}")
    if not column.nullable and cast.is_null().any():
        raise _cell_error(method, cells.name, cast.is_null(), f"empty; {expected} is expected")
    return cast


def _cell_error(method: str, column: str, bad: pl.Series, what: str) -> BadInput:
    line = int(bad.arg_true()[0]) + 2
    return BadInput(f"{method}: line {line}, column {column}: {what} ({int(bad.sum())} such cells)")


def _number(text: pl.Series) -> tuple[pl.Series, str]:
    number = text.cast(pl.Float64, strict=False)
    return pl.select(pl.when(number.is_finite()).then(number).alias(text.name)).to_series(), "a number"


def _flag(text: pl.Series) -> tuple[pl.Series, str]:
    found = text.str.to_lowercase().replace_strict(FLAGS, default=None, return_dtype=pl.Boolean)
    return found, "1/0, true/false or 是/否"


def _period(text: pl.Series) -> tuple[pl.Series, str]:
    text = text.str.to_uppercase()  # of 2025q3
    fits = text.str.contains(f"^(?:{PERIOD.pattern})$")
    expected = "a period (2025, 2025-09, 202509, 2025-Q3)"
    return pl.select(pl.when(fits).then(text).alias(text.name)).to_series(), expected


_CASTS: dict[str, Callable[[pl.Series], tuple[pl.Series, str]]] = {
    "text": lambda s: (s, "a text"),
    "number": _number,
    "integer": lambda s: (s.cast(pl.Int64, strict=False), "a whole number"),
    "flag": _flag,
    "period": _period,
}


def _value(method: str, parameter: Parameter, given: Any) -> Any:
    try:
        value = _PARAMETER_CASTS[parameter.kind](given)
    except (TypeError, ValueError, KeyError):
        raise BadInput(
            f"{method}: parameter {parameter.name}: {given!r} is not {_EXPECTED[parameter.kind]} ({parameter.note})"
        ) from None
    if parameter.least is not None and value < parameter.least:
        raise BadInput(
            f"{method}: parameter {parameter.name}: {given} is below {parameter.least}, the least ({parameter.note})"
        )
    if not parameter.choices:
        return value
    spelt = {choice.lower(): choice for choice in parameter.choices}
    if str(value).strip().lower() not in spelt:
        raise BadInput(f"{method}: parameter {parameter.name}: {value!r} is not one of {', '.join(parameter.choices)}")
    return spelt[str(value).strip().lower()]


def _finite(given: Any) -> float:
    number = float(given)
    if not math.isfinite(number):
        raise ValueError(given)
    return number


def _list(given: Any) -> list[float]:
    return [_finite(x) for x in (str(given).split(",") if isinstance(given, str) else given)]


def _instance(kind: type) -> Callable[[Any], Any]:
    def check(given: Any) -> Any:
        if not isinstance(given, kind):
            raise TypeError(given)
        return given

    return check


_PARAMETER_CASTS: dict[str, Callable[[Any], Any]] = {
    "text": str,
    "text_or_file": str,
    "choice": str,
    "number": _finite,
    "integer": int,
    "flag": lambda g: g if isinstance(g, bool) else FLAGS[str(g).lower()],
    "numbers": _list,
    "table": _instance(pl.DataFrame),
    "lines": _instance(list),
}

_EXPECTED: dict[str, str] = {
    "text": "a text",
    "text_or_file": "a text or a file",
    "choice": "one of the choices",
    "number": "a number, such as 0.5",
    "integer": "a whole number, such as 3",
    "flag": "1/0, true/false or 是/否",
    "numbers": "a list of numbers with commas between them, such as 0.5,2",
    "table": "a table; give a CSV file",
    "lines": "a list of lines; give a text file",
}
