"""The local engine: batches in, coded batches out, in order, in constant memory, in one or several processes."""

import multiprocessing
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Final

import pyarrow as pa

from taxonomy.classifier.batch import code_batch
from taxonomy.classifier.bundle import Bundle
from taxonomy.classifier.store import load

BATCH_ROWS: Final = 25_000
AHEAD: Final = 2
"""Batches in work for each process: the reader waits when so many are not yet written."""
_bundle: Bundle | None = None


def pieces(batches: Iterable[pa.RecordBatch], rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of at most ``rows``: how a file was written has no say in memory."""
    for batch in batches:
        for start in range(0, max(batch.num_rows, 1), rows):
            yield batch.slice(start, rows)


def _start(directory: str, threads: int) -> None:
    global _bundle
    pa.set_cpu_count(threads)
    _bundle = load(Path(directory))


def _code(data: bytes) -> bytes:
    assert _bundle is not None
    with pa.ipc.open_stream(data) as reader:
        (batch,) = list(reader)
    return _packed(code_batch(batch, _bundle))


def _packed(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def _unpacked(data: bytes) -> pa.RecordBatch:
    with pa.ipc.open_stream(data) as reader:
        (batch,) = list(reader)
    return batch


def code_batches(
    batches: Iterable[pa.RecordBatch], bundle: Bundle, bundles: Path, jobs: int = 1
) -> Iterator[pa.RecordBatch]:
    """Code batches in their order.

    Parameters
    ----------
    batches
        Input of :func:`taxonomy.classifier.batch.code_batch`.
    bundle, bundles
        What decides, and the folder it is stored in (other processes load it from there).
    jobs
        Processes. With more than one at most ``AHEAD`` batches a process are held at a time.
    """
    if jobs == 1:
        for batch in pieces(batches):
            yield code_batch(batch, bundle)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        jobs, mp_context=context, initializer=_start, initargs=(str(bundles / bundle.hash), 1)
    ) as pool:
        waiting: deque[Future[bytes]] = deque()
        for batch in pieces(batches):
            waiting.append(pool.submit(_code, _packed(batch)))
            if len(waiting) >= AHEAD * jobs:
                yield _unpacked(waiting.popleft().result())
        while waiting:
            yield _unpacked(waiting.popleft().result())
