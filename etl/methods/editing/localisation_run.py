"""``error_localisation`` on any table."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from etl.methods.editing.expressions import EditError
from etl.methods.editing.linear import LinearEdit, linear_edits
from etl.methods.editing.localisation import Localisation, Localiser
from etl.methods.editing.rules import edits_from_lines, numeric, unknown_column
from etl.methods.editing.weights import weights_from_text
from etl.methods.refusals import refuse_duplicates
from etl.methods.tabular import Column, MethodResult, Parameter, table_method


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
        Parameter(
            "weights",
            "text_or_file",
            "变量权数，Inf 不得改动 / weights: a=2;b=0.5 (others 1, Inf: never changed), or a file variable,weight",
            default="",
        ),
        Parameter("time_limit", "number", "每条记录秒数 / seconds a record", default=10.0),
        Parameter("nonnegative", "flag", "变量均不为负 / every variable is at least 0", default=False),
    ],
)
def run_error_localisation(frame: pl.DataFrame, parameters: Mapping[str, Any]) -> MethodResult:
    """Rows: ``id, variables, objective, status, bound, proof, reason, missing, failed_edits, repair``, in the order of the table."""
    refuse_duplicates("error_localisation", frame, "id")
    if not parameters["time_limit"] >= 0:
        raise EditError(f"error_localisation: time_limit {parameters['time_limit']:g}: expected seconds, 0 or more")
    edits = linear_edits(edits_from_lines(parameters["edits"]))
    variables = _variables(edits, frame.columns)
    if parameters["nonnegative"]:
        edits += tuple(LinearEdit(f"nonnegative_{v}", {v: 1.0}, 0.0, float("inf")) for v in variables)
    columns = [c for c in frame.columns if c != "id"]
    localiser = Localiser(edits, variables, weights_from_text(parameters["weights"], variables, columns))
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


def _variables(edits: Sequence[LinearEdit], columns: Sequence[str]) -> list[str]:
    """Columns that the edits read, in the order of the table."""
    used = {name: edit.id for edit in edits for name in edit.coefficients}
    if "id" in used:
        raise EditError(
            f"error_localisation: edit {used['id']} reads id, which names the record and is never changed; "
            "copy the column under another name if it is a variable"
        )
    lost = sorted(set(used) - set(columns))
    if lost:
        raise unknown_column(used[lost[0]], lost[0], columns)
    return [c for c in columns if c in used]


_SCHEMA: Mapping[str, Any] = {
    "id": pl.String,
    "variables": pl.List(pl.String),
    "objective": pl.Float64,
    "status": pl.String,
    "bound": pl.Float64,
    "proof": pl.String,
    "reason": pl.String,
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
        "reason": _reason(found),
        "missing": missing,
        "failed_edits": failed,
        "repair": repair,
    }


def _reason(found: Localisation) -> str | None:
    if found.status != "infeasible":
        return None
    if not found.held:
        return "审核关系相互矛盾，任何取值都不能满足 / the edits contradict each other: no values satisfy them"
    names = ", ".join(found.held)
    return f"权数为 Inf 的变量（{names}）不得改动，故无解 / no solution while variables of weight Inf ({names}) keep their values"
