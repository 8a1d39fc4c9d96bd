"""``small_count_rounding`` and ``cell_key`` on any table of units or counts."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_array

from etl.methods.disclosure.cell_key import Perturbed, cell_key, record_keys
from etl.methods.disclosure.ledger import append_counts, key_text
from etl.methods.disclosure.noise import PerturbationTable, perturbation_table
from etl.methods.disclosure.problem import Problem, ProblemError
from etl.methods.disclosure.problem_build import Source, from_microdata
from etl.methods.disclosure.small_counts import small_count_rounding
from etl.methods.disclosure.versions import Version
from etl.methods.tabular import BadInput, Column, MethodResult, Parameter, table_method

PREFIX: Final = "dim_"
TREE: Final = ("dimension", "code", "parent")
DIMENSION: Final = Column("dim_.+", "text", "维度代码 / code of a dimension, one column each", pattern=True)
COMMON: Final = (
    Parameter("tables", "lines", "每行一张表的维度，逗号分隔 / one table a line: its dimensions, default one of all"),
    Parameter("hierarchies", "table", "层次 / dimension, code, parent (empty: the total)"),
    Parameter("total", "text", "合计代码 / code of totals", default="Total"),
    Parameter("internal", "flag", "附真值（仅限内部）/ true counts too, for the office alone", default=False),
    Parameter("ledger", "text", "台账目录 / ledger: checked, then entered"),
    Parameter("period", "text", "报告期（台账用）/ period, for the ledger", default=""),
)
NOTE: Final = (
    "扰动后的计数不可加：合计不等于各部分之和 / counts with noise do not add up: a total is not the sum of its parts"
)


def _sources(frame: pl.DataFrame, parameters: Mapping[str, Any]) -> list[Source]:
    trees: dict[str, list[tuple[str, str | None]]] = {}
    given: pl.DataFrame | None = parameters["hierarchies"]
    if given is not None:
        if not set(TREE) <= set(given.columns):
            raise BadInput(f"hierarchies: columns {', '.join(TREE)} are expected; found: {given.columns}")
        for dimension, code, parent in given.select(TREE).rows():
            trees.setdefault(dimension, []).append((code, parent))
    names = [c.removeprefix(PREFIX) for c in frame.columns if c.startswith(PREFIX)]
    if strange := sorted(set(trees) - set(names)):
        raise BadInput(f"hierarchies: dimension {strange[0]} has no column; found: {', '.join(names)}")
    total = parameters["total"]
    return [
        Source(n, column=PREFIX + n, pairs=tuple(trees[n]), total=total)
        if n in trees
        else Source(n, levels=(PREFIX + n,), total=total)
        for n in names
    ]


def _problem(frame: pl.DataFrame, parameters: Mapping[str, Any], **more: Any) -> Problem:
    lines: list[str] | None = parameters["tables"]
    tables: dict[str, Sequence[str]] | None = None
    if lines:
        tables = {line: [part.strip() for part in line.split(",") if part.strip()] for line in lines}
    return from_microdata(frame, _sources(frame, parameters), tables=tables, **more)


def _rows(problem: Problem, columns: Mapping[str, NDArray[Any]]) -> pl.DataFrame:
    """One row a cell; columns by variable, structural zeros get 0."""
    at = problem.cells["variable"].to_numpy()
    keys = [pl.col(d.name).alias(PREFIX + d.name) for d in problem.dims]
    filled = [pl.Series(name, np.append(values, values.dtype.type(0))[at]) for name, values in columns.items()]
    return problem.cells.select("table", *keys).with_columns(filled)


def _enter(
    problem: Problem, frame: pl.DataFrame, parameters: Mapping[str, Any], version: Version, values: NDArray[np.int64]
) -> dict[str, str]:
    """The number of the release where a ledger is kept."""
    if not parameters["ledger"]:
        return {}
    names, totals = [d.name for d in problem.dims], [d.codes[0] for d in problem.dims]
    shown = np.append(values, 0)
    cells = {
        key_text(names, totals, row[:-1]): int(shown[row[-1]])
        for row in problem.cells.select(*names, "variable").rows()
    }
    columns = sorted(frame.columns)
    digest = sha256(frame.select(columns).sort(columns).write_csv().encode()).hexdigest()
    return {"release": append_counts(Path(parameters["ledger"]), parameters["period"], version, cells, digest)}


@table_method(
    "small_count_rounding",
    "小计数舍入 / small count rounding",
    [
        DIMENSION,
        Column("count", "integer", "单元计数（无此列则每行计一）/ count of the row, default 1", required=False),
    ],
    [
        Parameter("base", "integer", "舍入基数 / rounding base", default=3),
        Parameter("seed", "integer", "同优时的随机种子 / seed among equals", default=1),
        Parameter(
            "determined", "flag", "可推算的小计数也舍入 / round small counts that follow from others", default=True
        ),
        *COMMON,
    ],
)
def run_small_count_rounding(frame: pl.DataFrame, parameters: Mapping[str, Any]) -> MethodResult:
    """One row a published cell; result: deviations over the distinct cells that are not structural zeros."""
    more = {"value": "count"} if "count" in frame.columns else {}
    if more and (frame["count"] < 0).any():
        line = int((frame["count"] < 0).arg_true()[0]) + 2
        raise BadInput(f"small_count_rounding: line {line}, column count: below 0; a count is expected")
    try:
        problem = _problem(frame, parameters, **more)
        found = small_count_rounding(
            problem.incidence,
            problem.atoms,
            parameters["base"],
            parameters["seed"],
            determined=parameters["determined"],
        )
        entered = _enter(problem, frame, parameters, "rounded", found.published_rounded)
    except ProblemError as error:
        raise BadInput(f"small_count_rounding: {error}") from None
    columns = {"rounded": found.published_rounded}
    if parameters["internal"]:
        columns |= {"count": found.published, "deviation": found.deviations}
    result = {
        "version": "rounded",
        "base": found.base,
        "additive": True,
        "cells": int(found.published.size),
        "inner_cells": int(found.inner.size),
        "inner_cells_changed": int((found.inner != found.inner_rounded).sum()),
        "largest_deviation": found.largest,
        "mean_deviation": found.mean,
        "root_mean_square_deviation": found.root_mean_square,
        **entered,
    }
    return MethodResult(result, _rows(problem, columns))


def _distributions(table: PerturbationTable) -> list[dict[str, Any]]:
    last = table.classes - 1
    return [
        {
            "distribution": i,
            "count": f">={i}" if i == last else str(i),
            "noise": {f"{v:+d}" if v else "0": p for v, p in zip(table.noise.tolist(), row, strict=True) if p},
            "mean": 0,
            "variance": float(table.variances[i]),
        }
        for i, row in enumerate(table.probabilities.tolist())
    ]


def _secret(lines: list[str]) -> bytes:
    if len(lines) != 1:
        raise BadInput(f"cell_key: parameter secret: {len(lines)} lines; expected a file with one line, the secret")
    return lines[0].strip().encode()


@table_method(
    "cell_key",
    "单元密钥扰动 / cell-key perturbation",
    [DIMENSION, Column("contributor", "text", "单位标识 / contributor, counted once in a cell")],
    [
        Parameter(
            "secret", "lines", "密钥文件（一行，至少16字节）/ file with the secret, 16 bytes or more", required=True
        ),
        Parameter("deviation", "integer", "最大偏差 D / largest deviation", default=3),
        Parameter("variance", "number", "方差 V / variance", default=2.25),
        Parameter("blocked", "integer", "不出现的最大计数 js / largest count that never stands", default=2),
        *COMMON,
    ],
)
def run_cell_key(frame: pl.DataFrame, parameters: Mapping[str, Any]) -> MethodResult:
    """One row a published cell; result: the distribution of the noise by true count."""
    secret = _secret(parameters["secret"])
    try:
        problem = _problem(frame, parameters, contributor="contributor")
        table = perturbation_table(parameters["deviation"], parameters["variance"], parameters["blocked"])
        members = csr_array(problem.incidence @ problem.parts)
        found = cell_key(members, record_keys(problem.groups, secret), table)
        entered = _enter(problem, frame, parameters, "cell_key", found.perturbed)
    except ProblemError as error:
        raise BadInput(f"cell_key: {error}") from None
    result = {
        "version": "cell_key",
        "largest_deviation": table.largest,
        "variance": table.variance,
        "blocked": table.blocked,
        "additive": False,
        "note": NOTE,
        "cells": int(found.counts.size),
        "distributions": _distributions(table),
        **entered,
    }
    return MethodResult(result, _rows(problem, _shown(found, parameters["internal"])))


def _shown(found: Perturbed, internal: bool) -> dict[str, NDArray[Any]]:
    columns: dict[str, NDArray[Any]] = {"perturbed": found.perturbed}
    if internal:
        fraction = found.keys.astype(np.float64) / 2.0**64
        columns |= {"count": found.counts, "noise": found.noise, "cell_key": fraction, "distribution": found.rows}
    return columns
