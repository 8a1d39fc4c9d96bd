"""Bundles on disk: one folder a bundle, named by its hash; a pointer to the one in use; what was in use before."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from taxonomy.classifier.bundle import ALGORITHM, Bundle, BundleError, Parameters, build_bundle, content_hash
from taxonomy.classifier.calibrate import Calibration
from taxonomy.classifier.lexicon import parse_lexicon
from taxonomy.classifier.linear import BITS, LinearModel
from taxonomy.classifier.rules import CodeRule
from taxonomy.classifier.textmodel import TextModel
from taxonomy.classifier.training import Entry

POINTER: Final = "current.json"


@dataclass(frozen=True)
class BundleInfo:
    """A stored bundle as a list shows it."""

    hash: str
    created_at: str
    algorithm: int
    training: Mapping[str, Any]
    is_current: bool
    note: str


def _digest(folder: Path) -> str:
    parts = [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ("data.json", "arrays.npz")]
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def save(bundle: Bundle, directory: Path, note: str = "") -> Path:
    """Write ``<directory>/<hash>/`` in one rename; returns the folder (untouched if it is there already)."""
    folder = directory / bundle.hash
    if folder.is_dir():
        return folder
    directory.mkdir(parents=True, exist_ok=True)
    building = directory / f".{bundle.hash}.{os.getpid()}"
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir()
    (building / "data.json").write_text(json.dumps(bundle.data(), ensure_ascii=False, sort_keys=True), encoding="utf-8")
    np.savez(building / "arrays.npz", **bundle.arrays())
    head = {
        "hash": bundle.hash, "digest": _digest(building), "algorithm": ALGORITHM, "note": note,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"), "training": dict(bundle.training),
    }  # fmt: skip
    (building / "bundle.json").write_text(json.dumps(head, indent=1, ensure_ascii=False), encoding="utf-8")
    try:
        building.rename(folder)
    except OSError:
        shutil.rmtree(building, ignore_errors=True)
        if not folder.is_dir():
            raise
    return folder


def _head(folder: Path) -> dict[str, Any]:
    try:
        head: dict[str, Any] = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
        head["hash"], head["digest"], head["algorithm"]
    except (OSError, ValueError, KeyError) as error:
        raise BundleError(f"no usable bundle in {folder.name}; delete the folder and build it again") from error
    return head


def load(folder: Path) -> Bundle:
    """A stored bundle, from its own files alone.

    Raises
    ------
    BundleError
        If the folder holds none, its content is not what was stored, or it was made for another algorithm.
    """
    head = _head(folder)
    if head["algorithm"] != ALGORITHM:
        raise BundleError(
            f"bundle {folder.name} is of algorithm {head['algorithm']}, this installation decides by {ALGORITHM}; "
            "replay it with the release of aistat that made it"
        )
    if head["hash"] != folder.name or _digest(folder) != head["digest"]:
        raise BundleError(f"bundle {folder.name} is not what was stored; restore it from a backup or delete the folder")
    data = json.loads((folder / "data.json").read_text(encoding="utf-8"))
    with np.load(folder / "arrays.npz") as file:
        arrays = {name: file[name] for name in file.files}
    return _assemble(head["hash"], data, arrays)


def _assemble(name: str, data: Mapping[str, Any], arrays: Mapping[str, Any]) -> Bundle:
    slot = np.full(2**BITS, -1, dtype=np.int32)
    slot[arrays["used"]] = np.arange(len(arrays["used"]), dtype=np.int32)
    unit = None
    if data["unit"] is not None:
        parts = {k.removeprefix("unit_"): v for k, v in arrays.items() if k.startswith("unit_")}
        unit = TextModel.restore(data["unit"], parts)
    return Bundle(
        hash=name,
        parameters=Parameters(**data["parameters"]),
        model=LinearModel(tuple(data["classes"]), slot, arrays["weights"]),
        lexicon=parse_lexicon(data["lexicon"], f"bundle {name}"),
        dictionary={p: Entry(*entry) for p, entry in data["dictionary"].items()},
        generic=frozenset(data["generic"]),
        code_rule=CodeRule(tuple(data["codes"]), arrays["code_values"]),
        unit=unit,
        review_from=float(data["review_from"]),
        calibration=Calibration.from_dict(data["calibration"]),
        training=data["training"],
        related=tuple(data["related"]),
    )


def ensure_bundle(directory: Path) -> Bundle:
    """The bundle of the installed taxonomy, without labels: loaded if it is there, else built once and stored."""
    folder = directory / content_hash()
    if not folder.is_dir():
        save(build_bundle(), directory, "scheme texts only")
    return load(folder)


# --- which one decides ------------------------------------------------------------------------------------------


def _pointer(directory: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((directory / POINTER).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {"current": None, "before": []}
    return found


def _point(directory: Path, pointer: Mapping[str, Any]) -> None:
    temporary = directory / f".{POINTER}.{os.getpid()}"
    temporary.write_text(json.dumps(pointer, indent=1), encoding="utf-8")
    temporary.replace(directory / POINTER)


def promote(directory: Path, name: str) -> Bundle:
    """Let a stored bundle decide from now on (:class:`BundleError` if it cannot be used)."""
    bundle = load(directory / name)
    pointer = _pointer(directory)
    if pointer["current"] != name:
        before = [*pointer["before"], pointer["current"]] if pointer["current"] else pointer["before"]
        _point(directory, {"current": name, "before": before})
    return bundle


def rollback(directory: Path) -> str:
    """Go back to the bundle that decided before; returns its hash.

    Raises
    ------
    BundleError
        If there was none before.
    """
    pointer = _pointer(directory)
    if not pointer["before"]:
        raise BundleError("no bundle was in use before this one; 'aistat model list' shows those there are")
    name = str(pointer["before"][-1])
    load(directory / name)
    _point(directory, {"current": name, "before": pointer["before"][:-1]})
    return name


def current_bundle(directory: Path) -> Bundle:
    """The bundle in use: the promoted one; without one, that of the installed taxonomy."""
    name = _pointer(directory)["current"]
    return ensure_bundle(directory) if name is None else load(directory / name)


def list_bundles(directory: Path) -> list[BundleInfo]:
    """Stored bundles, newest first; folders that hold none are left out."""
    current = _pointer(directory)["current"]
    found = []
    for folder in sorted(directory.iterdir()) if directory.is_dir() else []:
        if not folder.is_dir() or folder.name.startswith("."):
            continue
        head = _head(folder)
        found.append(
            BundleInfo(
                head["hash"],
                head["created_at"],
                head["algorithm"],
                head["training"],
                head["hash"] == current,
                head["note"],
            )
        )
    return sorted(found, key=lambda i: (i.created_at, i.hash), reverse=True)
