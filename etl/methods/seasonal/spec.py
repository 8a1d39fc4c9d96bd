"""Spec files of X-13ARIMA-SEATS: defaults, the user's changes, text."""

import re
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
CLOSED = ("file", "save", "data", "start", "user", "usertype", "savelog", "print", "name", "title", "format")
ARGUMENT = re.compile(r"([a-z0-9]+)(?:\.([a-z0-9]+))?\s*=\s*(.*)", re.I)
HARMLESS = re.compile(r"[\w\s.,+\-()\[\]*/]*")
LONGEST_LINE = 120


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
        specs["slidingspans"] = {}
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
        if spec not in OPEN or argument in CLOSED:
            raise ValueError(
                f"{match[1]}{'.' + argument if argument else ''} cannot be set; open are: {', '.join(OPEN)}"
            )
        if not HARMLESS.fullmatch(value):
            raise ValueError(f"{change!r}: the value may hold letters, digits, brackets and . , + - * / only")
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
    specs["series"] = series
    return "\n".join(_block(name, specs[name]) for name in ORDER if name in specs) + "\n"


def _block(name: str, arguments: Mapping[str, str]) -> str:
    lines = [f"  {key} = {value}" for key, value in arguments.items()]
    return "\n".join([f"{name}{{", *lines, "}"])


def _when(period: Period) -> str:
    return f"{period.year}.{period.within}"


def _numbers(values: Sequence[float]) -> str:
    lines, line = [], "("
    for value in values:
        word = repr(float(value))
        if len(line) + len(word) + 1 > LONGEST_LINE:
            lines.append(line)
            line = "   "
        line += f" {word}"
    return "\n".join([*lines, f"{line} )"])
