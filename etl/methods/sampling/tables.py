"""Allocation and selection on a table of any user."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from etl.methods.refusals import refuse_duplicates, refuse_row, refused
from etl.methods.sampling.allocation import Allocation, neyman_allocation, size_for_cv
from etl.methods.sampling.random_numbers import collocate, permanent_random_numbers
from etl.methods.sampling.rotation import rotation_starts
from etl.methods.sampling.selection import select
from etl.methods.tabular import BadInput, Column, MethodResult, Parameter, table_method


def numbers_by_key(method: str, table: pl.DataFrame, key: str, value: str) -> dict[str, float]:
    """``{key: number}`` of a parameter file with these two columns.

    Raises
    ------
    BadInput
        If a column is missing, a key stands twice or a number is not one.
    """
    lost = [c for c in (key, value) if c not in table.columns]
    if lost:
        raise BadInput(f"{method}: the file has no column {lost[0]}; columns {key} and {value} are expected")
    refuse_duplicates(method, table, key)
    numbers = table[value].cast(pl.Float64, strict=False)
    if numbers.null_count() or not numbers.is_finite().all():
        bad = table[key].filter(~numbers.is_finite().fill_null(False))[0]
        raise BadInput(f"{method}: {value} of {key} {bad} is not a number")
    return dict(zip(table[key].to_list(), numbers.to_list(), strict=True))


@table_method(
    "sample_allocation",
    "样本分配 / allocation of the sample (Neyman, whole numbers)",
    [
        Column("stratum", "text", "层 / stratum, once"),
        Column("units", "integer", "总体单位数 / units of the population"),
        Column("deviation", "number", "规模变量标准差 / standard deviation of a size variable"),
        Column("take_all", "flag", "全查层 / every unit is asked", required=False, nullable=True),
    ],
    [
        Parameter("total", "integer", "样本量 / units to be asked; this or cv"),
        Parameter("cv", "number", "目标变异系数（0.03 即 3 %） / coefficient of variation to be reached"),
        Parameter("expected_total", "number", "规模变量总量 / total of the size variable, with cv"),
        Parameter("minimum", "integer", "每层最少 / at least so many in each stratum", 2),
    ],
)
def run_allocation(frame: pl.DataFrame, parameters: Mapping[str, Any]) -> MethodResult:
    """Rows ``stratum, units, sample_size, sampling_fraction, design_weight`` in the order of the input."""
    refuse_duplicates("sample_allocation", frame, "stratum")
    for column in ("units", "deviation"):
        refuse_row("sample_allocation", frame, frame[column] < 0, "0 or more is expected", "stratum", column)
    if parameters["minimum"] < 1:
        raise BadInput(f"sample_allocation: minimum {parameters['minimum']}; 1 or more is expected (2 for a variance): "
                       "a stratum nobody is asked in cannot be estimated")  # fmt: skip
    units, deviation = frame["units"].to_numpy().astype(np.float64), frame["deviation"].to_numpy()
    every = frame["take_all"].fill_null(False).to_numpy() if "take_all" in frame.columns else None
    total, cv, expected = (parameters[n] for n in ("total", "cv", "expected_total"))
    if (total is None) == (cv is None):
        raise BadInput("sample_allocation: give either total or cv; add --param total=500 or --param cv=0.03")
    if cv is not None and expected is None:
        raise BadInput("sample_allocation: cv needs the total of the size variable; add --param expected_total=…")
    with refused("sample_allocation"):
        found: Allocation
        if total is not None:
            found = neyman_allocation(units, deviation, total, minimum=parameters["minimum"], take_all=every)
        else:
            found = size_for_cv(units, deviation, expected, cv, minimum=parameters["minimum"], take_all=every)
    size = pl.Series(found.size)
    rows = frame.select("stratum", "units").with_columns(
        sample_size=size,
        sampling_fraction=pl.when(pl.col("units") > 0).then(size / pl.col("units")),
        design_weight=pl.when(size > 0).then(pl.col("units") / size),
    )
    error = found.variance**0.5
    result = {
        "sample_size": found.total, "standard_error": error,
        "cv": error / expected if expected else None,
    }  # fmt: skip
    return MethodResult(result, rows)


@table_method(
    "sample_select",
    "抽取样本 / selection by permanent random numbers",
    [Column("unit", "text", "单位 / unit, once"), Column("stratum", "text", "层 / stratum")],
    [
        Parameter("sizes", "table", "各层样本量：stratum,sample_size / sample size by stratum", required=True),
        Parameter("seed", "integer", "永久随机数种子 / seed of the permanent random numbers", required=True),
        Parameter("start", "number", "起点 0–1 / start of the selection", 0.0),
        Parameter("max_times", "integer", "轮换：连续最多几轮 / rotation: rounds in a row a unit may be asked"),
        Parameter("round", "integer", "轮次，从 0 起 / round, from 0", 0),
        Parameter("collocated", "flag", "等距随机数（轮换用） / equally spaced numbers, for rotation", False),
    ],
)
def run_select(frame: pl.DataFrame, parameters: Mapping[str, Any]) -> MethodResult:
    """Rows ``unit, stratum, random_number, selected, design_weight`` (null where not selected), as in the input."""
    refuse_duplicates("sample_select", frame, "unit")
    _check_place(parameters)
    given = numbers_by_key("sample_select", parameters["sizes"], "stratum", "sample_size")
    strata = frame["stratum"].to_list()
    counts = dict(frame["stratum"].value_counts().iter_rows())
    broken = [h for h, n in given.items() if n != int(n) or (n and h not in counts)]
    if broken:
        raise BadInput(f"sample_select: stratum {broken[0]}: {given[broken[0]]:g} units asked for, the frame has "
                       f"{counts.get(broken[0], 0)}")  # fmt: skip
    sizes = {h: int(n) for h, n in given.items() if h in counts}
    with refused("sample_select"):
        prn = permanent_random_numbers(frame["unit"].to_list(), parameters["seed"])
        used = collocate(prn, strata, parameters["seed"]) if parameters["collocated"] else prn
        start: dict[str, float] = dict.fromkeys(sizes, float(parameters["start"]))
        if parameters["max_times"] is not None:
            moved = rotation_starts(sizes, counts, parameters["max_times"], parameters["round"])
            start = {h: (start[h] + moved[h]) % 1.0 for h in sizes}
        chosen = select(used, strata, sizes, start)
    weight = pl.col("stratum").replace_strict({h: counts[h] / n for h, n in sizes.items() if n}, default=None)
    rows = frame.select("unit", "stratum").with_columns(random_number=pl.Series(used), selected=pl.Series(chosen))
    rows = rows.with_columns(design_weight=pl.when("selected").then(weight.cast(pl.Float64)))
    return MethodResult({"frame": rows.height, "selected": int(chosen.sum()), "strata": len(counts)}, rows)


def _check_place(parameters: Mapping[str, Any]) -> None:
    """Where the selection begins: a start on the circle, a round only where there is rotation."""
    if not 0 <= parameters["start"] <= 1:
        raise BadInput(f"sample_select: start {parameters['start']:g}; a number from 0 to 1 is expected")
    if abs(parameters["seed"]) >= 2**127:
        raise BadInput(f"sample_select: seed {parameters['seed']}; a whole number of at most 38 digits is expected")
    if parameters["round"] < 0:
        raise BadInput(f"sample_select: round {parameters['round']}; 0 or more is expected")
    if parameters["round"] and parameters["max_times"] is None:
        raise BadInput("sample_select: round has no effect without rotation; add --param max_times=…")
