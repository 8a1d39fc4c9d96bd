"""Weights of error localisation read from text: pairs, JSON, numbers in order, or the CSV ``variable,weight`` of a file."""

import json
import math
from collections.abc import Sequence
from typing import Any, Final

from etl.methods.editing.expressions import EditError

HEAD: Final = ["variable", "weight"]


def weights_from_text(text: str, variables: Sequence[str], columns: Sequence[str] = ()) -> dict[str, float]:
    """Weights from ``a=2;b=0.5`` (also ``,`` or lines), a JSON object, lines under ``variable,weight``, or bare numbers.

    Parameters
    ----------
    text
        Empty: no weight. ``Inf``: the variable may not be changed.
    variables
        Those of the edits, in the order of the table: bare numbers are theirs.
    columns
        All of the table's, the variables among them; bare numbers may be one for each of these instead. A weight of a
        column in no edit is read and has no effect.

    Returns
    -------
    dict
        Weight by variable of the edits.

    Raises
    ------
    EditError
        If the text is none of these, or a weight is not positive, stands twice or is of no column.
    """
    if not text.strip():
        return {}
    known = list(columns or variables)
    found: dict[str, float] = {}
    for name, given in _pairs(text.strip(), variables, known):
        if name in found:
            raise EditError(f"weights: {name} stands twice; give it once")
        if name not in known:
            raise EditError(f"weights: {name} is no column of the table; found: {', '.join(known)}")
        found[name] = _weight(name, given)
    return {name: weight for name, weight in found.items() if name in variables}


def _pairs(text: str, variables: Sequence[str], columns: Sequence[str]) -> list[tuple[str, Any]]:
    if text.startswith("{"):
        return _from_json(text)
    rows = [[cell.strip(' "') for cell in line.split(",")] for line in text.splitlines() if line.strip()]
    if rows[0] == HEAD and all(len(row) == 2 for row in rows):
        return [(name, weight) for name, weight in rows[1:]]
    parts = [p.strip() for p in text.replace(";", ",").replace("\n", ",").split(",") if p.strip()]
    pairs = [tuple(x.strip() for x in p.split("=")) for p in parts]
    if all(len(p) == 2 for p in pairs):
        return [(name, weight) for name, weight in pairs]
    if all(map(_is_number, parts)):
        names = next((n for n in (variables, columns) if len(n) == len(parts)), None)
        if names is None:
            raise EditError(
                f"weights: {len(parts)} numbers; expected {len(variables)}, of the columns named in the edits "
                f"({', '.join(variables)}), or {len(columns)}, of all columns ({', '.join(columns)})"
            )
        return list(zip(names, parts, strict=True))
    raise _unreadable(text)


def _from_json(text: str) -> list[tuple[str, Any]]:
    try:
        pairs = json.loads(text, object_pairs_hook=lambda pairs: pairs)  # a dict would hide a name that stands twice
    except ValueError:
        raise _unreadable(text) from None
    return [(str(name), weight) for name, weight in pairs]


def _unreadable(text: str) -> EditError:
    shown = text if len(text) <= 60 else f"{text[:60]}…"
    return EditError(
        f"weights {shown!r}: expected 'a=2;b=0.5', a JSON object, one number a column, or an existing file that holds "
        'one of these or CSV lines under "variable,weight"'
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _weight(name: str, given: Any) -> float:
    readable = isinstance(given, str | int | float) and not isinstance(given, bool) and _is_number(str(given))
    weight = float(given) if readable else math.nan
    if not weight > 0:
        raise EditError(f"weights: {name}: {given!r}; expected a positive number (Inf: the variable is never changed)")
    return weight
