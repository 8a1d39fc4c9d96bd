"""Spec files of X-13ARIMA-SEATS: defaults, the user's changes, text."""

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from etl.methods.periods import Period

FloatArray = NDArray[np.float64]
Specs = dict[str, dict[str, str]]
# What a user may set: nothing that names a file, and no other way to adjust than X-11.
OPEN = (
    "transform", "regression", "automdl", "arima", "estimate", "outlier", "forecast", "x11", "check", "slidingspans",
    "history", "force",
)  # fmt: skip
ORDER = ("series", *OPEN)
CLOSED = (
    "file", "save", "data", "user", "usertype", "savelog", "print", "name", "title", "format",
    "appendfcst", "appendbcst",
)  # fmt: skip
# The start of data that a user cannot give; of spans, history and forced years it is his choice.
STARTS = ("transform", "regression")
ARGUMENT = re.compile(r"([a-z0-9]+)(?:\.([a-z0-9]+))?\s*=\s*(.*)", re.I | re.A)
HARMLESS = re.compile(r"[\w\s.,+\-()\[\]*/]*", re.A)
LONGEST_LINE = 120
FORCED = ("rnd", "saa")  # the adjusted series with forced years: rounded, and not


@dataclass(frozen=True)
class Regressors:
    """User regressors: ``values`` shape ``(periods, k)`` from ``first`` on, one name each."""

    names: Sequence[str]
    values: FloatArray
    first: Period


@dataclass(frozen=True)
class Job:
    """A series and what X-13 is asked to do with it; ``specs`` are argument texts by spec."""

    first: Period
    values: FloatArray
    specs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    holiday: Regressors | None = None


def defaults(period: Period, transform: str, *, spans: bool, history: bool) -> Specs:
    """Automatic choice of transformation, model, outliers, trading days and Easter; X-11; a year of forecasts."""
    specs: Specs = {
        "transform": {"function": transform},
        "regression": {"aictest": "(td easter)"},
        "automdl": {},
        "outlier": {},
        "forecast": {"maxlead": str(period.frequency)},
        "x11": {},
        "check": {},
    }
    if spans:
        # Of an additive adjustment the program gives differences, which no limit goes with, unless told so.
        specs["slidingspans"] = {"additivesa": "percent"}
    if history:
        specs["history"] = {"estimates": "sadj"}
    return specs


def overrides(specs: Specs, changes: Sequence[str]) -> Specs:
    """The specs with changes such as ``x11.seasonalma=s3x5``, ``arima.model=(0 1 1)(0 1 1)``, ``outlier=none``.

    ``spec=none`` takes a spec out, ``spec=`` puts it in with its defaults, ``spec.argument=none`` takes an argument out.
    A given model replaces the automatic one.

    Raises
    ------
    ValueError
        If a change is not of that form, names a spec or argument that is not open to users, or holds other signs than
        letters, digits, brackets and ``. , + - * /``.
    """
    found = {name: dict(arguments) for name, arguments in specs.items()}
    for change in changes:
        match = ARGUMENT.fullmatch(change.strip())
        if match is None:
            raise ValueError(f"{change!r} is not spec.argument=value (x11.seasonalma=s3x5) or spec=none")
        spec, argument, value = match[1].lower(), (match[2] or "").lower(), match[3].strip()
        _refuse_closed(spec, argument, value)
        if not HARMLESS.fullmatch(value):
            raise ValueError(f"{change!r}: the value may hold ASCII letters, digits, brackets and . , + - * / only")
        if argument:
            arguments = found.setdefault(spec, {})
            arguments.pop(argument, None)
            if value.lower() != "none" or (spec, argument) == ("transform", "function"):
                arguments[argument] = value
        elif value.lower() == "none":
            found.pop(spec, None)
        else:
            found.setdefault(spec, {})
        if spec == "arima":
            found.pop("automdl", None)
    return found


def _refuse_closed(spec: str, argument: str, value: str) -> None:
    if spec not in OPEN:
        raise ValueError(f"{spec} cannot be set; open are: {', '.join(OPEN)}")
    if argument in CLOSED or (argument == "start" and spec in STARTS):
        raise ValueError(
            f"{spec}.{argument} cannot be set, as the series, its regressors and what is saved are given by the input; "
            f"not open are: {', '.join(CLOSED)}, and start of {' and '.join(STARTS)}"
        )
    if (spec, argument, value.lower()) == ("x11", "", "none"):
        raise ValueError("x11 cannot be taken out, as it makes the adjusted series; take x11=none away")


def text(job: Job, tables: Sequence[str]) -> str:
    """The spec file; ``tables`` of X-11 are saved."""
    specs = {name: dict(arguments) for name, arguments in job.specs.items()}
    series = {
        "start": _when(job.first),
        "period": str(job.first.frequency),
        "data": _numbers(job.values.tolist()),
    }
    if job.holiday is not None:
        regression = specs.setdefault("regression", {})
        regression["user"] = f"({' '.join(job.holiday.names)})"
        regression["usertype"] = f"({' '.join('holiday' for _ in job.holiday.names)})"
        regression["start"] = _when(job.holiday.first)
        regression["data"] = _numbers(job.holiday.values.reshape(-1).tolist())
    specs.setdefault("x11", {})["save"] = f"({' '.join(tables)})"
    if "force" in specs:
        specs["force"]["save"] = f"({' '.join(FORCED)})"
    specs["series"] = series
    return "\n".join(_block(name, specs[name]) for name in ORDER if name in specs) + "\n"


def _block(name: str, arguments: Mapping[str, str]) -> str:
    lines = [line for key, value in arguments.items() for line in _lines(f"  {key} = {value}")]
    return "\n".join([f"{name}{{", *lines, "}"])


def _lines(argument: str) -> list[str]:
    # The program reads no line of more than 132 signs.
    return textwrap.wrap(
        argument, LONGEST_LINE, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )


def _when(period: Period) -> str:
    return f"{period.year}.{period.within}"


def _numbers(values: Sequence[float]) -> str:
    return f"( {' '.join(repr(float(v)) for v in values)} )"
