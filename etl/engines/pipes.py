"""Start the Spark engine through Dagster Pipes and put its parts back together, row for row."""

import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq

from etl.engines.local import pieces
from etl.engines.spark import BATCH_ROWS, ROW
from taxonomy.classifier.batch import code_batch
from taxonomy.classifier.bundle import Bundle

REPOSITORY: Final = Path(__file__).resolve().parents[2]


class EngineMissing(RuntimeError):
    """Spark cannot be started here: says what is missing and how to get it."""


class EngineFailed(RuntimeError):
    """The Spark job failed or gave other rows than it got."""


def require_spark() -> None:
    """EngineMissing unless pyspark and Java are here."""
    if importlib.util.find_spec("pyspark") is None:
        raise EngineMissing("--engine spark needs pyspark, which is not installed; run 'make setup-spark'")
    home = os.environ.get("JAVA_HOME")
    if shutil.which("java") is None and not (home and (Path(home) / "bin" / "java").is_file()):
        raise EngineMissing("--engine spark needs Java 17 or newer; install it (Debian: default-jre-headless)")


def _numbered(batches: Iterable[pa.RecordBatch], path: Path) -> int:
    """Write the input with its row numbers; rows written."""
    writer, rows = None, 0
    try:
        for batch in pieces(batches):
            numbers = pa.array(range(rows, rows + batch.num_rows), pa.int64())
            numbered = pa.RecordBatch.from_arrays([numbers, *batch.columns], names=[ROW, *batch.schema.names])
            writer = writer or pq.ParquetWriter(path, numbered.schema, compression="zstd")
            writer.write_batch(numbered)
            rows += batch.num_rows
    finally:
        if writer is not None:
            writer.close()
    return rows


def _run(source: Path, target: Path, bundle: Path) -> int:
    """The Spark job as a Dagster op in this process, the job itself in a process of its own."""
    paths = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    extras = {"source": str(source), "target": str(target), "bundle": str(bundle)}

    @dg.op
    def code_on_spark(context: dg.OpExecutionContext) -> int:
        invocation = dg.PipesSubprocessClient().run(
            command=[sys.executable, "-m", "etl.engines"],
            context=context,
            extras=extras,
            env={"PYTHONPATH": os.pathsep.join(paths)},
            cwd=str(REPOSITORY),
        )
        (message,) = invocation.get_custom_messages()
        return int(message["rows"])

    @dg.job(name="classify_on_spark")
    def classify_on_spark() -> None:
        code_on_spark()

    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with dg.DagsterInstance.ephemeral() as instance:
        result = classify_on_spark.execute_in_process(instance=instance, run_config=quiet, raise_on_error=False)
    if not result.success:
        raise EngineFailed("the Spark job failed; its messages stand above; correct that and run it again")
    return int(result.output_for_node("code_on_spark"))


def _parts(target: Path, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Coded batches in the order of their rows; EngineFailed when a row is missing or out of place."""
    following = 0
    for part in sorted(target.glob("part-*.parquet")):
        with pq.ParquetFile(part) as file:
            for batch in file.iter_batches(batch_size=BATCH_ROWS):
                expected = pa.array(range(following, following + batch.num_rows), pa.int64())
                if not batch.column(ROW).equals(expected):
                    raise EngineFailed(f"{part.name}: the rows after {following} are not in order; run it again")
                following += batch.num_rows
                coded = batch.drop_columns([ROW])
                arrays = [coded.column(f.name).cast(f.type) for f in schema]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def code_batches_on_spark(batches: Iterable[pa.RecordBatch], bundle: Bundle, bundles: Path) -> Iterator[pa.RecordBatch]:
    """As :func:`etl.engines.local.code_batches`, on Spark: equal rows in equal order.

    Raises
    ------
    EngineMissing
        If pyspark or Java is not here.
    EngineFailed
        If the job failed, or lost or misplaced a row.
    """
    require_spark()
    with tempfile.TemporaryDirectory(prefix="aistat-spark-") as name:
        folder = Path(name)
        rows = _numbered(batches, folder / "input.parquet")
        if rows == 0:
            return
        coded = _run(folder / "input.parquet", folder / "coded", bundles / bundle.hash)
        nothing = pa.RecordBatch.from_pydict(
            {"name": pa.array([], pa.string()), "business_scope": pa.array([], pa.string())}
        )
        found = 0
        for batch in _parts(folder / "coded", code_batch(nothing, bundle).schema):
            found += batch.num_rows
            yield batch
        if not rows == coded == found:
            raise EngineFailed(f"{rows} rows went to Spark, {found} came back; run it again")
