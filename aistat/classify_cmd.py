"""``aistat classify``: code any table of units, streamed in batches."""

import argparse
import csv
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aistat.errors import CheckFailed, UserError
from aistat.home import home

if TYPE_CHECKING:
    import pyarrow as pa

    from taxonomy.classifier.bundle import Bundle

REQUIRED = ("name", "business_scope")
OPTIONAL = ("unit_id", "main_products", "gbt_code", "filing_text")
BLOCK_BYTES = 2 << 20
BATCH_ROWS = 25_000
READ_BYTES = 1 << 20


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``classify`` to the command line."""
    parser = subparsers.add_parser("classify", help="为单位表编码 / code a table of units")
    parser.add_argument("input", type=Path, help="csv (UTF-8, GB18030), xlsx, parquet")
    parser.add_argument("-o", "--output", type=Path, required=True, help="csv or parquet")
    parser.add_argument(
        "--engine",
        choices=["local", "spark"],
        default="local",
        help="local：本机逐批；spark：make setup-spark，需 Java 17 / this machine, or Spark (equal row for row)",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="local 引擎的进程数 / processes of the local engine (default 1)",
    )
    parser.add_argument(
        "--bundle", metavar="HASH", help="用哪个编码包（默认：使用中的） / which bundle (default: the one in use)"
    )
    parser.add_argument("--evidence", action="store_true", help="附证据列 / add the evidence column")
    parser.set_defaults(func=classify)


def _encoding(path: Path) -> str:
    import codecs

    for encoding in ("utf-8-sig", "gb18030"):
        decoder = codecs.getincrementaldecoder(encoding)(errors="strict")
        try:
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    decoder.decode(block)
                decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        return encoding
    raise UserError(f"{path}: neither UTF-8 nor GB18030; save the file in one of them")


def _csv_batches(path: Path) -> Iterator["pa.RecordBatch"]:
    import pyarrow as pa
    import pyarrow.csv as arrow_csv

    encoding = _encoding(path)
    with path.open(encoding=encoding, newline="") as file:
        header = next(csv.reader(file), None)
    if header is None:
        raise UserError(f"{path}: the file is empty; a header line was expected: {', '.join(REQUIRED)}")
    convert = arrow_csv.ConvertOptions(
        column_types={name: pa.string() for name in header}, strings_can_be_null=True, null_values=[""]
    )
    read = arrow_csv.ReadOptions(
        encoding="utf8" if encoding.startswith("utf-8") else encoding, block_size=BLOCK_BYTES, use_threads=False
    )
    parse = arrow_csv.ParseOptions(newlines_in_values=True)
    try:
        with arrow_csv.open_csv(path, read_options=read, convert_options=convert, parse_options=parse) as reader:
            yield from reader
    except pa.ArrowInvalid as error:
        raise UserError(f"{path}: not a readable csv: {error}") from error


def _parquet_batches(path: Path) -> Iterator["pa.RecordBatch"]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, buffer_size=READ_BYTES, pre_buffer=False) as file:
            wanted = [c for c in file.schema_arrow.names if c in (*REQUIRED, *OPTIONAL)]
            columns = wanted if set(REQUIRED) <= set(wanted) else None
            yield from file.iter_batches(batch_size=BATCH_ROWS, columns=columns)
    except pa.ArrowInvalid as error:
        raise UserError(f"{path}: not a readable parquet file: {error}") from error


def _xlsx_batches(path: Path) -> Iterator["pa.RecordBatch"]:
    import polars as pl

    try:
        frame = pl.read_excel(path, infer_schema_length=0)
    except Exception as error:
        raise UserError(f"{path}: not a readable xlsx file: {str(error).splitlines()[0]}") from error
    yield from frame.to_arrow(compat_level=pl.CompatLevel.oldest()).combine_chunks().to_batches()


READERS = {".csv": _csv_batches, ".parquet": _parquet_batches, ".xlsx": _xlsx_batches}


def _batches(path: Path) -> Iterator["pa.RecordBatch"]:
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"{path}: expected a file ending in {', '.join(READERS)}")
    return reader(path)


def _checked(batch: "pa.RecordBatch", path: Path) -> "pa.RecordBatch":
    missing = [c for c in REQUIRED if c not in batch.schema.names]
    if missing:
        raise UserError(
            f"{path}: columns {', '.join(missing)} are missing; expected {', '.join(REQUIRED)} and, if there, "
            f"{', '.join(OPTIONAL)}; found {', '.join(batch.schema.names)}"
        )
    return batch.select([c for c in batch.schema.names if c in (*REQUIRED, *OPTIONAL)])


class _Writer:
    """Writes coded batches to csv or parquet under a temporary name, moved into place when all is written."""

    def __init__(self, path: Path) -> None:
        if path.suffix.lower() not in (".csv", ".parquet"):
            raise UserError(f"{path}: the output must end in .csv or .parquet")
        self._path = path
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}")
        self._parquet: Any = None
        self._rows = 0

    def write(self, batch: "pa.RecordBatch") -> None:
        import polars as pl
        import pyarrow.parquet as pq

        if self._path.suffix.lower() == ".parquet":
            if self._parquet is None:
                self._parquet = pq.ParquetWriter(self._temporary, batch.schema, compression="zstd")
            self._parquet.write_batch(batch)
        else:
            frame = pl.from_arrow(batch)
            assert isinstance(frame, pl.DataFrame)
            first = self._rows == 0 and not self._temporary.exists()
            with self._temporary.open("ab") as file:
                frame.write_csv(file, include_header=first, include_bom=first)
        self._rows += batch.num_rows

    def close(self, *, keep: bool) -> None:
        if self._parquet is not None:
            self._parquet.close()
        if keep:
            self._temporary.replace(self._path)
        else:
            self._temporary.unlink(missing_ok=True)


def _empty_batch() -> "pa.RecordBatch":
    import pyarrow as pa

    schema = pa.schema([(c, pa.string()) for c in (*REQUIRED, *OPTIONAL)])
    return pa.RecordBatch.from_arrays([pa.array([], pa.string()) for _ in schema], schema=schema)


class _Progress:
    """One line on a terminal that says how far the work is; silent elsewhere."""

    def __init__(self) -> None:
        self._started = self._shown = time.perf_counter()
        self._live = sys.stderr.isatty()

    def show(self, rows: int) -> None:
        now = time.perf_counter()
        if self._live and now - self._shown > 1:
            self._shown = now
            pace = rows / (now - self._started)
            print(f"\r  {rows:,} 行 / rows, {pace:,.0f}/s ", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self._live:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def _coded(
    args: argparse.Namespace, batches: Iterator["pa.RecordBatch"], bundle: "Bundle"
) -> Iterator["pa.RecordBatch"]:
    """The engine's output for the checked input."""
    bundles = home() / "bundles"
    checked = (_checked(batch, args.input) for batch in batches)
    if args.engine == "local":
        from etl.engines.local import code_batches

        yield from code_batches(checked, bundle, bundles, args.jobs)
        return
    from etl.engines.pipes import EngineFailed, EngineMissing, code_batches_on_spark

    try:
        yield from code_batches_on_spark(checked, bundle, bundles)
    except EngineMissing as error:
        raise UserError(str(error)) from error
    except EngineFailed as error:
        raise CheckFailed(str(error)) from error


def _chosen_bundle(name: str | None) -> "Bundle":
    from taxonomy.classifier.bundle import BundleError
    from taxonomy.classifier.store import current_bundle, load

    directory = home() / "bundles"
    try:
        return current_bundle(directory) if name is None else load(directory / name)
    except BundleError as error:
        raise UserError(str(error)) from error


def _check_jobs(jobs: int) -> None:
    cores = os.cpu_count() or 1
    if not 1 <= jobs <= cores:
        raise UserError(f"--jobs {jobs}: expected 1 to {cores} (the cores of this machine)")


def classify(args: argparse.Namespace) -> int:
    """Code a file; the output appears only when all of it is written."""
    from taxonomy.classifier.batch import code_batch

    _check_jobs(args.jobs)
    batches = _batches(args.input)
    writer = _Writer(args.output)
    bundle = _chosen_bundle(args.bundle)
    dropped = () if args.evidence else ("evidence",)
    rows, routes, done, progress = 0, dict[str, int](), False, _Progress()
    try:
        for coded in _coded(args, batches, bundle):
            writer.write(coded.select([c for c in coded.schema.names if c not in dropped]))
            rows += coded.num_rows
            progress.show(rows)
            for route, count in _counts(coded):
                routes[route] = routes.get(route, 0) + count
        if rows == 0:
            coded = code_batch(_empty_batch(), bundle)
            writer.write(coded.select([c for c in coded.schema.names if c not in dropped]))
        done = True
    finally:
        progress.clear()
        writer.close(keep=done)
    summary = ", ".join(f"{route} {count:,}" for route, count in sorted(routes.items()))
    print(f"{rows:,} 行 / rows → {args.output} (bundle {bundle.hash}{'; ' + summary if summary else ''})")
    return 0


def _counts(batch: "pa.RecordBatch") -> list[tuple[str, int]]:
    return [(str(item["values"]), int(item["counts"])) for item in batch.column("route").value_counts().to_pylist()]
