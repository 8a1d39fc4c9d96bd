"""Cubes of the real public lists: counts of what was announced. Nothing here is simulated or confidential."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import polars as pl

from warehouse.catalogue import load_datasets

TOTAL = "_T"
NO_CITY = "unknown"


def _cells(frame: pl.DataFrame, vintage: str) -> pl.DataFrame:
    return frame.with_columns(
        value=pl.col("value").cast(pl.Decimal(24, 2)),
        obs_status=pl.when(pl.col("value").is_null()).then(pl.lit("M")).otherwise(pl.lit("A")),
        conf_status=pl.lit("F"),
        yoy_ratio=pl.lit(None, pl.Float64),
        yoy_note=pl.lit(""),
        model_share=pl.lit(None, pl.Float64),
        vintage=pl.lit(vintage),
    )


def _rollups(rows: pl.DataFrame, dims: Sequence[str]) -> pl.DataFrame:
    """Rows repeated for every subset of dimensions set to the total."""
    parts = []
    for size in range(len(dims) + 1):
        for totalled in combinations(dims, size):
            parts.append(rows.with_columns(pl.lit(TOTAL).alias(d) for d in totalled))
    return pl.concat(parts)


def _grid(found: pl.DataFrame, dims: Sequence[str], months: Sequence[str]) -> pl.DataFrame:
    keys = found.select(dims).unique()
    return keys.join(pl.DataFrame({"period": sorted(months)}), how="cross").sort(*dims, "period")


def filing_cells(filings: pl.DataFrame, dims: Sequence[str], vintage: str) -> pl.DataFrame:
    """Announced in the month, announced so far, and distinct companies so far, by ``dims`` and month of the list.

    ``filings``: one row a filing with ``period`` (month of the list), ``company`` and ``dims``. A month without an
    announcement in a cell is a true zero: the lists are complete for Shenzhen.
    """
    rows = _rollups(filings.select(*dims, "period", "company"), dims)
    months = filings["period"].unique().to_list()
    grid = _grid(rows, dims, months)
    key = [*dims, "period"]
    monthly = rows.group_by(key).agg(pl.len().alias("filings"))
    first = rows.group_by(*dims, "company").agg(pl.col("period").min()).group_by(key).agg(pl.len().alias("new"))
    wide = (
        grid.join(monthly, on=key, how="left", maintain_order="left")
        .join(first, on=key, how="left", maintain_order="left")
        .with_columns(pl.col("filings", "new").fill_null(0))
        .with_columns(
            filings_cumulated=pl.col("filings").cum_sum().over(dims, order_by="period"),
            filing_companies=pl.col("new").cum_sum().over(dims, order_by="period"),
        )
        .drop("new")
    )
    indicators = ["filings", "filings_cumulated", "filing_companies"]
    return _cells(wide.unpivot(indicators, index=key, variable_name="indicator", value_name="value"), vintage)


def _shaped(frame: pl.DataFrame, dataset: str) -> pl.DataFrame:
    dims = load_datasets()[dataset].dimension_ids
    return frame.select(
        *dims, "period", "indicator", "value", "obs_status", "conf_status", "yoy_ratio", "yoy_note", "model_share",
        "vintage",
    )  # fmt: skip


def filing_cubes(received: pl.DataFrame, vintage: str) -> dict[str, pl.DataFrame]:
    """The two filing datasets, Shenzhen's filings only (the list's other rows are a sample of other places)."""
    shenzhen = received.filter(pl.col("is_shenzhen") == "1").rename(
        {"region_code": "district_code", "batch": "period", "role_or_class": "role"}
    )
    rows = shenzhen.select("period", "company", "filing_type", "role", pl.col("district_code").alias("district"))
    return {
        "filings_district_month": _shaped(
            filing_cells(rows, ["district", "filing_type"], vintage), "filings_district_month"
        ),
        "filings_type_role": _shaped(filing_cells(rows, ["filing_type", "role"], vintage), "filings_type_role"),
    }


def listed_cube(received: pl.DataFrame, vintage: str) -> pl.DataFrame:
    """Listed companies and their employees by city; the period is the year of the vintage's list.

    A city none of whose companies states its employees is missing, not zero.
    """
    rows = _rollups(received.select(pl.col("city").fill_null(NO_CITY), "employees"), ["city"])
    known = pl.col("employees").is_not_null().any()
    wide = rows.group_by("city").agg(
        pl.len().cast(pl.Int64).alias("listed_companies"),
        pl.when(known).then(pl.col("employees").sum()).alias("listed_employees"),
    )
    long = wide.unpivot(
        ["listed_companies", "listed_employees"], index="city", variable_name="indicator", value_name="value"
    ).with_columns(period=pl.lit(vintage[:4]))
    return _shaped(_cells(long, vintage), "listed_city").sort("city", "indicator")


def code_lists(filings: pl.DataFrame, listed: pl.DataFrame) -> Mapping[str, list[tuple[str, str, str]]]:
    """Code lists read from the public lists themselves: scheme → (code, name_zh, name_en)."""
    types = sorted(filings["filing_type"].unique().to_list())
    roles = filings.group_by("role_or_class").len().sort("len", "role_or_class", descending=[True, False])
    cities = listed.group_by("city").len().sort("len", "city", descending=[True, False]).drop_nulls("city")
    english = {
        "互联网信息服务算法备案": "Recommendation and other algorithms",
        "深度合成服务算法备案": "Deep-synthesis algorithms",
        "服务提供者": "Service provider", "服务技术支持者": "Technical supporter", "个性化推送类": "Personalised push",
        "排序精选类": "Ranking", "生成合成类": "Generation", "检索过滤类": "Retrieval filter", "内容过滤类": "Content filter",
        "信息检索类": "Information retrieval", "调度决策类": "Dispatch decision",
    }  # fmt: skip
    return {
        "filing_type": [(t, t, english.get(t, t)) for t in types],
        "filing_role": [(r, r, english.get(r, r)) for r in roles["role_or_class"]],
        "city": [(c, c, c) for c in cities["city"]] + [(NO_CITY, "未注明", "not stated")],
    }
