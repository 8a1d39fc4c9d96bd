"""``error_localisation`` on any table: edits as lines, weights as text."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from etl.methods.editing.expressions import EditError
from etl.methods.editing.linear import LinearEdit, linear_edits
from etl.methods.editing.localisation import Localisation, Localiser
from etl.methods.editing.rules import edits_from_lines, numeric
from etl.methods.tabular import Column, MethodResult, Parameter, table_method


def weights_from_text(text: str, variables: Sequence[str]) -> dict[str, float]:
    """Weights from ``a=2;b=0.5`` (also ``,``), a JSON object, or numbers in the order of ``variables``; empty: none.

    Raises
    ------
    EditError
        If the text is none of these.
    """
    text = text.strip()
    if not text:
        return {}
    try:
        if text.startswith("{"):
            return {str(k): float(v) for k, v in json.loads(text).items()}
        parts = [p.strip() for p in text.replace(";", ",").split(",") if p.strip()]
        if all("=" not in p for p in parts):
            return {v: float(p) for v, p in zip(variables, parts, strict=True)}
        pairs = [p.split("=") for p in parts]
        return {name.strip(): float(value) for name, value in pairs}
    except ValueError:
        raise EditError(
            f"weights {text!r}: expected 'a=2;b=0.5', a JSON object, or {len(variables)} numbers for {', '.join(variables)}"
        ) from None


@table_method(
    "error_localisation",
    "错误定位（Fellegi–Holt）/ error localisation",
    [
        Column("id", "text", "记录 / record"),
        Column("(?!id$).+", "text", "变量（空格为缺失）/ variables, empty is missing", True, True, pattern=True),
    ],
    [
        Parameter(
            "edits", "lines", "线性审核关系，每行一条 / linear edits, one a line: [id:] a*x + b*y <= c", required=True
        ),
        Parameter("weights", "text", "变量权数 / weights: a=2;b=0.5 (others 1)", default=""),
        Parameter("time_limit", "number", "每条记录秒数 / seconds a record", default=10.0),
        Parameter("nonnegative", "flag", "变量均不为负 / every variable is at least 0", default=False),
    ],
)
def run_error_localisation(frame: pl.DataFrame, parameters: Mapping[str, Any]) -> MethodResult:
    """Rows: ``id, variables, objective, status, bound, proof, missing, failed_edits, repair``, in the order of the table."""
    edits = linear_edits(edits_from_lines(parameters["edits"]))
    used = {name for edit in edits for name in edit.coefficients}
    variables = [c for c in frame.columns if c in used]
    lost = sorted(used - set(variables))
    if lost:
        raise EditError(
            f"error_localisation: column {lost[0]} of the edits is not in the table: {', '.join(frame.columns)}"
        )
    if parameters["nonnegative"]:
        edits += tuple(LinearEdit(f"nonnegative_{v}", {v: 1.0}, 0.0, float("inf")) for v in variables)
    localiser = Localiser(edits, variables, weights_from_text(parameters["weights"], variables))
    values = numeric(frame.select(variables), variables, "error_localisation")
    records = values.cast(pl.Float64).to_numpy().astype("float64")
    rows = []
    for identifier, record in zip(frame["id"], records, strict=True):
        found = localiser.localise(record, time_limit=parameters["time_limit"])
        failed = [e.id for e, bad in zip(edits, localiser.fails(record), strict=True) if bad]
        missing = [v for v, x in zip(variables, record, strict=True) if x != x]
        rows.append(_row(identifier, found, missing, list(dict.fromkeys(failed))))
    status = Counter(r["status"] for r in rows)
    changed = Counter(v for r in rows for v in r["variables"])
    return MethodResult(
        result={
            "records": len(rows),
            "status": dict(sorted(status.items())),
            "changed": {v: changed[v] for v in variables},
        },
        rows=pl.DataFrame(rows, schema=_SCHEMA),
    )


_SCHEMA: Mapping[str, Any] = {
    "id": pl.String,
    "variables": pl.List(pl.String),
    "objective": pl.Float64,
    "status": pl.String,
    "bound": pl.Float64,
    "proof": pl.String,
    "missing": pl.List(pl.String),
    "failed_edits": pl.List(pl.String),
    "repair": pl.List(pl.Struct({"variable": pl.String, "value": pl.Float64})),
}


def _row(identifier: str, found: Localisation, missing: list[str], failed: list[str]) -> dict[str, Any]:
    repair = [{"variable": name, "value": value} for name, value in found.repair.items()]
    return {
        "id": identifier,
        "variables": list(found.variables),
        "objective": found.objective,
        "status": found.status,
        "bound": found.bound,
        "proof": found.proof or None,
        "missing": missing,
        "failed_edits": failed,
        "repair": repair,
    }
