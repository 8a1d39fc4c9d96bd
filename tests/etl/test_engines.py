"""The engines: the same rows in the same order, in one process, in several, on Spark."""

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aistat.classify_cmd import READERS
from etl.engines.local import code_batches, pieces
from taxonomy.classifier.batch import OUTPUT, code_batch
from taxonomy.classifier.bundle import Bundle
from tests.conftest import aistat

SPARK = importlib.util.find_spec("pyspark") is not None and shutil.which("java") is not None
SCOPES = ["工业机器人的研发、生产", "餐饮服务；食品销售", "大模型应用开发", "智能机器人销售；电子产品销售", None, ""]


def units(n: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "unit_id": [f"u{number}" for number in range(n)],
            "name": [f"深圳市第{number}号科技有限公司" for number in range(n)],
            "business_scope": [SCOPES[number % len(SCOPES)] for number in range(n)],
            "gbt_code": [[None, "3491", "6513", "9999"][number % 4] for number in range(n)],
        },
        schema_overrides={"gbt_code": pl.String},
    )


def arrow(frame: pl.DataFrame) -> pa.RecordBatch:
    (batch,) = frame.to_arrow(compat_level=pl.CompatLevel.oldest()).combine_chunks().to_batches()
    return batch


def test_pieces_keep_rows_and_order() -> None:
    batches = [arrow(units(10)), arrow(units(3)), arrow(units(4)).slice(0, 0)]
    cut = list(pieces(batches, 4))
    assert [b.num_rows for b in cut] == [4, 4, 2, 3, 0]
    assert pa.Table.from_batches(cut).equals(pa.Table.from_batches(batches))


def test_the_local_engine_pulls_no_further_than_it_has_written(bundle: Bundle, tmp_path: Path) -> None:
    pulled = 0

    def source() -> Iterator[pa.RecordBatch]:
        nonlocal pulled
        for _ in range(5):
            pulled += 1
            yield arrow(units(2))

    coded = code_batches(source(), bundle, tmp_path)
    next(coded)
    assert pulled == 1


def test_jobs_change_no_byte(tmp_path: Path, home: Path, bundle: Bundle) -> None:
    """Unequal batches, more of them than processes can hold: the order is that of the input."""
    table = arrow(units(900))
    batches = [
        table.slice(start, size) for start, size in ((0, 400), (400, 1), (401, 9), (410, 340), (750, 149), (899, 1))
    ]
    alone, together = (list(code_batches(batches, bundle, home / "bundles", jobs)) for jobs in (1, 2))
    assert len(alone) == len(together) == len(batches)
    assert all(a.equals(b) for a, b in zip(alone, together, strict=True))
    units(900).write_csv(tmp_path / "in.csv")
    for jobs in ("1", "2"):
        output = tmp_path / f"{jobs}.parquet"
        done = aistat("classify", str(tmp_path / "in.csv"), "-o", str(output), "--jobs", jobs, home=home)
        assert "900" in done.stdout and done.stderr == ""
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "2.parquet").read_bytes()


def test_a_parquet_file_of_one_row_group_is_read_in_batches(tmp_path: Path) -> None:
    units(60_000).with_columns(ballast=pl.lit("x")).write_parquet(tmp_path / "one.parquet", row_group_size=60_000)
    assert pq.ParquetFile(tmp_path / "one.parquet").num_row_groups == 1
    batches = list(READERS[".parquet"](tmp_path / "one.parquet"))
    assert max(b.num_rows for b in batches) <= 25_000 and "ballast" not in batches[0].schema.names


def test_nonsense_is_refused(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    units(3).write_csv(tmp_path / "a.csv")
    arguments = ["classify", str(tmp_path / "a.csv"), "-o", str(tmp_path / "o.csv")]
    done = aistat(*arguments, "--jobs", "0", home=home, check=False)
    assert done.returncode == 2 and "--jobs 0" in done.stderr
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    done = aistat(*arguments, "--engine", "spark", home=home, check=False)
    assert done.returncode == 2 and ("make setup-spark" in done.stderr or "Java 17" in done.stderr)
    assert done.stderr.strip().count("\n") == 0 and not (tmp_path / "o.csv").exists()


def test_the_spark_function_is_the_local_one_with_row_numbers(bundle: Bundle, bundles: Path) -> None:
    from etl.engines.spark import ROW, coder, output_schema

    batch = arrow(units(50))
    numbered = pa.RecordBatch.from_arrays([pa.array(range(7, 57)), *batch.columns], names=[ROW, *batch.schema.names])
    (coded,) = coder(str(bundles / bundle.hash))([numbered])
    assert coded.column(ROW).to_pylist() == list(range(7, 57))
    local = pl.from_arrow(pa.Table.from_batches([code_batch(batch, bundle)]))
    assert pl.from_arrow(pa.Table.from_batches([coded])).drop(ROW).equals(local)
    assert output_schema().split(", ")[0] == f"{ROW} long" and len(output_schema().split(", ")) == 1 + len(OUTPUT)


@pytest.mark.slow
@pytest.mark.skipif(not SPARK, reason="needs pyspark and Java 17: make setup-spark")
def test_spark_gives_the_local_rows_row_for_row(tmp_path: Path, home: Path) -> None:
    """More rows than one partition holds, so that order over partitions counts."""
    units(110_000).write_parquet(tmp_path / "in.parquet")
    for engine in ("local", "spark"):
        output = tmp_path / f"{engine}.parquet"
        aistat("classify", str(tmp_path / "in.parquet"), "-o", str(output), "--evidence", "--engine", engine, home=home)
    local, spark = (pl.read_parquet(tmp_path / f"{engine}.parquet") for engine in ("local", "spark"))
    assert local.schema == spark.schema and local.height == 110_000
    assert local.equals(spark)
