"""The Spark engine: the same batch function under ``DataFrame.mapInArrow``, for what outgrows one machine.

Optional (``make setup-spark``, Java 17). The job runs in a process of its own, started through Dagster Pipes by
:mod:`etl.engines.pipes`; on a cluster set ``AISTAT_SPARK_MASTER`` and keep source, target and bundles on storage that
every node sees. The rows are ordered *before* they are coded: sampling for the order then does not code anything twice.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa

from taxonomy.classifier.batch import OUTPUT, code_batch
from taxonomy.classifier.bundle import Bundle
from taxonomy.classifier.store import load

ROW: Final = "row_number"
MASTER: Final = "AISTAT_SPARK_MASTER"
BATCH_ROWS: Final = 25_000
PARTITION_ROWS: Final = 100_000
TYPES: Final = {pl.String: "string", pl.Float64: "double"}


@cache
def _bundle(directory: str) -> Bundle:
    """One bundle a Python worker, however many partitions it takes."""
    return load(Path(directory))


def output_schema() -> str:
    """The coded columns with the row number, as Spark writes types."""
    return ", ".join([f"{ROW} long", *(f"{name} {TYPES[kind]}" for name, kind in OUTPUT.items())])


def coder(bundle: str) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The function for ``mapInArrow``: batches with :data:`ROW` in, coded batches with the same row numbers out."""

    def code(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rows = batch.column(ROW)
            coded = code_batch(batch.drop_columns([ROW]), _bundle(bundle))
            texts = [c.cast(pa.string()) if pa.types.is_large_string(c.type) else c for c in coded.columns]
            yield pa.RecordBatch.from_arrays([rows, *texts], names=[ROW, *coded.schema.names])

    return code


def _session() -> Any:
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("PYSPARK_DRIVER_PYTHON", sys.executable)
    master = os.environ.get(MASTER, "local[*]")
    if master.startswith("local"):
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    builder = SparkSession.builder.appName("aistat classify").master(master)
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(BATCH_ROWS),
        "spark.sql.parquet.compression.codec": "zstd",
    }
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def code_parquet(source: str, target: str, bundle: str) -> int:
    """Code ``source`` (parquet with :data:`ROW` and the classifier's input) into the folder ``target``; rows.

    The parts of ``target``, in the order of their names, hold the rows in the order of :data:`ROW`.
    """
    spark = _session()
    try:
        units = spark.read.parquet(source)
        rows = int(units.count())
        parts = max(1, -(-rows // PARTITION_ROWS))
        ordered = units.repartitionByRange(parts, ROW).sortWithinPartitions(ROW)
        ordered.mapInArrow(coder(bundle), output_schema()).write.mode("overwrite").parquet(target)
        return rows
    finally:
        spark.stop()


def main() -> None:
    """The job as Dagster Pipes starts it: ``source``, ``target``, ``bundle`` (folder) in the extras."""
    from dagster_pipes import open_dagster_pipes

    with open_dagster_pipes() as pipes:
        extras = {name: pipes.get_extra(name) for name in ("source", "target", "bundle")}
        pipes.report_custom_message({"rows": code_parquet(**extras)})
