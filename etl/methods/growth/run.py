"""Growth methods run on a table of any user."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from etl.methods.growth.contributions import contributions
from etl.methods.growth.decomposition import COMPONENTS, Component, Waterfall, decompose, link_groups
from etl.methods.growth.rates import Rate, RateRow, growth_rates, incomplete
from etl.methods.index_number.deflate import deflate
from etl.methods.periods import gaps, series
from etl.methods.refusals import refuse_duplicates, refuse_row, refused
from etl.methods.tabular import BadInput, Column, MethodResult, Parameter, names_in, table_method

PRICES = {"deflator_base": 100.0, "deflator_name": "column deflator"}
LIST: tuple[Component, ...] = ("listed", "delisted")
LIST_COLUMNS = ("listed", "listed_prev")
NEW = ("entry", "entrant", "entered", "new", "birth", "born", "新增", "新建", "入库")
ACTIVE = (
    *NEW, "in", "active", "1", "true", "yes", "y", "alive", "live", "open", "continuing", "existing", "stayer", "是", "在营",
    "在业", "存续", "在库", "规上", "纳统", "above",
)  # fmt: skip
GONE = (
    "out", "inactive", "0", "false", "no", "n", "dead", "death", "closed", "exit", "exited", "left", "ceased", "absent", "none", "-",
    "否", "退库", "规下", "注销", "吊销", "停业", "歇业", "退出", "below",
)  # fmt: skip


def membership(frame: pl.DataFrame, status: str, value: str) -> pl.Series:
    """Boolean: the unit belongs to the population; an empty status means it does where it has a value.

    Raises
    ------
    BadInput
        If a word of the column is in neither list.
    """
    said = _words(frame, status)
    return pl.select(pl.when(said.is_null()).then(frame[value].is_not_null()).otherwise(said)).to_series()


def _words(frame: pl.DataFrame, column: str) -> pl.Series:
    """True, False or, where nothing is said, null."""
    words = frame[column].str.to_lowercase()
    bad = ~words.is_in([*ACTIVE, *GONE]).fill_null(True)
    if bad.any():
        said = (
            f"column {column}: {frame[column].filter(bad)[0]!r} is not a known status; in the population: {', '.join(ACTIVE)}; "
            f"not: {', '.join(GONE)}; empty: as the value says"
        )
        refuse_row("growth_decomposition", frame, bad, said, "unit")
    return words.is_in(ACTIVE)


def _refuse_conflicts(frame: pl.DataFrame, new: pl.Series) -> None:
    """A unit that is new in this period has no place, and no value, in the earlier one."""
    for bad, said in (
        (new & _words(frame, "status_prev"), "status says it is new, status_prev that it was there before"),
        (
            new & frame["status_prev"].is_null() & (frame["value_prev"] != 0),
            "status says it is new, but it has a value_prev and no status_prev",
        ),
    ):
        refuse_row(
            "growth_decomposition", frame, bad, f"{said}; give status=in if it was there, or correct the other", "unit"
        )
    one = [c for c in LIST_COLUMNS if c in frame.columns]
    if len(one) == 1:
        raise BadInput(
            f"growth_decomposition: column {one[0]} is there without {next(c for c in LIST_COLUMNS if c not in one)}; who came onto the "
            "list and who left it needs both, give both or neither"
        )


@table_method(
    "growth_decomposition",
    "可比口径与增长分解 / same units, entries, exits, reclassification, revision",
    [
        Column("unit", "text", "单位 / unit"),
        Column("value", "number", "本期 / this period", nullable=True),
        Column("value_prev", "number", "上期，现行数 / earlier period, as known now", nullable=True),
        Column("status", "text", "本期是否在库 / in the population of this period", nullable=True),
        Column("status_prev", "text", "上期是否在库 / in the population of the earlier period", nullable=True),
        Column("class", "text", "本期类别 / class of this period", nullable=True),
        Column("class_prev", "text", "上期类别 / class of the earlier period", nullable=True),
        Column("published_prev", "number", "上期原发布数 / earlier value as published", required=False, nullable=True),
        Column("predecessor", "text", "前身单位（; 分隔） / units it continues", required=False, nullable=True),
        Column("listed", "text", "本期是否在规上名录 / on the list above the threshold", required=False, nullable=True),
        Column(
            "listed_prev", "text", "上期是否在规上名录 / on it in the earlier period", required=False, nullable=True
        ),
    ],
)
def run_decomposition(frame: pl.DataFrame, parameters: Mapping[str, Any]) -> MethodResult:
    """Result: the waterfall of the whole; rows: one a class."""
    units = _prepared(frame)
    try:
        found = decompose(units)
    except ValueError as error:
        raise BadInput(f"growth_decomposition: {error}") from None
    parts = (*COMPONENTS, *(LIST if set(LIST_COLUMNS) <= set(frame.columns) else ()))
    rows = [{"class": name, **_amounts(part, parts)} for name, part in found.classes.items()]
    whole = found.whole
    result = {
        **_amounts(whole, parts),
        "points": {c: whole.points(c) for c in parts},
        "units": dict(whole.units),
    }
    return MethodResult(result, pl.DataFrame(rows, infer_schema_length=None))


def _prepared(frame: pl.DataFrame) -> pl.DataFrame:
    active = membership(frame, "status", "value")
    new = frame["status"].str.to_lowercase().is_in(NEW).fill_null(False)
    _refuse_conflicts(frame, new)
    active_prev = membership(frame, "status_prev", "value_prev") & ~new
    classed = frame["class"].is_not_null().any() or frame["class_prev"].is_not_null().any()
    columns = frame["class"], frame["class_prev"]
    to, fro = columns if classed else tuple(pl.repeat("—", frame.height, eager=True) for _ in columns)
    published = (
        frame["published_prev"]
        if "published_prev" in frame.columns
        else pl.select(pl.when(active_prev & fro.is_not_null()).then(frame["value_prev"])).to_series()
    )
    group = frame["unit"]
    if "predecessor" in frame.columns:
        links = [names_in(text) for text in frame["predecessor"]]
        group = pl.Series(link_groups(frame["unit"].to_list(), links), dtype=pl.String)
    listed = {c: _words(frame, c) for c in LIST_COLUMNS if c in frame.columns}
    return pl.DataFrame(
        {
            **listed,
            "unit": frame["unit"],
            "value": frame["value"],
            "value_prev": frame["value_prev"],
            "active": active,
            "active_prev": active_prev,
            "class": to,
            "class_prev": fro,
            "published_prev": published,
            "group": group,
        }
    )


def _amounts(part: Waterfall, parts: Sequence[Component]) -> dict[str, Any]:
    return {
        "previous": part.previous,
        "current": part.current,
        "total": part.total,
        **{c: getattr(part, c) for c in parts},
        "growth_ratio": part.growth.ratio,
        "reason": part.growth.reason,
        "comparable_growth_ratio": part.comparable.ratio,
        "comparable_reason": part.comparable.reason,
    }


@table_method(
    "contributions",
    "拉动与贡献率 / contributions of the parts to the growth of a total",
    [
        Column("id", "text", "组成部分 / part"),
        Column("value", "number", "本期 / this period"),
        Column("value_prev", "number", "上年同期 / same period of last year"),
    ],
)
def run_contributions(frame: pl.DataFrame, parameters: Mapping[str, Any]) -> MethodResult:
    """Rows: ``id, growth_ratio, points, share_of_change``; result: growth of the total, ``points`` their sum, ``note``."""
    refuse_duplicates("contributions", frame, "id")
    found = contributions(frame["value"].to_numpy(), frame["value_prev"].to_numpy())
    change = frame["value"] - frame["value_prev"]
    ratio = pl.when(pl.col("value_prev") > 0).then(pl.col("value") / pl.col("value_prev") - 1)
    rows = frame.select("id", growth_ratio=ratio).with_columns(
        change=change,
        points=pl.Series(found.points, nan_to_null=True),
        share_of_change=pl.Series(found.share, nan_to_null=True),
    )
    whole = found.total
    points = None if whole.ratio is None else 100.0 * whole.ratio
    said = {"growth_ratio": whole.ratio, "reason": whole.reason, "points": points, "note": _total_among(frame)}
    return MethodResult(said, rows)


def _total_among(frame: pl.DataFrame) -> str | None:
    """What to know where a row has the sum of all others in both periods: most likely the total, which would count twice."""
    if frame.height < 3:
        return None
    both = frame.select("value", "value_prev").to_numpy()
    halves = np.isclose(2 * both, both.sum(axis=0), rtol=1e-12, atol=0).all(axis=1) & (both != 0).any(axis=1)
    found = frame["id"].filter(pl.Series(halves)).to_list()
    if len(found) != 1:
        return None
    return (
        f"{found[0]} is the sum of all other parts in both periods: if it is the total, leave it out (it counts twice)"
    )


@table_method(
    "growth_rates",
    "同比、环比、累计、累计同比、两年平均、百分点 / growth rates of one series",
    [
        Column("period", "period", "月、季或年 / month, quarter or year"),
        Column("value", "number", "当期数或累计数 / amount of the period, or since January", nullable=True),
        Column("deflator", "number", "价格指数 / price index", required=False, nullable=True),
    ],
    [
        Parameter("amounts", "choice", "当期或累计 / what the values are", "current", ("current", "cumulated")),
        Parameter("january_february", "choice", "1—2月合并 / together or apart", "combined", ("combined", "separate")),
        Parameter(
            "deflator_base", "number", "价格指数的基数 / value of the price index at its base", PRICES["deflator_base"]
        ),
        Parameter("deflator_name", "text", "缩减指数名称 / name of the price index", PRICES["deflator_name"]),
    ],
)
def run_rates(frame: pl.DataFrame, parameters: Mapping[str, Any]) -> MethodResult:
    """One row a published period in time order."""
    try:
        periods = series(frame["period"].to_list())
    except ValueError as error:
        raise BadInput(f"growth_rates: column period: {error}") from None
    values = frame["value"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    real = "deflator" in frame.columns
    idle = [name for name, default in PRICES.items() if parameters[name] != default]
    if idle and not real:
        raise BadInput(
            f"growth_rates: parameter {idle[0]}: there is no column deflator, the rates would be at current prices; "
            "name the price index's column deflator, or leave the parameter out"
        )
    if real and parameters["amounts"] == "cumulated":
        raise BadInput("growth_rates: a deflator needs the amounts of each period; give amounts=current")
    if real:
        refuse_row("growth_rates", frame, frame["deflator"] <= 0, "the price index is not above zero", "period")
        prices = frame["deflator"].cast(pl.Float64).fill_null(np.nan).to_numpy()
        with refused("growth_rates"):
            values = deflate(values, prices, base=float(parameters["deflator_base"]))
    found = growth_rates(
        dict(zip(periods, (float(v) for v in values), strict=True)),
        cumulated=parameters["amounts"] == "cumulated",
        january_february=parameters["january_february"],
    )
    rows = pl.DataFrame([_rate_row(row) for row in found], infer_schema_length=None)
    halves = incomplete(periods, cumulated=parameters["amounts"] == "cumulated")
    lost = {*gaps(periods), *(halves if parameters["january_february"] == "combined" else ())}
    missing = [str(p) for p in sorted(lost)]
    said = {"prices": "constant" if real else "current", "deflator": parameters["deflator_name"] if real else None}
    return MethodResult({"rows": len(found), **said, "missing_periods": missing}, rows)


def _rate_row(row: RateRow) -> dict[str, Any]:
    rates: dict[str, Rate] = {
        "yoy": row.yoy,
        "change_on_previous_period": row.change,
        "cumulated_yoy": row.cumulated_yoy,
        "two_year_average": row.two_year_average,
        "yoy_change_points": row.points,
    }
    found: dict[str, Any] = {
        "period": str(row.period),
        "label": row.label,
        "value": row.value,
        "cumulated": row.cumulated,
    }
    for name, rate in rates.items():
        found |= {name: rate.ratio, f"{name}_reason": rate.reason}
    return found
