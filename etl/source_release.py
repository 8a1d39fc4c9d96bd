"""From cleared cells of further sources to release frames, certificates and code lists (GSBPM phase 7)."""

from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from etl.dissemination import HIDDEN, with_growth
from etl.source_codes import Names
from etl.source_cubes import ClearedSource
from etl.source_plan import Cluster
from warehouse.catalogue import Dataset, load_datasets, load_indicators

CELLS = "disseminate_sources__cell_protected"
CERTIFICATE = "disseminate_sources__log_certificate"
CODE_LIST = "disseminate_sources__code_list"
CODE_SCHEMA = {"scheme": pl.String, "code": pl.String, "name_zh": pl.String, "name_en": pl.String, "sort": pl.Int64}
CELL_SCHEMA = {
    "dataset": pl.String, "indicator": pl.String, "period": pl.String, "value": pl.Decimal(24, 2),
    "status": pl.String, "provisional": pl.Boolean,
}  # fmt: skip


def cell_table(cleared: Iterable[ClearedSource]) -> pl.DataFrame:
    """All cells of all sources (restricted): :data:`CELL_SCHEMA` and the dimensions of all cubes."""
    frames = [c.frame for c in cleared if c.frame.height]
    return pl.concat([pl.DataFrame(schema=CELL_SCHEMA), *frames], how="diagonal")


def _estimated() -> list[str]:
    """Indicators that are estimates: of a sample, or weighted by a membership that may be modelled."""
    cards = [i for i in load_indicators().values() if i.source is not None]
    return [i.id for i in cards if i.source and (i.source.question is not None or i.source.scope == "members")]


def _shaped(cells: pl.DataFrame, dataset: Dataset, vintage: str) -> pl.DataFrame:
    hidden, missing = pl.col("status").is_in(HIDDEN), pl.col("status") == "missing"
    estimated = pl.col("indicator").is_in(_estimated())
    status = (
        pl.when(missing).then(pl.lit("M")).when("provisional").then(pl.lit("P"))
        .when(estimated).then(pl.lit("E")).otherwise(pl.lit("A"))
    )  # fmt: skip
    shaped = cells.with_columns(
        value=pl.when(~hidden & ~missing).then("value"), obs_status=status,
        conf_status=pl.when(hidden).then(pl.lit("C")).otherwise(pl.lit("F")),
        model_share=pl.lit(None, pl.Float64), vintage=pl.lit(vintage),
    )  # fmt: skip
    dims = dataset.dimension_ids
    grown = with_growth(shaped, dims)
    wanted = pl.col("indicator").is_in([i.id for i in load_indicators().values() if i.growth == "yoy"])
    # Part of a year is no growth on a whole one.
    shown = wanted & ~pl.col("provisional")
    note = pl.when(shown).then("yoy_note").when(wanted).then(pl.lit("missing")).otherwise(pl.lit(""))
    return grown.with_columns(yoy_ratio=pl.when(shown).then("yoy_ratio"), yoy_note=note).select(
        *dims, "period", "indicator", "value", "obs_status", "conf_status", "yoy_ratio", "yoy_note", "model_share",
        "vintage",
    )  # fmt: skip


def source_cubes(cells: pl.DataFrame, vintage: str) -> dict[str, pl.DataFrame]:
    """Release frames by dataset; a dataset of sources nothing was received from is not there (not received, not zero)."""
    datasets = load_datasets()
    return {
        str(name): _shaped(own, datasets[str(name)], vintage)
        for (name,), own in cells.partition_by("dataset", as_dict=True, maintain_order=True).items()
    }


def source_certificates(
    cleared: Sequence[ClearedSource], clusters: Mapping[str, Cluster]
) -> dict[str, dict[str, object]]:
    """Public certificate of each protected dataset: passed only if every audit of every source in it did."""
    found: dict[str, dict[str, object]] = {}
    for source in (c for c in cleared if c.frame.height):
        cluster = clusters[source.source]
        for dataset in cluster.datasets:
            if not cluster.protected:
                continue
            before = found.setdefault(dataset.id, {"passed": True, "jointly_with": [], "tables": []})
            together = {*before["jointly_with"], *(d.id for d in cluster.datasets)}  # type: ignore[misc]
            found[dataset.id] = {
                "passed": bool(before["passed"]) and source.passed and bool(source.audits),
                "jointly_with": sorted(together),
                "tables": [*before["tables"], *(dict(a) for a in source.audits)],  # type: ignore[misc]
            }
    return found


def code_lists(rows: pl.DataFrame) -> dict[str, list[Names]]:
    """Scheme → (code, Chinese, English) of the code lists the cubes bring, in order."""
    parts = rows.sort("scheme", "sort").partition_by("scheme", as_dict=True, maintain_order=True)
    return {str(scheme): list(own.select("code", "name_zh", "name_en").iter_rows()) for (scheme,), own in parts.items()}
