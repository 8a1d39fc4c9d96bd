"""Run X-13, and again where its own choices leave out what another choice gives: trading days, sliding spans, history."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from etl.methods.seasonal.diagnostics import REVISION, number
from etl.methods.seasonal.program import Output, X13Error, execute
from etl.methods.seasonal.spec import FORCED, Job, Specs, text

WEEKDAYS = re.compile(r"singular because of (Mon|Tue|Wed|Thu|Fri|Sat|Sun|Weekday)\b")
TOO_FEW = "Number of observations after differencing"
AIRLINE = "(0 1 1)(0 1 1)"  # what the program's own choice starts from
SPAN_YEARS = 3  # the shortest span the program takes
FEWER_YEARS = 2  # spans start a year apart, so that three of them fit in
HISTORY_YEARS = 5  # the program starts no history of an adjusted series before
UNITS = "difference"


@dataclass(frozen=True)
class Attempt:
    """What the program gave, the spec it gave it on, and what the user should know of the choices made for it."""

    output: Output
    spec: str
    notes: tuple[str, ...]


def attempt(job: Job, tables: Sequence[str], *, seconds: float = 60.0) -> Attempt:
    """Run a job; without the automatic choices that the series is too short for; with spans and history that fit.

    The program's own span length and start of history need 8 to 12 years. Where it says that they do not fit, spans two
    years shorter than the series (at least three years) and a history from the sixth year on are asked for, unless the
    user set them. ``seconds`` limits each run.

    Raises
    ------
    X13Error
        As :func:`etl.methods.seasonal.program.execute`, of the last of the runs without these choices.

    Source: U.S. Census Bureau, *X-13ARIMA-SEATS Reference Manual* 1.1, sections 7.8 (history) and 7.15 (slidingspans).
    """
    notes: list[str] = []
    while True:
        try:
            found = _run(job, tables, seconds)
            break
        except X13Error as error:
            simpler = _simpler(job.specs, str(error))
            if simpler is None:
                raise
            job = replace(job, specs=simpler[0])
            notes.append(simpler[1])
    fitting = _fitting(job, found.output.diagnostics)
    if fitting:
        with suppress(X13Error):  # the series is there; that spans or history are not is said below
            found = _run(_changed(job, fitting), tables, seconds)
            notes += [
                f"{spec}: {set_to}, as the program's own choice needs more years" for spec, set_to in _said(fitting)
            ]
    return replace(found, notes=(*notes, *_missing(job, found.output)))


def _simpler(specs: Mapping[str, Mapping[str, str]], error: str) -> tuple[Specs, str] | None:
    """The specs without the automatic choice that the series is too short for, by the program's words, and a note."""
    found: Specs = {name: dict(arguments) for name, arguments in specs.items()}
    tests = found.get("regression", {}).get("aictest", "").strip("()").split()
    if WEEKDAYS.search(error) and "td" in tests:
        found["regression"]["aictest"] = f"({' '.join(t for t in tests if t != 'td')})"
        return found, "the series is too short to test trading days; they are left out"
    if TOO_FEW in error and "automdl" in found:
        del found["automdl"]
        found["arima"] = {"model": AIRLINE}
        return found, f"the series is too short to choose a model; it is {AIRLINE}"
    return None


def _run(job: Job, tables: Sequence[str], seconds: float) -> Attempt:
    spec = text(job, tables)
    return Attempt(execute(spec, tables, seconds=seconds, extra=FORCED), spec, ())


def _changed(job: Job, changes: Mapping[str, Mapping[str, str]]) -> Job:
    specs: Specs = {name: {**arguments, **changes.get(name, {})} for name, arguments in job.specs.items()}
    return replace(job, specs=specs)


def _fitting(job: Job, said: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Arguments that make spans and history fit in, for those that failed with the program's own."""
    frequency, size = job.first.frequency, len(job.values)
    found: dict[str, dict[str, str]] = {}
    if said.get("sspans") == "failed" and not {"length", "start", "numspans"} & set(job.specs["slidingspans"]):
        length = max(SPAN_YEARS * frequency, size - FEWER_YEARS * frequency)
        found["slidingspans"] = {"length": str(length)}
    if said.get("history") == "failed" and "start" not in job.specs["history"] and _has_history(job):
        start = job.first.shift(HISTORY_YEARS * frequency)
        found["history"] = {"start": f"{start.year}.{start.within}"}
    return found


def _has_history(job: Job) -> bool:
    """The first figure of one period, at least, can be compared with a later one."""
    return len(job.values) > HISTORY_YEARS * job.first.frequency + 1


def _said(fitting: Mapping[str, Mapping[str, str]]) -> list[tuple[str, str]]:
    return [(spec, ", ".join(f"{k} {v}" for k, v in arguments.items())) for spec, arguments in fitting.items()]


def _missing(job: Job, found: Output) -> list[str]:
    """Why there are no spans or no history though they were asked for."""
    notes, said, specs = [], found.diagnostics, job.specs
    none = said.get("history") != "yes" or number(said.get(REVISION)) is None
    if "slidingspans" in specs and said.get("sspans") != "yes":
        notes.append(f"no sliding spans: {_reason(found.remarks, 'spans')}")
    elif said.get("ssdiff") == "yes":
        notes.append("no sliding spans: adjusted values are not all above zero, so their changes have no per cent")
    if "history" in specs and none and not _has_history(job):
        notes.append(
            f"no revision history: X-13 starts it after {HISTORY_YEARS} years, and two periods more are needed"
        )
    elif "history" in specs and none:
        notes.append(f"no revision history: {_reason(found.remarks, 'history')}")
    elif said.get("r01.aarmode") == UNITS:
        notes.append("mean_absolute_revision is in units of the series, as adjusted values are not all above zero")
    return notes


def _reason(remarks: Sequence[str], subject: str) -> str:
    return next((r for r in reversed(remarks) if subject in r), "") or "X-13 gave none with these settings"
