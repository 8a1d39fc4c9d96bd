"""Selective editing (重点审核): records ordered by what their correction may move in the published figure."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from etl.methods.refusals import refuse_duplicates, refuse_row
from etl.methods.registry import method
from etl.methods.tabular import BadInput, Column, MethodResult, Parameter, table_method

FloatArray = NDArray[np.float64]
COMBINATIONS: Final = ("maximum", "mean", "weighted", "minkowski")


@method("editing.selective_score")
def selective_score(
    value: FloatArray, predicted: FloatArray, design_weight: FloatArray, total: FloatArray
) -> FloatArray:
    r"""Score :math:`100\,a_i\,|z_i - \hat y_i| / T`: percent of the published total that a correction may move.

    Parameters
    ----------
    value, predicted, design_weight, total
        Shape ``(n,)``: returned value z, expected value, weight a, published total T of the domain (not zero).

    Returns
    -------
    FloatArray
        ``nan`` where anything is missing or T is zero: such a record cannot be scored and must be looked at otherwise.

    Source: ONS Statistical Methods Library, Selective Editing; Lawrence and McKenzie (2000), JOS 16, 243-253.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        score = 100.0 * design_weight * np.abs(value - predicted) / np.abs(total)
    score[~np.isfinite(score)] = np.nan
    return score


@method("editing.selective_combine")
def combine_scores(
    scores: FloatArray, weights: FloatArray, combination: str = "maximum", distance: float = 2.0
) -> float:
    """One score of a record from its questions' scores (``nan`` left out; all ``nan`` gives ``nan``).

    ``weighted`` uses ``weights`` (scaled to sum 1); ``minkowski`` is the norm of order ``distance``.
    """
    known = ~np.isnan(scores)
    if not known.any():
        return float("nan")
    scores, weights = scores[known], weights[known]
    if combination == "maximum":
        return float(scores.max())
    if combination == "mean":
        return float(scores.mean())
    if combination == "weighted":
        return float((scores * weights).sum() / weights.sum()) if weights.sum() > 0 else float("nan")
    if combination != "minkowski" or not distance >= 1:
        raise BadInput(f"selective_editing: combination {combination!r}, distance {distance}; see the method's page")
    most = float(scores.max()) or 1.0
    return most * float(((scores / most) ** distance).sum() ** (1.0 / distance))


@table_method(
    "selective_editing",
    "重点审核 / selective editing by effect on the published figure",
    [
        Column("id", "text", "记录 / record"),
        Column("question", "text", "指标 / question", required=False),
        Column("value", "number", "报告值 / returned value", nullable=True),
        Column("predicted", "number", "预期值（通常为上期）/ expected, usually previous", nullable=True),
        Column("auxiliary_predicted", "number", "缺上期时的预期值 / expected where there is none", False, True),
        Column("design_weight", "number", "设计权数 / design weight"),
        Column("total", "number", "公布总量（标准化因子）/ published total"),
        Column("question_weight", "number", "指标权数 / weight of the question", required=False),
    ],
    [
        Parameter("threshold", "number", "阈值（百分之）/ threshold, percent of the total", required=True),
        Parameter("combination", "choice", "合并方法 / combination", default="maximum", choices=COMBINATIONS),
        Parameter("distance", "number", "闵可夫斯基阶数 / order of minkowski", default=2.0),
    ],
)
def run_selective_editing(frame: pl.DataFrame, parameters: Mapping[str, Any]) -> MethodResult:
    """Rows: ``id, score, needs_review, rank, basis``: highest score first; not scored (``basis`` null) before all."""
    for column in ("design_weight", "question_weight"):
        if column in frame.columns:
            refuse_row("selective_editing", frame, frame[column] < 0, "0 or more is expected", "id", column)
    if "question" in frame.columns:
        refuse_duplicates("selective_editing", frame, "id", "question")
    spare = pl.col("auxiliary_predicted") if "auxiliary_predicted" in frame.columns else pl.lit(None, dtype=pl.Float64)
    table = frame.with_columns(
        expected=pl.coalesce("predicted", spare),
        basis=pl.when(pl.col("predicted").is_not_null()).then(pl.lit("predicted"))
        .when(spare.is_not_null()).then(pl.lit("auxiliary")),
        weight=pl.col("question_weight") if "question_weight" in frame.columns else pl.lit(1.0),
    )  # fmt: skip
    arrays = [
        table[c].cast(pl.Float64).to_numpy().astype(np.float64) for c in ("value", "expected", "design_weight", "total")
    ]
    table = table.with_columns(score=pl.Series(selective_score(*arrays)))
    rows = pl.DataFrame(
        [
            {
                "id": part["id"][0],
                "score": combine_scores(
                    part["score"].to_numpy(),
                    part["weight"].to_numpy(),
                    parameters["combination"],
                    parameters["distance"],
                )
                if part["score"].is_not_nan().all()
                else None,
                "basis": None if part["basis"].null_count() else " ".join(sorted(set(part["basis"]))),
            }
            for part in table.partition_by("id", maintain_order=True)
        ],
        schema={"id": pl.String, "score": pl.Float64, "basis": pl.String},
    ).with_columns(pl.col("score").fill_nan(None))
    rows = rows.with_columns(needs_review=(pl.col("score") >= parameters["threshold"]).fill_null(True))
    rows = rows.sort("score", descending=True, nulls_last=False, maintain_order=True).with_columns(
        rank=pl.int_range(1, pl.len() + 1)
    )
    left = rows.filter(~pl.col("needs_review"))["score"].sum()
    counts = {
        "records": rows.height,
        "to_review": int(rows["needs_review"].sum()),
        "not_scored": rows["score"].null_count(),
    }
    return MethodResult(
        result={**counts, "score_left_unreviewed": float(left)},
        rows=rows.select("id", "score", "needs_review", "rank", "basis"),
    )
