"""What a file held, kept by its content: an unchanged file is not read again (nightly cost follows the change).

The key is the file's hash, the contract and the code that reads; whatever of them changes, the file is read anew. Cached rows
are unit level and live under the installation like the work store; entries no run asked for are removed.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

import polars as pl

from etl.contract import SOURCES, Contract
from etl.reading import FileReceipt, ReadResult, digest

CODE: Final = Path(__file__).parent
TAXONOMY: Final = CODE.parent / "taxonomy"


@cache
def _reader_digest() -> str:
    """Hash of the code and code lists that decide how a file is read."""
    paths = [*(CODE / "reading").glob("*.py"), *CODE.glob("contract*.py"), CODE / "uscc.py", CODE / "compact.py"]
    paths += [*TAXONOMY.glob("*.py"), *(TAXONOMY / "schemes").glob("*")]
    found = hashlib.sha256()
    for path in sorted(p for p in paths if p.is_file()):
        found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()


def _base(contract: Contract) -> str:
    """Hash of the contract and of the code that reads by it."""
    own = (SOURCES / contract.id / "contract.yaml").read_bytes() if (SOURCES / contract.id).is_dir() else b""
    return hashlib.sha256(own + repr(contract).encode() + _reader_digest().encode()).hexdigest()


def delivery_key(contract: Contract, paths: Sequence[Path]) -> str:
    """What a source's rows are made from: names and content of its files, the contract, the code that reads."""
    found = hashlib.sha256(_base(contract).encode())
    for path in paths:
        found.update(f"{path.name}|{digest(path)}\n".encode())
    return found.hexdigest()


class FileCache:
    """Read results of one source's files under ``folder``; ``fresh``: every file is read anew, and kept."""

    def __init__(self, folder: Path, contract: Contract, *, fresh: bool = False) -> None:
        self._folder = folder / contract.id
        self._base, self._fresh = _base(contract), fresh
        self._used: set[str] = set()

    def _key(self, path: Path, sha256: str) -> str:
        key = hashlib.sha256(f"{self._base}|{path.name}|{sha256}".encode()).hexdigest()[:32]
        self._used.add(key)
        return key

    def get(self, path: Path) -> ReadResult | None:
        """What the file held when it was read before; None if it has to be read (a damaged entry counts as none)."""
        key = self._key(path, digest(path))
        if self._fresh:
            return None
        try:
            receipt = FileReceipt(**json.loads((self._folder / f"{key}.json").read_text(encoding="utf-8")))
            frame = pl.read_ipc(self._folder / f"{key}.rows")
            issues = pl.read_ipc(self._folder / f"{key}.issues")
        except (OSError, ValueError, KeyError, pl.exceptions.PolarsError):
            return None
        return ReadResult(frame, issues, receipt)

    def put(self, path: Path, result: ReadResult) -> None:
        """Keep what a file held; the receipt is written last, so that a torn entry is none."""
        self._folder.mkdir(parents=True, exist_ok=True)
        key = self._key(path, result.receipt.sha256)
        for frame, ending in ((result.frame, "rows"), (result.quarantine, "issues")):
            temporary = self._folder / f".{key}.{ending}.{os.getpid()}"
            frame.write_ipc(temporary, compression="lz4")
            temporary.replace(self._folder / f"{key}.{ending}")
        temporary = self._folder / f".{key}.json.{os.getpid()}"
        temporary.write_text(json.dumps(result.receipt.__dict__, ensure_ascii=False), encoding="utf-8")
        temporary.replace(self._folder / f"{key}.json")

    def purge(self) -> None:
        """Remove the entries this run did not ask for."""
        if self._folder.is_dir():
            for path in self._folder.iterdir():
                if path.stem.lstrip(".").partition(".")[0] not in self._used:
                    path.unlink(missing_ok=True)
