"""Totals with their variance on a table of any user."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from etl.methods.estimation.bands import cv_band
from etl.methods.estimation.bootstrap import bootstrap_weights
from etl.methods.estimation.design import StratifiedSample, stratified_sample
from etl.methods.estimation.domain import domain_estimates
from etl.methods.estimation.estimate import Estimate
from etl.methods.estimation.expansion import expansion_total
from etl.methods.estimation.ratio import ratio_total
from etl.methods.refusals import refuse_duplicates, refuse_row, refused
from etl.methods.sampling.tables import numbers_by_key
from etl.methods.tabular import BadInput, Column, MethodResult, Parameter, table_method

POPULATION = Parameter("population", "table", "各层总体单位数：stratum,units / units by stratum", required=True)
LEVEL = Parameter("level", "number", "置信水平 / confidence level", 0.95)
INTERVAL = Parameter("interval", "choice", "区间 / interval", "t", ("t", "normal", "log", "skewness"))
LONELY = Parameter("lonely", "choice", "单单位层 / stratum of one sampled unit", "refuse", ("refuse", "centre"))


def figures(estimate: Estimate, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Estimate, error, limits and band of one figure."""
    lower, upper = estimate.interval(parameters["level"], parameters["interval"])
    return {
        "estimate": estimate.value, "standard_error": estimate.standard_error, "cv": estimate.cv, "lower": lower,
        "upper": upper, "band": cv_band(estimate.cv), "degrees_of_freedom": estimate.degrees, "units": estimate.units,
    }  # fmt: skip


def _sample(method: str, frame: pl.DataFrame, parameters: Mapping[str, Any]) -> StratifiedSample:
    refuse_duplicates(method, frame, "unit")
    population = numbers_by_key(method, parameters["population"], "stratum", "units")
    broken = next((h for h, size in population.items() if size < 0 or size % 1), None)
    if broken is not None:
        raise BadInput(f"{method}: population: stratum {broken} has {population[broken]:g} units; "
                       "a whole number, 0 or more, is expected")  # fmt: skip
    if "weight" in frame.columns:
        refuse_row(method, frame, frame["weight"] < 0, "0 or more is expected", "unit", "weight")
    return stratified_sample(frame["stratum"].to_list(), population)


@table_method(
    "estimate_total",
    "总量推算 / total by expansion, with variance and domains",
    [
        Column("unit", "text", "单位 / sampled unit, once"),
        Column("stratum", "text", "层 / stratum"),
        Column("value", "number", "调查值 / value"),
        Column("weight", "number", "权数，缺省为 N/n / weight, default N/n", required=False),
        Column("domain", "text", "域 / domain", required=False),
    ],
    [
        POPULATION, LEVEL, INTERVAL, LONELY,
        Parameter("variance", "choice", "方差 / variance", "linearised", ("linearised", "rao_wu", "preston")),
        Parameter("replicates", "integer", "自助次数 / bootstrap replicates", 500),
        Parameter("seed", "integer", "自助种子 / seed of the bootstrap", 1, least=0),
    ],
)  # fmt: skip
def run_total(frame: pl.DataFrame, parameters: Mapping[str, Any]) -> MethodResult:
    """Result: the total; rows: total and mean of each domain, sorted by domain (none without a domain column)."""
    with refused("estimate_total"):
        sample = _sample("estimate_total", frame, parameters)
        y = frame["value"].to_numpy()
        weight = frame["weight"].to_numpy() if "weight" in frame.columns else sample.weight
        total = expansion_total(y, sample, weight=weight, lonely=parameters["lonely"])
        domains = frame["domain"].to_list() if "domain" in frame.columns else []
        found = domain_estimates(y, domains, sample, weight=weight, lonely=parameters["lonely"]) if domains else ()
        if parameters["variance"] != "linearised":
            drawn = bootstrap_weights(
                weight, sample, parameters["replicates"], scheme=parameters["variance"], seed=parameters["seed"]
            )
            total = replace(total, variance=float(((y @ drawn - total.value) ** 2).mean()))
        rows = [
            {"domain": d.domain, **figures(d.total, parameters)}
            | {f"mean_{k}": v for k, v in figures(d.mean, parameters).items() if k in ("estimate", "standard_error")}
            for d in found
        ]
        result = {**figures(total, parameters), "variance_method": parameters["variance"]}
    return MethodResult(result, pl.DataFrame(rows, infer_schema_length=None))


@table_method(
    "ratio_estimate",
    "比率估计 / total by ratio to an auxiliary (separate, combined)",
    [
        Column("unit", "text", "单位 / sampled unit, once"),
        Column("stratum", "text", "层 / stratum"),
        Column("value", "number", "调查值 / value"),
        Column("auxiliary", "number", "辅助变量 / auxiliary variable"),
        Column("group", "text", "校准组；缺省为层（分别比率） / calibration group, default the stratum", required=False),
        Column("weight", "number", "权数，缺省为 N/n / weight, default N/n", required=False),
    ],
    [
        POPULATION,
        Parameter("totals", "table", "各组辅助变量总量：group,total / totals of the auxiliary by group", required=True),
        Parameter("g_weighted", "flag", "方差用 g 权 / g-weighted residuals in the variance", True),
        LEVEL, INTERVAL, LONELY,
    ],
)  # fmt: skip
def run_ratio(frame: pl.DataFrame, parameters: Mapping[str, Any]) -> MethodResult:
    """Result: the total; rows: ``group, ratio, calibration_factor, estimate`` sorted by group."""
    with refused("ratio_estimate"):
        sample = _sample("ratio_estimate", frame, parameters)
        totals = numbers_by_key("ratio_estimate", parameters["totals"], "group", "total")
        found = ratio_total(
            frame["value"].to_numpy(), frame["auxiliary"].to_numpy(), sample, totals,
            frame["group"].to_list() if "group" in frame.columns else None,
            weight=frame["weight"].to_numpy() if "weight" in frame.columns else None,
            g_weighted=parameters["g_weighted"], lonely=parameters["lonely"],
        )  # fmt: skip
        result = {**figures(found.estimate, parameters), "method": found.estimate.method}
    rows = pl.DataFrame({"group": found.groups, "ratio": found.ratio, "calibration_factor": found.factor}).with_columns(
        estimate=pl.col("ratio") * pl.Series([totals[g] for g in found.groups], dtype=pl.Float64)
    )
    return MethodResult(result, rows)
