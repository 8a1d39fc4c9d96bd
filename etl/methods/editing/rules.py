"""Edits as data (审核关系): hard and soft rules checked on a table; what fails, what cannot be judged."""

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final, Literal

import polars as pl

from etl.methods.editing.expressions import Call, EditError, Name, Node, Number, Text, is_condition, names, parse, plain
from etl.methods.refusals import refuse_duplicates
from etl.methods.registry import method
from etl.methods.tabular import Column, MethodResult, Parameter, refuse_near_names, table_method

Severity = Literal["hard", "soft"]
EDIT_COLUMNS: Final = ("id", "expression", "severity", "source", "tolerance")
#: Two sides nearer than this share of their absolute terms are equal: room for the rounding of binary arithmetic, and too
#: little for one yuan in terms that add up to 10¹⁴.
ROUNDING: Final = 1e-14
_ARITHMETIC: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: pl.when(b != 0).then(a / b),
}


@dataclass(frozen=True)
class Edit:
    """A rule that a correct record satisfies (not the error). ``hard``: failing is an error; ``soft``: to be looked at.

    ``tolerance`` is absolute, in the unit of the compared sides. ``source``: the text the rule stands on.
    """

    id: str
    expression: str
    severity: Severity = "hard"
    source: str = ""
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        if self.severity not in ("hard", "soft"):
            raise EditError(f"edit {self.id}: severity {self.severity!r} is not hard or soft")
        if not (self.tolerance >= 0.0):
            raise EditError(f"edit {self.id}: tolerance {self.tolerance} is negative")
        if not is_condition(self.tree):
            raise EditError(f"edit {self.id}: {self.expression!r} holds no comparison; write e.g. 'a + b <= c'")

    @property
    def tree(self) -> Node:
        """The parsed expression."""
        return parse(self.expression)

    @property
    def variables(self) -> tuple[str, ...]:
        """Variables the rule reads, in order of appearance."""
        return names(self.tree)


def edit_from_line(line: str, number: int) -> Edit:
    """An edit from ``expression`` or ``id: expression``, a final ``;`` left out; without an identifier it is ``e<number>``."""
    text = plain(line).strip().rstrip("; ")
    before, colon, after = text.partition(":")
    identifier, expression = (before.strip(), after.strip()) if colon else (f"e{number}", text)
    if not identifier or not expression:
        raise EditError(f"edit line {number}: {line!r}; expected 'id: expression' or 'expression'")
    return Edit(identifier, expression)


def edits_from_lines(lines: Sequence[str]) -> tuple[Edit, ...]:
    """Edits of a file of lines; blank lines and lines that start with ``#`` are left out.

    Raises
    ------
    EditError
        If there is none, one cannot be read, or two carry one identifier.
    """
    kept = [line for line in (raw.strip() for raw in lines) if line and not line.startswith("#")]
    return unique(tuple(edit_from_line(line, i + 1) for i, line in enumerate(kept)))


def edits_from_table(table: pl.DataFrame) -> tuple[Edit, ...]:
    """Edits of a table ``id, expression, severity?, source?, tolerance?`` (strings; empty severity is hard)."""
    refuse_near_names("edits", table.columns, EDIT_COLUMNS)
    missing = [c for c in EDIT_COLUMNS[:2] if c not in table.columns]
    if missing:
        raise EditError(f"edits: column {missing[0]} is missing; expected {', '.join(EDIT_COLUMNS)}")
    return unique(tuple(_from_row(row, i + 2) for i, row in enumerate(table.iter_rows(named=True))))


def _from_row(row: Mapping[str, Any], line: int) -> Edit:
    if not row["id"] or not row["expression"]:
        raise EditError(f"edits: line {line}: id and expression are needed")
    try:
        tolerance = float(row.get("tolerance") or 0)
    except ValueError:
        raise EditError(f"edits: line {line}: tolerance {row['tolerance']!r} is not a number") from None
    return Edit(row["id"], row["expression"], row.get("severity") or "hard", row.get("source") or "", tolerance)


def unique(edits: Sequence[Edit]) -> tuple[Edit, ...]:
    """The edits, if there is one and no identifier stands twice."""
    if not edits:
        raise EditError("no edit is given; write one rule a line, e.g. 'balance: turnover - costs = profit'")
    known: set[str] = set()
    for edit in edits:
        if edit.id in known:
            raise EditError(f"edit {edit.id} stands twice; give each its own identifier")
        known.add(edit.id)
    return tuple(edits)


def balance_edit(
    identifier: str, total: str, parts: Sequence[str], *, tolerance: float = 0.0, source: str = ""
) -> Edit:
    """Hard edit: the parts add up to the total."""
    return Edit(identifier, f"{' + '.join(parts)} = {total}", "hard", source, tolerance)


def ratio_edit(
    identifier: str, top: str, bottom: str, *, lower: float | None = None, upper: float | None = None, source: str = ""
) -> Edit:
    """Hard edit: ``lower <= top / bottom <= upper`` for a bottom that is not negative, in linear form; one bound is needed."""
    parts = [f"{top} >= {lower!r} * {bottom}"] if lower is not None else []
    parts += [f"{top} <= {upper!r} * {bottom}"] if upper is not None else []
    if not parts:
        raise EditError(f"edit {identifier}: a ratio needs a lower or an upper bound")
    return Edit(identifier, " and ".join([*parts, f"{bottom} >= 0"]), "hard", source)


def unknown_column(edit: str, name: str, columns: Sequence[str]) -> EditError:
    """The refusal of an edit that reads what is no column; says so where the column's name cannot be written in an edit."""
    odd = [c for c in columns if name in c and not re.fullmatch(r"[^\W\d]\w*", c)]
    hint = f"; {odd[0]!r} cannot be written in an edit: rename it, with letters, digits and _ only" if odd else ""
    return EditError(f"edit {edit}: column {name} is not in the table; found: {', '.join(columns)}{hint}")


def verdict(edit: Edit) -> pl.Expr:
    """Boolean expression: the record satisfies the edit; null where a missing value leaves it open."""
    return _condition(edit.tree, edit.tolerance)


def _condition(node: Node, tolerance: float) -> pl.Expr:
    if not isinstance(node, Call) or not is_condition(node):
        raise EditError(f"{node} is not a condition")
    if node.function == "is_missing":
        return _value(node.arguments[0]).is_null()
    if node.function == "not":
        return ~_condition(node.arguments[0], tolerance)
    if node.function in ("and", "or", "if"):
        left, right = (_condition(a, tolerance) for a in node.arguments)
        return left & right if node.function == "and" else (left if node.function == "or" else ~left) | right
    return _comparison(node, tolerance)


def _comparison(node: Call, tolerance: float) -> pl.Expr:
    left, right = (_value(a) for a in node.arguments)
    if any(isinstance(a, Text) for a in node.arguments):
        if node.function not in ("==", "!="):
            raise EditError(f"a text can only be compared by = or !=, not by {node.function}")
        texts = [side.cast(pl.String) for side in (left, right)]
        return texts[0] == texts[1] if node.function == "==" else texts[0] != texts[1]
    rounding = ROUNDING * reduce(operator.add, map(_size, node.arguments))
    room = tolerance + rounding
    gap = left - right
    return {
        "==": gap.abs() <= room,
        "!=": gap.abs() > room,
        "<=": gap <= room,
        ">=": gap >= -room,
        "<": gap < -rounding,
        ">": gap > rounding,
    }[node.function]


def _size(node: Node) -> pl.Expr:
    """Sum of the absolute terms of a number: what its rounding is measured by."""
    if isinstance(node, Call) and node.function in ("+", "-", "abs"):
        return reduce(operator.add, map(_size, node.arguments))
    if isinstance(node, Call) and node.function == "*":
        return reduce(operator.mul, map(_size, node.arguments))
    if isinstance(node, Call) and node.function == "/":
        return _ARITHMETIC["/"](_size(node.arguments[0]), _value(node.arguments[1]).abs())  # type: ignore[no-any-return]
    return _value(node).abs()


def _value(node: Node) -> pl.Expr:
    if isinstance(node, Number):
        return pl.lit(node.value)
    if isinstance(node, Text):
        return pl.lit(node.value)
    if isinstance(node, Name):
        return pl.col(node.name)
    if is_condition(node):
        raise EditError(f"a condition ({node.function}) stands where a number is expected")
    parts = [_value(a) for a in node.arguments]
    if node.function == "-" and len(parts) == 1:
        return -parts[0]
    if node.function in _ARITHMETIC:
        return reduce(_ARITHMETIC[node.function], parts)
    missing = pl.any_horizontal(p.is_null() for p in parts)
    table: Mapping[str, Callable[[], pl.Expr]] = {
        "abs": lambda: parts[0].abs(),
        "log": lambda: pl.when(parts[0] > 0).then(parts[0].log()),
        "sqrt": lambda: pl.when(parts[0] >= 0).then(parts[0].sqrt()),
        "min": lambda: pl.when(~missing).then(pl.min_horizontal(parts)),
        "max": lambda: pl.when(~missing).then(pl.max_horizontal(parts)),
    }
    return table[node.function]()


@method("editing.check")
def check_edits(frame: pl.DataFrame, edits: Sequence[Edit], key: Sequence[str]) -> pl.DataFrame:
    """Every record and edit that fails or cannot be judged (审核结果).

    Returns
    -------
    pl.DataFrame
        ``key columns, edit, severity, outcome, variables, source``; ``outcome`` is ``failed`` or ``missing`` (a value it
        reads is missing and the others do not decide it). A record that satisfies an edit has no row. Sorted by the order
        of the table, then of the edits.

    Raises
    ------
    EditError
        If an edit reads a column that is not there, or texts where numbers are expected.
    """
    for edit in edits:
        lost = [v for v in edit.variables if v not in frame.columns]
        if lost:
            raise unknown_column(edit.id, lost[0], frame.columns)
    places = frame.select(*key).with_row_index("_row")
    parts = [_failing(frame, edit, order) for order, edit in enumerate(edits)]
    found = pl.concat(parts).join(places, on="_row", how="left").sort("_row", "_order")
    return found.select(*key, "edit", "severity", "outcome", "variables", "source")


def _failing(frame: pl.DataFrame, edit: Edit, order: int) -> pl.DataFrame:
    try:
        outcome = frame.with_row_index("_row").select("_row", ok=verdict(edit))
    except pl.exceptions.PolarsError:
        texts = [v for v in edit.variables if not frame[v].dtype.is_numeric()]
        raise EditError(
            f"edit {edit.id}: {', '.join(texts) or edit.expression} holds texts, and numbers are expected in "
            f"{edit.expression!r}; correct the column, or compare it with a text: name = 'text'"
        ) from None
    return outcome.filter(~pl.col("ok").fill_null(False)).select(
        "_row",
        _order=pl.lit(order),
        edit=pl.lit(edit.id),
        severity=pl.lit(edit.severity),
        outcome=pl.when(pl.col("ok").is_null()).then(pl.lit("missing")).otherwise(pl.lit("failed")),
        variables=pl.lit(" ".join(edit.variables)),
        source=pl.lit(edit.source),
    )


def numeric(frame: pl.DataFrame, wanted: Sequence[str], method_id: str) -> pl.DataFrame:
    """Text columns that hold numbers only become numbers; others stay; ``wanted`` must become numbers (empty is null)."""
    columns: list[pl.Series] = []
    for series in frame.get_columns():
        number = series.cast(pl.Float64, strict=False)
        number = pl.select(pl.when(number.is_finite()).then(number).alias(series.name)).to_series()
        bad = series.is_not_null() & number.is_null()
        if bad.any() and series.name in wanted:
            line = int(bad.arg_true()[0]) + 2
            raise EditError(
                f"{method_id}: line {line}, column {series.name}: {series.filter(bad)[0]!r} is not a number"
            )
        columns.append(series if bad.any() else number)
    return pl.DataFrame(columns)


def _compared_with_text(node: Node) -> Iterator[str]:
    """Variables that stand against a text: codes, which keep their zeros though all of them may be digits."""
    if isinstance(node, Call):
        against = node.function in ("==", "!=") and any(isinstance(a, Text) for a in node.arguments)
        for argument in node.arguments:
            yield from names(argument) if against else _compared_with_text(argument)


@table_method(
    "edit_check",
    "审核关系检查 / hard and soft edits checked",
    [
        Column("id", "text", "记录 / record"),
        Column("(?!id$).+", "text", "变量 / variables", required=False, nullable=True, pattern=True),
    ],
    [
        Parameter(
            "edits", "table", "审核关系 / id, expression, severity (hard|soft), source, tolerance", required=True
        ),
    ],
)
def run_edit_check(frame: pl.DataFrame, parameters: Mapping[str, Any]) -> MethodResult:
    """Rows: ``id, edit, severity, outcome, variables, source``; result: counts by edit and by severity."""
    edits = edits_from_table(parameters["edits"])
    refuse_duplicates("edit_check", frame, "id")
    texts = {name for edit in edits for name in _compared_with_text(edit.tree)} & set(frame.columns)
    typed = frame.with_columns(numeric(frame.drop("id", *texts), (), "edit_check").get_columns())
    rows = check_edits(typed, edits, ["id"])
    failed = rows.filter(outcome="failed")
    hard = failed.filter(severity="hard")
    counts = {e.id: int(failed.filter(edit=e.id).height) for e in edits}
    return MethodResult(
        result={
            "records": frame.height,
            "records_failing_hard": hard["id"].n_unique(),
            "failed_hard": hard.height,
            "failed_soft": failed.height - hard.height,
            "not_judged": rows.height - failed.height,
            "failed_by_edit": counts,
        },
        rows=rows,
    )
