"""Results of pure functions, kept by the content of what they were made from: nightly cost follows the change (Art. 9).

A unit's row makes a stratum's or a table's input, that makes a period's result: where the inputs of a step are what they were,
its result is taken from before, and so is the result of every step that rests on it alone. The key holds all inputs, all our
code and metadata, and the versions of the libraries that compute; whatever of them changes, the step is computed anew. So an
incremental night gives what a full one gives. Entries are unit level or restricted and live under the installation like the
work store; those no run asked for in thirty days are removed.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, is_dataclass
from functools import cache
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from etl.fingerprint import CODE_FOLDERS, CODE_SUFFIXES, REPOSITORY

Frames = Mapping[str, pl.DataFrame]
LIBRARIES: Final = ("polars", "numpy", "scipy", "highspy", "scikit-learn", "numba")
KEEP_DAYS: Final = 30
JSON: Final = "json"


@cache
def _code() -> str:
    """Hash of all code and metadata of the pipeline and of the libraries' versions."""
    paths = [p for folder in CODE_FOLDERS for p in (REPOSITORY / folder).rglob("*") if p.suffix in CODE_SUFFIXES]
    found = hashlib.sha256(" ".join(f"{name} {version(name)}" for name in LIBRARIES).encode())
    for path in sorted(paths):
        found.update(path.relative_to(REPOSITORY).as_posix().encode() + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def _bytes(part: object) -> bytes:
    if isinstance(part, pl.DataFrame):
        # By value, whatever the layout in memory: two 64-bit hashes a row.
        rows = (part.hash_rows(seed).to_numpy().tobytes() for seed in (1, 2))
        return repr((part.schema, part.height)).encode() + b"".join(rows)
    if isinstance(part, np.ndarray):
        return f"{part.dtype}{part.shape}".encode() + np.ascontiguousarray(part).tobytes()
    if is_dataclass(part) and not isinstance(part, type):
        return type(part).__name__.encode() + _bytes(asdict(part))
    if isinstance(part, Mapping):
        return b"{" + b",".join(_bytes(k) + b":" + _bytes(v) for k, v in part.items()) + b"}"
    if isinstance(part, set | frozenset):
        return b"s" + _bytes(sorted(part))
    if isinstance(part, Sequence) and not isinstance(part, str | bytes):
        return b"[" + b",".join(_bytes(p) for p in part) + b"]"
    if part is None or isinstance(part, str | bytes | int | float | bool):
        return repr(part).encode()
    raise TypeError(f"{type(part).__name__} has no content to be known by")


def digest(part: object) -> str:
    """Hash of a part by its content, to be given to :func:`remembered` in its place."""
    return hashlib.sha256(_bytes(part)).hexdigest()


class Memory:
    """Entries under ``folder``/<kind>/<key>: one file a frame, and a list of them written last (a torn entry is none)."""

    def __init__(self, folder: Path, *, read: bool = True) -> None:
        """``read=False``: everything is computed anew, and kept."""
        self._folder, self._read = folder, read
        self.taken = self.made = 0

    def key(self, kind: str, parts: Sequence[object]) -> str:
        """Name of the entry for these inputs and today's code."""
        digest = hashlib.sha256(f"{kind}|{_code()}".encode())
        for part in parts:
            own = _bytes(part)
            digest.update(len(own).to_bytes(8, "big") + own)
        return digest.hexdigest()[:40]

    def get(self, kind: str, key: str) -> Frames | None:
        """The frames kept under a key; None if there are none or they are damaged."""
        listing = self._folder / kind / f"{key}.json"
        try:
            if not self._read:
                return None
            found = {}
            for name, digest in json.loads(listing.read_text(encoding="utf-8")).items():
                content = (self._folder / kind / f"{key}.{name}.arrow").read_bytes()
                if hashlib.sha256(content).hexdigest() != digest:
                    return None
                found[name] = pl.read_ipc_stream(BytesIO(content))
            os.utime(listing)
        except (OSError, ValueError, AttributeError, pl.exceptions.PolarsError):
            return None
        self.taken += 1
        return found

    def put(self, kind: str, key: str, frames: Frames) -> None:
        """Keep frames under a key."""
        folder = self._folder / kind
        folder.mkdir(parents=True, exist_ok=True)
        listing = {}
        for name, frame in frames.items():
            buffer = BytesIO()
            frame.write_ipc_stream(buffer, compression="lz4")
            listing[name] = hashlib.sha256(buffer.getvalue()).hexdigest()
            _replace(folder / f"{key}.{name}.arrow", buffer.getvalue())
        _replace(folder / f"{key}.json", json.dumps(listing).encode())
        self.made += 1

    def purge(self, now: float | None = None) -> None:
        """Remove entries that no run asked for in :data:`KEEP_DAYS` days."""
        oldest = (time.time() if now is None else now) - KEEP_DAYS * 86_400
        for listing in self._folder.glob("*/*.json"):
            if listing.stat().st_mtime < oldest:
                for path in listing.parent.glob(f"{listing.stem}.*"):
                    path.unlink(missing_ok=True)


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(content)
    temporary.replace(path)


_ACTIVE: ContextVar[Memory | None] = ContextVar("memory", default=None)


@contextmanager
def remembering(memory: Memory) -> Iterator[Memory]:
    """Within, :func:`remembered` keeps and takes results; without, it computes."""
    token = _ACTIVE.set(memory)
    try:
        yield memory
    finally:
        _ACTIVE.reset(token)


def remembered(kind: str, parts: Sequence[object], make: Callable[[], Frames]) -> Frames:
    """What ``make`` returns, taken from before where ``parts`` — everything it depends on but our code — are the same."""
    memory = _ACTIVE.get()
    if memory is None:
        return make()
    key = memory.key(kind, parts)
    known = memory.get(kind, key)
    if known is not None:
        return known
    made = make()
    memory.put(kind, key, made)
    return made


def as_json(value: object) -> pl.DataFrame:
    """A value that JSON can hold, as a frame to keep."""
    return pl.DataFrame({JSON: [json.dumps(value, ensure_ascii=False)]})


def from_json(frame: pl.DataFrame) -> object:
    """The value of :func:`as_json`."""
    found: object = json.loads(frame[JSON][0])
    return found
