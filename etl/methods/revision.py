"""Revision analysis (修订分析): triangles, size and bias of revisions with a test that allows for autocorrelation."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import stdtr

from etl.methods.refusals import one_spelling, refuse_duplicates, refused
from etl.methods.registry import method
from etl.methods.release_order import release_keys
from etl.methods.tabular import BadInput, Column, MethodResult, Parameter, table_method

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class RevisionSummary:
    """Revisions of one set of periods; ``nan`` where too few periods allow no statement. Units are those of the values."""

    periods: int
    mean_revision: float
    mean_absolute_revision: float
    relative_mean_absolute_revision: float
    standard_deviation: float
    root_mean_square: float
    hac_standard_error: float
    t_statistic: float
    p_value: float
    minimum: float
    maximum: float
    share_positive: float
    share_negative: float
    lags: int


def newey_west_lags(n: int) -> int:
    """Number of lags :math:`\\lfloor 4 (n/100)^{2/9} \\rfloor` (Newey and West 1994), at most ``n - 2``."""
    lags: int = math.floor(4 * math.exp(2 / 9 * math.log(n / 100)))
    return max(min(lags, n - 2), 0)


@method("revision.hac_standard_error")
def hac_standard_error(values: FloatArray, lags: int) -> float:
    r"""Standard error of the mean of an autocorrelated series (Newey and West 1987, Bartlett weights).

    .. math:: \frac{1}{n}\sqrt{\frac{n}{n-1}\Bigl[\sum_t e_t^2 + 2\sum_{l=1}^{L} \bigl(1 - \tfrac{l}{L+1}\bigr) \sum_{t>l} e_t e_{t-l}\Bigr]}

    ``values`` shape ``(n,)`` with ``n >= 2``; with ``lags = 0`` it is the ordinary standard error. ValueError otherwise.
    """
    n = values.shape[0]
    if n < 2 or not 0 <= lags < n:
        raise ValueError(f"at least 2 values and 0 <= lags < n are needed, got n = {n}, lags = {lags}")
    e = values - values.mean()
    total = float(e @ e)
    for lag in range(1, lags + 1):
        total += 2 * (1 - lag / (lags + 1)) * float(e[lag:] @ e[:-lag])
    return float(math.sqrt(max(total, 0.0) * n / (n - 1)) / n)


@method("revision.summary")
def revision_summary(earlier: FloatArray, later: FloatArray, lags: int | None = None) -> RevisionSummary:
    """Size and bias of the revisions ``later - earlier`` of the same periods in time order, shape ``(n,)`` each.

    Raises
    ------
    ValueError
        If the shapes differ or there is no period.
    """
    if earlier.shape != later.shape or earlier.ndim != 1 or earlier.size == 0:
        raise ValueError("earlier and later values of the same periods are needed, at least one period")
    r, n = later - earlier, earlier.size
    used = newey_west_lags(n) if lags is None else lags
    scale = float(np.abs(later).sum())
    error = hac_standard_error(r, used) if n >= 3 else math.nan
    t = float(r.mean()) / error if error > 0 else math.nan
    return RevisionSummary(
        periods=n, mean_revision=float(r.mean()), mean_absolute_revision=float(np.abs(r).mean()),
        relative_mean_absolute_revision=float(np.abs(r).sum()) / scale if scale > 0 else math.nan,
        standard_deviation=float(r.std(ddof=1)) if n > 1 else math.nan,
        root_mean_square=float(np.sqrt((r**2).mean())), hac_standard_error=error, t_statistic=t,
        p_value=float(2 * stdtr(n - 1, -abs(t))) if math.isfinite(t) else math.nan,
        minimum=float(r.min()), maximum=float(r.max()), share_positive=float((r > 0).mean()),
        share_negative=float((r < 0).mean()), lags=used,
    )  # fmt: skip


@method("revision.triangle")
def triangle(values: pl.DataFrame) -> pl.DataFrame:
    """Revisions of every period by vintage.

    ``values``: ``period, vintage, value`` (null: withdrawn or not yet there). Returns, sorted, ``period, vintage, release``
    (1 for the first known value of the period), ``value, revision`` (on the release before; null for the first) and
    ``total_revision`` (on the first).
    """
    known = values.drop_nulls("value").sort("period", "vintage")
    first = pl.col("value").first().over("period")
    return known.select(
        "period", "vintage", release=pl.int_range(1, pl.len() + 1).over("period"), value="value",
        revision=pl.col("value").diff().over("period"), total_revision=pl.col("value") - first,
    )  # fmt: skip


@table_method(
    "revision",
    "修订分析 / revision analysis",
    [
        Column("period", "period", "参考期 / reference period"),
        Column("vintage", "text", "发布版次：日期或序号，写法一致 / vintage: dates or numbers, all in one way"),
        Column("value", "number", "数值；未发布留空 / value, empty where not published", nullable=True),
    ],
    [
        Parameter("from_release", "integer", "初值为第几次发布 / which release counts as the earlier one", 1),
        Parameter("to_release", "integer", "终值为第几次发布，0 为最新 / which as the later one, 0 for the latest", 0),
        Parameter("lags", "integer", "自相关阶数，-1 自动 / autocorrelation lags, -1 automatic", -1),
    ],
)
def run_revision(frame: pl.DataFrame, parameters: Mapping[str, Any]) -> MethodResult:
    """Result: the fields of :class:`RevisionSummary`; rows: :func:`triangle`."""
    begin, end, lags = (int(parameters[name]) for name in ("from_release", "to_release", "lags"))
    if begin < 1 or end < 0 or 0 < end <= begin:
        raise BadInput(
            f"revision: from_release {begin}, to_release {end}: from_release is 1 or more, to_release 0 (the latest) or more than "
            "from_release: the later one must come after the earlier one"
        )
    if lags < -1:
        raise BadInput(f"revision: parameter lags: {lags}; -1 (automatic), 0 or more are expected")
    rows = _triangle(frame)
    both = _pairs(rows, begin, end)
    if lags >= both.height:
        raise BadInput(f"revision: {lags} lags need more than {lags} periods, {both.height} are there")
    found = revision_summary(both["earlier"].to_numpy(), both["later"].to_numpy(), None if lags < 0 else lags)
    return MethodResult(found.__dict__, rows)


def _triangle(frame: pl.DataFrame) -> pl.DataFrame:
    """:func:`triangle` in the order of the releases, a period and a release each in one spelling."""
    texts = frame["vintage"].unique(maintain_order=True).to_list()
    with refused("revision"):
        keys = dict(zip(texts, release_keys(texts), strict=True))
    named = {key: text for text, key in reversed(keys.items())}
    one = one_spelling("revision", frame).with_columns(
        vintage=pl.Series([named[keys[text]] for text in frame["vintage"]], dtype=pl.String)
    )
    refuse_duplicates("revision", one, "period", "vintage")
    order = pl.Enum([named[key] for key in sorted(named)])
    return triangle(one.cast({"vintage": order})).with_columns(pl.col("vintage").cast(pl.String))


def _pairs(rows: pl.DataFrame, begin: int, end: int) -> pl.DataFrame:
    """``period, earlier, later`` of the periods that have both releases, in time order."""
    if not rows.height:
        raise BadInput("revision: column value is empty in every row; nothing was published")
    target = pl.col("release").max().over("period") if end == 0 else pl.lit(end)
    earlier = rows.filter(pl.col("release") == begin).select("period", earlier="value")
    later = rows.filter((pl.col("release") == target) & (pl.col("release") > begin)).select("period", later="value")
    both = earlier.join(later, on="period").sort("period")
    if not both.height:
        most = rows.sort("release", descending=True).row(0, named=True)
        raise BadInput(
            f"revision: no period has both releases, {begin} and {end or 'a later one'}; the most is {most['release']} (period "
            f"{most['period']}); lower from_release or to_release, or give vintages in which a period comes again"
        )
    return both
