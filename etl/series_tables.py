"""Names of the tables of growth, demography, quarters, quality and revisions, and what a release takes of them."""

import json
from typing import Any, Final

import polars as pl

from etl.monitor import ADJUSTMENTS, DATASET
from warehouse.write import WorkStore

GROWTH: Final = "disseminate_core__cell_growth"
NESTED_TOTAL: Final = "disseminate_core__cell_nested"
GROWTH_CERTIFICATE: Final = "disseminate_core__log_growth_certificate"
DEMOGRAPHY: Final = "disseminate_register__cell_demography"
QUARTER: Final = "disseminate_quarter__series_total"
QUARTER_CERTIFICATE: Final = "disseminate_quarter__log_certificate"
DIAGNOSTIC: Final = "disseminate_quarter__log_diagnostic"
CLIMATE_TABLE: Final = "disseminate_quarter__series_climate"
PROCESS: Final = "control_survey__log_quality"
REVISION: Final = "disseminate_core__series_revision"
REVISION_SUMMARY: Final = "disseminate_core__log_revision"
REFERENCE: Final = {
    "meta_growth": GROWTH, "meta_demography": DEMOGRAPHY, "meta_series": DIAGNOSTIC, "meta_climate": CLIMATE_TABLE,
    "meta_process_quality": PROCESS, "meta_revision": REVISION, "meta_revision_summary": REVISION_SUMMARY,
}  # fmt: skip
ASSETS: Final = (GROWTH, DEMOGRAPHY, QUARTER, PROCESS, REVISION)
SCHEMES: Final = {"adjustment": ADJUSTMENTS}


def reference_tables(work: WorkStore) -> dict[str, pl.DataFrame]:
    """The tables a release holds beside its cubes, by their public names."""
    return {public: work.read(table) for public, table in REFERENCE.items()}


def cubes(work: WorkStore, vintage: str) -> dict[str, pl.DataFrame]:
    """The dataset ``core_quarter``; none when there is no quarterly series."""
    cells = work.read(QUARTER)
    columns = ["adjustment", "period", "indicator", "value", "obs_status", "conf_status", "yoy_ratio", "yoy_note", "model_share", "vintage"]  # fmt: skip
    return {DATASET: cells.with_columns(vintage=pl.lit(vintage)).select(columns)} if cells.height else {}


def certificates(work: WorkStore) -> dict[str, Any]:
    """Certificate of each dataset of :func:`cubes`, and of the growth table."""
    quarter, growth = (json.loads(work.read(t)["json"][0]) for t in (QUARTER_CERTIFICATE, GROWTH_CERTIFICATE))
    return {DATASET: quarter, "meta_growth": growth}
