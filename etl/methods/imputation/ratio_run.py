"""``impute_ratio_of_means`` on any table."""

from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from etl.methods.imputation.links import KINDS, LinkOptions, parents_from_table
from etl.methods.imputation.ratio_of_means import MARKERS, impute_ratio_of_means
from etl.methods.imputation.variance import imputation_totals
from etl.methods.tabular import BadInput, Column, MethodResult, Parameter, table_method, typed_columns

LINK_COLUMNS: Final = (
    Column("cell", "text", "插补类 / imputation cell"),
    Column("period", "period", "报告期 / period"),
    *(Column(k, "number", "给定联系系数 / given link", required=False, nullable=True) for k in KINDS),
)


def links_from_table(table: pl.DataFrame | None) -> pl.DataFrame | None:
    """Given links ``cell, period, forward?, backward?, construction?`` of a table of strings; empty is computed."""
    if table is None:
        return None
    expected = f"columns cell, period and some of {', '.join(KINDS)} are expected"
    links = typed_columns("links", LINK_COLUMNS, table, expected)
    unknown = [c for c in table.columns if c not in links.columns]
    if unknown or links.width < 3:
        what = f"column {unknown[0]} is not known" if unknown else "no column of links"
        raise BadInput(f"links: {what}; {expected}")
    return links


@table_method(
    "impute_ratio_of_means",
    "比率均值插补 / ratio-of-means imputation",
    [
        Column("unit", "text", "单位 / unit"),
        Column("period", "period", "报告期 YYYYMM / period"),
        Column("cell", "text", "插补类 / imputation cell"),
        Column("target", "number", "指标（空为缺失）/ value returned, empty where missing", nullable=True),
        Column("auxiliary", "number", "辅助值 / auxiliary value, for construction", nullable=True),
        Column("manual", "number", "人工构造值 / value constructed by hand", required=False, nullable=True),
        Column("sampled", "flag", "在样本中 / in the sample (default yes)", required=False, nullable=True),
        Column("usable", "flag", "可用于联系系数 / may enter links (default yes)", required=False, nullable=True),
        Column(
            "marker", "text", "前期运行的标识 / marker of an earlier run (back data)", required=False, nullable=True
        ),
    ],
    [
        Parameter("periodicity", "integer", "期间隔月数 / months between periods", default=1),
        Parameter("min_count", "integer", "联系系数最少对数 / fewest pairs of a link", default=1),
        Parameter("fallback", "table", "后备类 / cell, parent: whose link is taken where pairs are too few"),
        Parameter("trim_lower", "number", "剔除最低增长百分比 / percent of lowest growths trimmed", default=0.0),
        Parameter("trim_upper", "number", "剔除最高增长百分比 / percent of highest growths trimmed", default=0.0),
        Parameter("trim_above", "integer", "多于此对数才剔除 / trim only above this many pairs", default=0),
        Parameter("weight", "number", "本期联系系数权重 / weight of this link against weight_lag before", default=1.0),
        Parameter("weight_lag", "integer", "与几个月前的联系系数加权 / months back", default=12),
        Parameter("links", "table", "给定联系系数 / given links: cell, period, forward, backward, construction"),
        Parameter(
            "replicates", "integer", "方差重复次数（0 不算）/ replicates of the variance, 0 for none", default=200
        ),
        Parameter("seed", "integer", "随机种子 / seed", default=1, least=0),
    ],
)
def run_impute_ratio_of_means(frame: pl.DataFrame, parameters: Mapping[str, Any]) -> MethodResult:
    """Rows in the order of the input; result: counts by marker, links, totals with the share imputed and its error."""
    options = LinkOptions(
        parents=parents_from_table(parameters["fallback"]),
        **{k: parameters[k] for k in ("periodicity", "min_count", "trim_lower", "trim_upper", "trim_above", "weight")},
        weight_lag=parameters["weight_lag"],
    )
    if not 0 <= parameters["replicates"] <= 10_000:
        raise BadInput(f"impute_ratio_of_means: replicates {parameters['replicates']}; expected 0 to 10000")
    if "marker" in frame.columns:
        frame = frame.rename({"marker": "back_marker"}).with_columns(pl.col("back_marker").str.to_lowercase())
    found = impute_ratio_of_means(frame, options, links_from_table(parameters["links"]))
    totals = imputation_totals(found, options, replicates=parameters["replicates"], seed=parameters["seed"])
    count = found.rows["marker"].value_counts().drop_nulls()
    markers = dict(zip(count["marker"], count["count"], strict=True))
    sampled = found.rows.filter("sampled")
    result = {
        "rows": found.rows.height,
        "markers": {m: markers.get(m, 0) for m in MARKERS},
        "without_value": sampled["value"].null_count(),
        "links": found.links.drop("step").to_dicts(),
        "totals": totals.to_dicts(),
    }
    names = ["unit", "period", "cell", "value", "marker", "target", "link", "link_count", "link_cell", "link_default"]
    per_kind = [f"{prefix}{k}" for k in KINDS for prefix in ("", "count_", "default_")]
    rows = found.rows.select(*names, "from_period", "from_value", *per_kind)
    return MethodResult(result=result, rows=rows)
