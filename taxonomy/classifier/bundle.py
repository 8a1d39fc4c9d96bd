"""A bundle is everything a decision depends on, under one content hash; built from the taxonomy's own files."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from taxonomy.classifier.lexicon import Lexicon, load_lexicon
from taxonomy.classifier.linear import BITS, LinearModel, train
from taxonomy.classifier.rules import CodeRule, build_code_rule
from taxonomy.classifier.training import classes, dictionary, generic_phrases, samples

ROOT: Final = Path(__file__).parent.parent
INPUTS: Final = ("schemes/*", "correspondences/*", "phrases/*", "rules/*", "classifier/*.py", "*.py")


class BundleError(ValueError):
    """A stored bundle that cannot be used."""


@dataclass(frozen=True)
class Parameters:
    """Decision parameters of ``rules/decision.yaml`` (log-odds and probabilities)."""

    bias: float
    field_weight: Mapping[str, float]
    model: Mapping[str, float]
    lexicon: float
    dictionary: float
    code: Mapping[str, float]
    coded_at: float
    none_below: float
    nominate_from: float
    candidates: int
    min_seen_share: float
    inverse_penalty: float
    weights: Mapping[str, float]


@dataclass(frozen=True)
class Bundle:
    """Model, lexicon, dictionary, code rule and parameters; ``hash`` names all of them."""

    hash: str
    parameters: Parameters
    model: LinearModel
    lexicon: Lexicon
    dictionary: Mapping[str, str]
    generic: frozenset[str]
    code_rule: CodeRule

    @cached_property
    def leaves(self) -> tuple[str, ...]:
        """Core leaves: the classes of the model without ``none``."""
        return self.model.classes[1:]


def load_parameters() -> Parameters:
    """The parameters file."""
    data: dict[str, Any] = yaml.safe_load((ROOT / "rules" / "decision.yaml").read_text(encoding="utf-8"))
    return Parameters(**data)


def content_hash() -> str:
    """Hash of every file a bundle is built from (12 hex digits)."""
    digest = hashlib.sha256()
    for pattern in INPUTS:
        for path in sorted(ROOT.glob(pattern)):
            if path.is_file():
                digest.update(f"{path.relative_to(ROOT).as_posix()}\n".encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


def _assemble(name: str, model: LinearModel) -> Bundle:
    parameters = load_parameters()
    return Bundle(
        hash=name,
        parameters=parameters,
        model=model,
        lexicon=load_lexicon(),
        dictionary=dictionary(),
        generic=generic_phrases(),
        code_rule=build_code_rule(parameters.code),
    )


def build_bundle() -> Bundle:
    """Train from the taxonomy's files; the same files give the same bundle."""
    parameters = load_parameters()
    return _assemble(content_hash(), train(samples(parameters.weights), classes(), parameters.inverse_penalty))


def save(bundle: Bundle, directory: Path) -> Path:
    """Write ``<directory>/<hash>/`` in one rename; returns the folder."""
    folder = directory / bundle.hash
    if folder.is_dir():
        return folder
    directory.mkdir(parents=True, exist_ok=True)
    building = directory / f".{bundle.hash}.{os.getpid()}"
    building.mkdir(exist_ok=True)
    used = np.flatnonzero(bundle.model.slot >= 0).astype(np.int32)
    np.savez_compressed(building / "model.npz", used=used, weights=bundle.model.weights)
    meta = {"hash": bundle.hash, "classes": list(bundle.model.classes), "bits": BITS}
    (building / "bundle.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")
    try:
        building.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
    return folder


def load(folder: Path) -> Bundle:
    """A stored bundle.

    Raises
    ------
    BundleError
        If the folder holds none, or one built from other files than those of this installation.
    """
    try:
        meta = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
        with np.load(folder / "model.npz") as arrays:
            used, weights = arrays["used"], arrays["weights"]
    except (OSError, ValueError, KeyError) as error:
        raise BundleError(f"no usable bundle in {folder.name}; delete the folder and it is built again") from error
    if meta["hash"] != content_hash():
        raise BundleError(f"bundle {meta['hash']} was built from other taxonomy files than those installed now")
    slot = np.full(2 ** meta["bits"], -1, dtype=np.int32)
    slot[used] = np.arange(len(used), dtype=np.int32)
    return _assemble(meta["hash"], LinearModel(tuple(meta["classes"]), slot, weights))


def ensure_bundle(directory: Path) -> Bundle:
    """The bundle of the installed taxonomy: loaded if it is there, else built once and stored."""
    folder = directory / content_hash()
    if folder.is_dir():
        return load(folder)
    bundle = build_bundle()
    save(bundle, directory)
    return load(folder)
