"""Size classes of enterprises (统计上大中小微型企业划分办法（2017）) from staff, revenue and assets.

An enterprise is large, medium or small when every criterion of its industry reaches that class's lower bound, else one
class lower; micro when any falls below the small bound. Industries the rule does not list (finance, public bodies) take
the rule of 其他未列明行业 (staff alone): an assumption of ours, said in the notes of the tables.
"""

import csv
from functools import cache
from pathlib import Path
from typing import Final

import polars as pl

RULES: Final = Path(__file__).parent / "rules" / "enterprise_size_2017.csv"
SIZES: Final = ("L", "M", "S", "W")
_FACTOR: Final = {"万元": 10_000, "人": 1}
_COLUMN: Final = {"从业人员": "staff", "营业收入": "revenue", "资产总额": "assets"}
_OTHER: Final = "其他未列明行业"


@cache
def _criteria() -> dict[str, dict[str, tuple[int, int, int]]]:
    """Industry → criterion → lower bounds of large, medium, small (persons or yuan)."""
    found: dict[str, dict[str, tuple[int, int, int]]] = {}
    with RULES.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            factor = _FACTOR[row["unit"]]
            bounds = tuple(int(row[c]) * factor for c in ("large_min", "medium_min", "small_min"))
            found.setdefault(row["industry_zh"], {})[_COLUMN[row["indicator"]]] = bounds  # type: ignore[assignment]
    return found


@cache
def industry_of(gbt_code: str) -> str:
    """The rule's industry of a GB/T class (其他未列明行业 where it lists none)."""
    from taxonomy.scheme import load_scheme

    scheme = load_scheme("gbt4754_2017")
    chain = {gbt_code, *(c.code for c in scheme.ancestors(gbt_code))} if gbt_code in scheme else {gbt_code}
    with RULES.open(encoding="utf-8", newline="") as file:
        scopes = {row["industry_zh"]: row["gbt_scope"].split(";") for row in csv.DictReader(file)}
    for industry, scope in scopes.items():
        if chain & set(scope):
            return industry
    return _OTHER


def size_class_expr(gbt_code: pl.Expr, staff: pl.Expr, revenue: pl.Expr, assets: pl.Expr | None = None) -> pl.Expr:
    """Size class (String ``L|M|S|W``) of rows.

    ``staff`` in persons, ``revenue`` and ``assets`` in yuan; a criterion that is unknown (null, or assets not given) is
    left out of the test, and the class is null only when none of the industry's criteria is known.
    """
    industry = gbt_code.map_elements(industry_of, return_dtype=pl.String, skip_nulls=True).fill_null(_OTHER)
    values = {"staff": staff, "revenue": revenue, "assets": pl.lit(None, pl.Float64) if assets is None else assets}
    result: pl.Expr = pl.lit(None, pl.String)
    for name, criteria in _criteria().items():
        result = pl.when(industry == name).then(_by_bounds(criteria, values)).otherwise(result)
    return result


def _by_bounds(criteria: dict[str, tuple[int, int, int]], values: dict[str, pl.Expr]) -> pl.Expr:
    ranks = []
    for criterion, bounds in criteria.items():
        value = values[criterion].cast(pl.Float64)
        reached = sum(((value >= bound).cast(pl.Int8) for bound in bounds), pl.lit(0, pl.Int8))
        ranks.append(pl.when(value.is_not_null()).then(reached))
    lowest = pl.min_horizontal(*ranks)
    return lowest.replace_strict({3: "L", 2: "M", 1: "S", 0: "W"}, default=None, return_dtype=pl.String)


def size_class(
    gbt_code: str,
    employed_persons: int | None,
    operating_revenue_cny: float | None,
    total_assets_cny: float | None = None,
) -> str | None:
    """Size class of one enterprise; see :func:`size_class_expr`."""
    row = pl.DataFrame(
        {"g": [gbt_code], "s": [employed_persons], "r": [operating_revenue_cny], "a": [total_assets_cny]},
        schema={"g": pl.String, "s": pl.Float64, "r": pl.Float64, "a": pl.Float64},
    )
    result: str | None = row.select(size_class_expr(*(pl.col(c) for c in "gsra"))).item()
    return result
