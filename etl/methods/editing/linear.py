"""Linear edits: an expression as a row of coefficients, ready for a programme or for prorating."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from etl.methods.editing.expressions import Call, EditError, Name, Node, Number, Text, names
from etl.methods.editing.rules import ROUNDING, Edit, unknown_column

FloatArray = NDArray[np.float64]

STRICT_GAP: Final = 1e-3
"""What a repair keeps between the sides of a strict comparison (``<``, ``>``): linear programmes know closed sets only."""


@dataclass(frozen=True)
class LinearEdit:
    """:math:`lower \\le \\sum_j c_j x_j \\le upper`; an open side is infinite; ``coefficients`` are not zero.

    ``is_equality``: written with ``=``; ``lower`` and ``upper`` then lie a tolerance below and above one value. ``gap``: of a
    strict comparison (the bounds themselves fail), how far inside the bounds a repair stays; 0: the bounds belong to it.
    """

    id: str
    coefficients: Mapping[str, float]
    lower: float
    upper: float
    is_equality: bool = False
    gap: float = 0.0


@dataclass(frozen=True)
class LinearSystem:
    """Edits as rows: ``matrix`` of shape ``(edits, variables)``; ``lower``, ``upper``, ``gap`` of shape ``(edits,)``."""

    matrix: FloatArray
    lower: FloatArray
    upper: FloatArray
    gap: FloatArray

    def scaled(self) -> "LinearSystem":
        """The same edits, each divided by its largest coefficient."""
        size = np.abs(self.matrix).max(axis=1, initial=0.0)
        return LinearSystem(self.matrix / size[:, None], self.lower / size, self.upper / size, self.gap / size)

    def room(self, records: FloatArray) -> FloatArray:
        """Rounding of the sums of complete records, shape ``(…, edits)``: a share of the absolute terms and the bound."""
        bounds = np.abs(np.stack([self.lower, self.upper]))
        bound = np.where(np.isfinite(bounds), bounds, 0.0).max(axis=0)
        found: FloatArray = ROUNDING * (np.abs(records) @ np.abs(self.matrix).T + bound)
        return found

    def fails(self, records: FloatArray) -> NDArray[np.bool_]:
        """Edits that records (shape ``(…, variables)``) fail, shape ``(…, edits)``; a missing value leaves an edit open."""
        missing = np.isnan(records)
        known = np.where(missing, 0.0, records)
        sums, room = known @ self.matrix.T, self.room(known)
        strict = (sums <= self.lower + room) | (sums >= self.upper - room)
        closed = (sums < self.lower - room) | (sums > self.upper + room)
        found: NDArray[np.bool_] = np.where(self.gap > 0, strict, closed) & ~(missing @ (self.matrix != 0).T)
        return found

    def asked(self, record: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Bounds that a repair of a record keeps: a gap inside where strict, or no nearer than the record that satisfies it."""
        sums = self.matrix @ np.where(np.isnan(record), 0.0, record)
        near = (self.gap > 0) & ~self.fails(record) & ~(self.matrix[:, np.isnan(record)] != 0).any(axis=1)
        lower, upper = self.lower + self.gap, self.upper - self.gap
        return np.where(near, np.minimum(lower, sums), lower), np.where(near, np.maximum(upper, sums), upper)


def linear_system(edits: Sequence[LinearEdit], variables: Sequence[str]) -> LinearSystem:
    """The edits as one system over ``variables``.

    Raises
    ------
    EditError
        If an edit's variable is not there.
    """
    place = {name: j for j, name in enumerate(variables)}
    matrix = np.zeros((len(edits), len(variables)))
    for i, edit in enumerate(edits):
        for name, coefficient in edit.coefficients.items():
            if name not in place:
                raise unknown_column(edit.id, name, variables)
            matrix[i, place[name]] = coefficient
    lower, upper, gap = np.array([(e.lower, e.upper, e.gap) for e in edits], dtype=np.float64).reshape(-1, 3).T
    return LinearSystem(matrix, lower, upper, gap)


@dataclass(frozen=True)
class _Form:
    """A sum of coefficients times variables, and a constant."""

    terms: Mapping[str, float]
    constant: float

    def scaled(self, factor: float) -> "_Form":
        return _Form({k: v * factor for k, v in self.terms.items()}, self.constant * factor)

    def plus(self, other: "_Form") -> "_Form":
        terms = {k: self.terms.get(k, 0.0) + other.terms.get(k, 0.0) for k in {**self.terms, **other.terms}}
        return _Form(terms, self.constant + other.constant)


def linear_edits(edits: Sequence[Edit], *, strict_gap: float = STRICT_GAP) -> tuple[LinearEdit, ...]:
    """The edits as rows. ``and`` gives several rows; a ratio ``x / y <= c`` becomes ``x - c*y <= 0`` with ``y >= 0``.

    Raises
    ------
    EditError
        If an edit is not linear (``or``, ``if``, ``!=``, functions, products of variables), or has no variable.
    """
    return tuple(row for edit in edits for row in _rows(edit, edit.tree, strict_gap))


def _rows(edit: Edit, node: Node, gap: float) -> list[LinearEdit]:
    if isinstance(node, Call) and node.function == "and":
        return [row for part in node.arguments for row in _rows(edit, part, gap)]
    if not isinstance(node, Call) or node.function not in ("<=", ">=", "==", "<", ">"):
        raise _not_linear(edit, f"{node.function!r} " if isinstance(node, Call) else "")
    left, right = node.arguments
    implied: tuple[LinearEdit, ...] = ()
    ratio = next((s for s in (left, right) if _is_ratio(s)), None)
    if ratio is not None:
        left, right, implied = _without_ratio(edit, ratio, right if ratio is left else left, ratio is left)
    form = _form(edit, left).plus(_form(edit, right).scaled(-1.0))
    bound = -form.constant
    strict = node.function in ("<", ">")
    room = 0.0 if strict else edit.tolerance
    lower = bound - room if node.function in (">=", ">", "==") else float("-inf")
    upper = bound + room if node.function in ("<=", "<", "==") else float("inf")
    terms = {k: v for k, v in form.terms.items() if v != 0.0}
    if not terms:
        raise EditError(f"edit {edit.id}: {edit.expression!r} depends on no variable")
    return [LinearEdit(edit.id, terms, lower, upper, node.function == "==", gap if strict else 0.0), *implied]


def _is_ratio(node: Node) -> bool:
    return isinstance(node, Call) and node.function == "/" and bool(names(node.arguments[1]))


def _without_ratio(edit: Edit, ratio: Node, other: Node, on_left: bool) -> tuple[Node, Node, tuple[LinearEdit, ...]]:
    if names(other) or not isinstance(ratio, Call):
        raise _not_linear(edit, "a ratio against a variable ")
    top, bottom = ratio.arguments
    product = Call("*", (other, bottom))
    form = _form(edit, bottom)
    positive = LinearEdit(edit.id, dict(form.terms), -form.constant, float("inf"))
    return (top, product, (positive,)) if on_left else (product, top, (positive,))


def _form(edit: Edit, node: Node) -> _Form:
    if isinstance(node, Number):
        return _Form({}, node.value)
    if isinstance(node, Name):
        return _Form({node.name: 1.0}, 0.0)
    if isinstance(node, Text) or node.function not in ("+", "-", "*", "/"):
        raise _not_linear(edit, "a text " if isinstance(node, Text) else f"{node.function!r} ")
    parts = [_form(edit, a) for a in node.arguments]
    if len(parts) == 1:
        return parts[0].scaled(-1.0)
    left, right = parts
    if node.function in ("+", "-"):
        return left.plus(right if node.function == "+" else right.scaled(-1.0))
    if node.function == "/":
        if right.terms or right.constant == 0.0:
            raise _not_linear(edit, "a division by a variable or by zero ")
        return left.scaled(1.0 / right.constant)
    if left.terms and right.terms:
        raise _not_linear(edit, "a product of variables ")
    return right.scaled(left.constant) if not left.terms else left.scaled(right.constant)


def _not_linear(edit: Edit, what: str) -> EditError:
    return EditError(
        f"edit {edit.id}: {edit.expression!r}: {what}is not linear; expected e.g. 'a*x + b*y <= c', '=', '>=' or 'x / y <= c'"
    )
