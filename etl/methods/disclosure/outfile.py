"""The officer's file of all cells (OUT) and the public one, which holds nothing but figures."""

import csv
import io
import math
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from etl.methods.disclosure.loading import Loaded
from etl.methods.disclosure.sensitivity import Sensitivity

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
WITHHELD: Final = "保密"
NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
BOM: Final = "\ufeff"


def amount(units: int, scale: int) -> str:
    """A number of ``10 ** -scale`` written exactly, without idle zeros."""
    text = f"{Decimal(units).scaleb(-scale):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def rows(
    loaded: Loaded, hidden: BoolArray, found: Sensitivity, distances: tuple[FloatArray, FloatArray] | None = None
) -> tuple[list[str], list[list[str]]]:
    """Header and one line a cell (each once, whatever tables show it), in order of the tables.

    ``distances``: how far an attacker must allow below and above the value of every variable, in units; bounds are
    rounded towards the value, so that what is stated is never wider than what was proved.
    """
    problem = loaded.problem
    names = [d.name for d in problem.dims]
    counts = _counts(loaded, found)
    lines, seen = [], set()
    for row in problem.cells.select(*names, "variable").rows():
        key, variable = row[:-1], row[-1]
        if key in seen:
            continue
        seen.add(key)
        lines.append([*key, *_figures(loaded, variable, hidden, found, counts.get(key, ""), distances)])
    return [*names, "value", "n", "status", "lower", "upper"], lines


def _counts(loaded: Loaded, found: Sensitivity) -> dict[tuple[str, ...], str]:
    """Contributors of every cell; of a finished table where they are given."""
    problem, spec = loaded.problem, loaded.spec
    names = [d.name for d in problem.dims]
    cells = problem.cells.select(*names, "variable").rows()
    if spec.mode == "microdata":
        return {c[:-1]: str(int(found.n[c[-1]])) if c[-1] >= 0 else "0" for c in cells}
    column = spec.count or ("n" if spec.value is None else None)
    if column is None:
        return {}
    from etl.methods.disclosure.loading import finest

    codes = zip(*(finest(loaded.frame, s) for s in spec.sources), strict=True)
    return {k: str(int(n)) for k, n in zip(codes, loaded.frame[column].to_list(), strict=True)}


def _figures(
    loaded: Loaded, variable: int, hidden: BoolArray, found: Sensitivity, count: str,
    distances: tuple[FloatArray, FloatArray] | None,
) -> list[str]:  # fmt: skip
    problem = loaded.problem
    if variable < 0:
        return ["0", count or "", "empty", "0", "0"]
    value = int(problem.values[variable])
    text = amount(value, problem.scale)
    if not hidden[variable]:
        return [text, count, "published", text, text]
    status = "primary" if found.unsafe[variable] else "secondary"
    if distances is None:
        return ["", count, status, "", ""]
    below, above = (float(side[variable]) for side in distances)
    lower = "" if math.isinf(below) else amount(value - math.floor(below + 1e-3), problem.scale)
    upper = "" if math.isinf(above) else amount(value + math.floor(above + 1e-3), problem.scale)
    return ["", count, status, lower, upper]


def safe(text: str) -> str:
    """Text no spreadsheet takes for a formula."""
    if text and text[0] in "=+-@\t\r\n＝＋－＠" and not NUMBER.fullmatch(text):
        return "'" + text
    return text


def as_csv(header: Sequence[str], lines: Sequence[Sequence[str]], mark: str = "") -> bytes:
    """A CSV file; ``mark`` goes before it."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\r\n" if mark else "\n")
    writer.writerow(header)
    writer.writerows(lines)
    return (mark + stream.getvalue()).encode("utf-8")


def public_csv(loaded: Loaded, header: Sequence[str], lines: Sequence[Sequence[str]]) -> bytes:
    """Codes, values and 保密: nothing of contributors, kinds of withholding or bounds."""
    count = len(loaded.problem.dims)
    shown = [
        [*(safe(c) for c in line[:count]), WITHHELD if line[count + 2] in ("primary", "secondary") else line[count]]
        for line in lines
    ]
    return as_csv([*(safe(h) for h in header[:count]), "value"], shown, BOM)


def listing(checks: dict[str, Any]) -> str:
    """Names of failed checks with their counts, for one line."""
    parts = []
    for name, check in checks.items():
        if not check["passed"]:
            counts = ", ".join(
                f"{k} {v}" for k, v in check.items() if isinstance(v, int) and not isinstance(v, bool) and v
            )
            parts.append(f"{name} ({counts})" if counts else name)
    return "; ".join(parts)
