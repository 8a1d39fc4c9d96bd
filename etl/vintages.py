"""City and branch totals of earlier releases: what was published, when, and at which stage (GSBPM overarching: quality)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl

from etl.methods.revision import revision_summary, triangle
from etl.stages import stage_of
from warehouse.catalogue import TOTAL
from warehouse.release import ReleaseInfo, cube_table, list_releases

TABLE: Final = "disseminate_core_leaf_year"
TOTALS: Final = {
    "indicator": pl.String, "ai_class": pl.String, "period": pl.String, "vintage": pl.String, "release_id": pl.String,
    "value": pl.Float64,
}  # fmt: skip
TRIANGLE: Final = {
    "indicator": pl.String, "period": pl.String, "vintage": pl.String, "release": pl.Int64, "value": pl.Float64,
    "revision": pl.Float64, "total_revision": pl.Float64, "stage": pl.String, "stage_zh": pl.String,
    "stage_en": pl.String,
}  # fmt: skip
SUMMARY: Final = {"indicator": pl.String, "measure": pl.String, "value": pl.Float64}
MEASURES: Final = (
    "periods", "mean_revision", "mean_absolute_revision", "relative_mean_absolute_revision", "hac_standard_error",
    "t_statistic", "p_value", "share_positive", "share_negative",
)  # fmt: skip


def _by_vintage(home: Path, before: str, *, synthetic: bool) -> dict[str, ReleaseInfo]:
    """The last release made of every earlier vintage, oldest vintage first."""
    made = sorted(list_releases(home), key=lambda i: (i.vintage, i.created_at))
    return {i.vintage: i for i in made if i.vintage < before and i.is_synthetic == synthetic}


def first_vintage(home: Path, dataset: str, period: str, before: str, *, synthetic: bool) -> str:
    """The vintage that first released a period of a dataset; ``before``, the one being made, where none did."""
    for vintage, info in _by_vintage(home, before, synthetic=synthetic).items():
        file = info.folder / "files" / f"{cube_table(dataset)}.parquet"
        if file.is_file() and period in pl.read_parquet(file, columns=["period"])["period"]:
            return vintage
    return before


def released_totals(home: Path, before: str, *, synthetic: bool) -> pl.DataFrame:
    """Published totals of the city and its branches in the releases of earlier vintages: ``TOTALS``, oldest vintage first.

    One release a vintage counts, the last one made. Only what readers were shown is read; releases of synthetic data and of
    real data are never mixed.
    """
    parts = [pl.DataFrame(schema=TOTALS)]
    for vintage, info in _by_vintage(home, before, synthetic=synthetic).items():
        file = info.folder / "files" / f"{TABLE}.parquet"
        if not file.is_file():
            continue
        rows = pl.read_parquet(file, columns=["indicator", "ai_class", "period", "value", "conf_status"])
        rows = rows.filter((pl.col("conf_status") == "F") & pl.col("ai_class").str.len_chars().is_in([1, len(TOTAL)]))
        parts.append(
            rows.select(
                "indicator", "ai_class", "period", vintage=pl.lit(vintage), release_id=pl.lit(info.release_id),
                value=pl.col("value").cast(pl.Float64),
            ).drop_nulls("value")
        )  # fmt: skip
    found = pl.concat(parts)
    return found.filter((pl.col("ai_class") == TOTAL) | (pl.col("ai_class").str.len_chars() == 1))


def first_published(totals: pl.DataFrame) -> dict[tuple[str, str, str], float]:
    """(indicator, branch or ``_T``, period) → value as first published."""
    first = totals.sort("vintage").group_by("indicator", "ai_class", "period").agg(pl.col("value").first())
    return {(i, c, p): v for i, c, p, v in first.iter_rows()}


def _city(totals: pl.DataFrame, current: pl.DataFrame) -> pl.DataFrame:
    """City totals of earlier releases and of the one being made, one a vintage."""
    columns = [c for c in TOTALS if c != "release_id"]
    own = pl.concat([totals.select(columns), current.select(columns)]).filter(pl.col("ai_class") == TOTAL)
    return own.unique(["indicator", "period", "vintage"], keep="last").sort("indicator", "period", "vintage")


def revision_rows(totals: pl.DataFrame, current: pl.DataFrame, settings: Mapping[str, Any]) -> pl.DataFrame:
    """The table ``meta_revision``: the revision triangle of every city total, as :data:`TRIANGLE`.

    Parameters
    ----------
    totals
        As :func:`released_totals` returns them.
    current
        The same columns (without ``release_id``) of the release being made.

    Notes
    -----
    A vintage that repeats the figure of the one before at the same stage is left out: each row is a change.
    """
    own = _city(totals, current)
    pairs = own.select("period", "vintage").unique().sort("period", "vintage").rows()
    stages = pl.DataFrame(
        [(p, v, *stage_of(p, v, settings)) for p, v in pairs],
        schema=["period", "vintage", "stage", "stage_zh", "stage_en"], orient="row",
    ).cast(pl.String)  # fmt: skip
    parts = [pl.DataFrame(schema=TRIANGLE)]
    for (indicator,), rows in own.sort("indicator", "period", "vintage").group_by("indicator", maintain_order=True):
        rows = rows.join(stages, on=["period", "vintage"], how="left").sort("period", "vintage")
        same = (pl.col("value") == pl.col("value").shift().over("period")) & (
            pl.col("stage") == pl.col("stage").shift().over("period")
        )
        rows = rows.filter(~same.fill_null(False))
        cut = triangle(rows.select("period", "vintage", "value")).join(
            rows.select("period", "vintage", "stage", "stage_zh", "stage_en"), on=["period", "vintage"], how="left"
        )
        parts.append(
            cut.select(pl.lit(indicator).alias("indicator"), pl.exclude("indicator")).cast(dict(TRIANGLE.items()))
        )
    return pl.concat(parts).sort("indicator", "period", "vintage")


def summary_rows(totals: pl.DataFrame, current: pl.DataFrame) -> pl.DataFrame:
    """The table ``meta_revision_summary``: ``indicator, measure, value`` of first to latest figures, in :data:`MEASURES`.

    Arguments as of :func:`revision_rows`. Over the periods released in two vintages at least, those that were not revised
    counted with zero; nothing where there is no such period. A measure that needs more periods (the t-test: three, and
    revisions that differ) is null.
    """
    found = []
    for (indicator,), own in _city(totals, current).group_by("indicator", maintain_order=True):
        ends = own.group_by("period", maintain_order=True).agg(
            first=pl.col("value").first(), last=pl.col("value").last(), n=pl.len()
        )
        ends = ends.filter(pl.col("n") > 1)
        if ends.height:
            s = revision_summary(ends["first"].to_numpy(), ends["last"].to_numpy())
            found += [(str(indicator), m, float(getattr(s, m))) for m in MEASURES]
    return pl.DataFrame(found, schema=SUMMARY, orient="row").with_columns(pl.col("value").fill_nan(None))
