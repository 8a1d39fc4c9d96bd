"""A bundle is everything a decision depends on, under one content hash; built from the taxonomy's own files and,
where there are some, adjudicated labels. It holds its own copy of all of them, so that it decides tomorrow as today."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import yaml

from taxonomy.classifier.calibrate import Calibration
from taxonomy.classifier.kernel_parts import Sparse, sparse_of
from taxonomy.classifier.lexicon import Lexicon, load_lexicon
from taxonomy.classifier.linear import LinearModel, train
from taxonomy.classifier.normalize import Vocabulary
from taxonomy.classifier.rules import CodeRule, build_code_rule
from taxonomy.classifier.textmodel import TextModel
from taxonomy.classifier.training import (
    Entry,
    classes,
    dictionary,
    generic_phrases,
    learned_entries,
    related_codes,
    samples,
)
from taxonomy.classifier.unit import AI, RELATED, side_of, train_unit_model

ROOT: Final = Path(__file__).parent.parent
ALGORITHM: Final = 3
"""Version of how scores become decisions. A change of code that changes any decision raises it (a test holds frozen
decisions); a bundle of another version is not replayed by this installation."""
INPUTS: Final = (
    "schemes/ai_industry_2026.yaml",
    "schemes/gbt4754_2017.*",
    "correspondences/*gbt4754_2017.csv",
    "phrases/*",
    "rules/decision.yaml",
)
LABEL_COLUMNS: Final = ("name", "business_scope", "main_products", "ai_class")


class BundleError(ValueError):
    """A stored bundle that cannot be used, or labels that cannot be trained on."""


@dataclass(frozen=True)
class Parameters:
    """Decision parameters of ``rules/decision.yaml`` (log-odds and probabilities)."""

    bias: float
    field_weight: Mapping[str, float]
    model: Mapping[str, float]
    lexicon: float
    dictionary: float
    code: Mapping[str, float]
    unit: Mapping[str, float]
    coded_at: float
    none_below: float
    candidates: int
    min_seen_share: float
    secondary_from: float
    inverse_penalty: float
    weights: Mapping[str, float]


@dataclass(frozen=True)
class Bundle:
    """Model, lexicon, dictionary, code rule, unit model, calibration and parameters; ``hash`` names all of them.

    ``unit`` is there when the bundle was trained with labels; ``review_from`` is the ratio of it from which a unit is
    reviewed; ``training`` says on what (counts and hashes, no text); ``related``: the related codes (R…) of the catalogue,
    which a lock may hold and no text is coded to.
    """

    hash: str
    parameters: Parameters
    model: LinearModel
    lexicon: Lexicon
    dictionary: Mapping[str, Entry]
    generic: frozenset[str]
    code_rule: CodeRule
    unit: TextModel | None = None
    review_from: float = 0.0
    calibration: Calibration = field(default_factory=Calibration)
    training: Mapping[str, Any] = field(default_factory=dict)
    related: tuple[str, ...] = ()

    @cached_property
    def leaves(self) -> tuple[str, ...]:
        """Core leaves: the classes of the model without ``none``."""
        return self.model.classes[1:]

    @cached_property
    def entries(self) -> pl.DataFrame:
        """The dictionary as a table: ``phrase``, ``leaf`` (position), ``weight`` (log-odds)."""
        index = {leaf: i for i, leaf in enumerate(self.leaves)}
        rows = [
            (phrase, index[e.leaf], self.parameters.dictionary * e.purity * (1.0 if not e.support else e.support / (e.support + 3)))
            for phrase, e in sorted(self.dictionary.items())
        ]  # fmt: skip
        return pl.DataFrame(rows, schema={"phrase": pl.String, "leaf": pl.Int64, "weight": pl.Float64}, orient="row")

    @cached_property
    def concepts(self) -> Sparse:
        """What each term of the lexicon says for each leaf (log-odds)."""
        return sparse_of(self.parameters.lexicon * self.lexicon.class_weights(self.leaves))

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Generic phrases, and those of the dictionary numbered as in :attr:`entries`."""
        return Vocabulary.of(self.generic, self.entries["phrase"].to_list())

    def data(self) -> dict[str, Any]:
        """Everything but arrays and hash, ready for JSON."""
        return {
            "algorithm": ALGORITHM,
            "classes": list(self.model.classes),
            "parameters": asdict(self.parameters),
            "lexicon": self.lexicon.as_data(),
            "dictionary": {p: [e.leaf, e.purity, e.support] for p, e in sorted(self.dictionary.items())},
            "generic": sorted(self.generic),
            "codes": list(self.code_rule.codes),
            "unit": None if self.unit is None else self.unit.head(),
            "review_from": self.review_from,
            "calibration": self.calibration.as_dict(),
            "training": dict(self.training),
            "related": list(self.related),
        }

    def arrays(self) -> dict[str, Any]:
        """The arrays to be stored."""
        used = np.flatnonzero(self.model.slot >= 0).astype(np.int32)
        found: dict[str, Any] = {"used": used, "weights": self.model.weights, "code_values": self.code_rule.values}
        if self.unit is not None:
            found |= {f"unit_{name}": values for name, values in self.unit.arrays().items()}
        return found


def load_parameters() -> Parameters:
    """The parameters file."""
    data: dict[str, Any] = yaml.safe_load((ROOT / "rules" / "decision.yaml").read_text(encoding="utf-8"))
    return Parameters(**data)


def content_hash(labels: pl.DataFrame | None = None) -> str:
    """Hash of the files a bundle is built from, the algorithm's version and the labels (12 hex digits)."""
    digest = hashlib.sha256(f"algorithm {ALGORITHM}\n".encode())
    for pattern in INPUTS:
        for path in sorted(ROOT.glob(pattern)):
            digest.update(f"{path.relative_to(ROOT).as_posix()}\n".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    if labels is not None:
        digest.update(labels_hash(labels).encode())
    return digest.hexdigest()[:12]


def labels_hash(labels: pl.DataFrame) -> str:
    """Hash of labels, whatever their order."""
    ordered = labels.select(LABEL_COLUMNS).sort(LABEL_COLUMNS, nulls_last=True)
    return hashlib.sha256(json.dumps(ordered.rows(), ensure_ascii=False).encode()).hexdigest()


def _checked(labels: pl.DataFrame, leaves: Sequence[str]) -> pl.DataFrame:
    missing = [c for c in ("name", "business_scope", "ai_class") if c not in labels.columns]
    if missing:
        raise BundleError(f"labels lack the columns {', '.join(missing)}; expected {', '.join(LABEL_COLUMNS)}")
    if "main_products" not in labels.columns:
        labels = labels.with_columns(main_products=pl.lit(None, pl.String))
    known = {"none", *leaves, *related_codes()} | {leaf[:n] for leaf in leaves for n in (1, 2)}
    strange = sorted(set(labels["ai_class"].fill_null("(empty)")) - known)
    if strange:
        raise BundleError(f"labels hold classes outside the catalogue: {', '.join(strange[:5])}; use a code or none")
    return labels.select(pl.col(c).cast(pl.String) for c in LABEL_COLUMNS)


@lru_cache(maxsize=2)
def _leaf_model(_content: str) -> LinearModel:
    """The model of the taxonomy's files, trained once a process for each content."""
    parameters = load_parameters()
    return train(samples(parameters.weights), classes(), parameters.inverse_penalty)


def build_bundle(labels: pl.DataFrame | None = None) -> Bundle:
    """Train from the taxonomy's files and, if given, adjudicated labels; the same input gives the same bundle.

    Parameters
    ----------
    labels
        Columns ``name``, ``business_scope``, ``main_products`` (may be left out), ``ai_class`` (a core or related
        code of the catalogue at any level, or none): adjudicated reviews and signed answers, never gold.

    Raises
    ------
    BundleError
        If a column is missing or a class unknown.
    """
    parameters = load_parameters()
    model = _leaf_model(content_hash())
    leaves = model.classes[1:]
    generic, words, lexicon, training = generic_phrases(), dictionary(), load_lexicon(), dict[str, Any]()
    learned = None
    if labels is not None:
        labels = _checked(labels, leaves)
        training = {"labels": labels.height, "labels_hash": labels_hash(labels)}
        counts = [side_of(code) for code in labels["ai_class"]]
        training |= {"positives": counts.count(AI), "related": counts.count(RELATED)}
        words = words | learned_entries(labels, words, generic)
        learned = train_unit_model(labels, parameters.unit, generic, lexicon)
    return Bundle(
        hash=content_hash(labels),
        parameters=parameters,
        model=model,
        lexicon=lexicon,
        dictionary=words,
        generic=generic,
        code_rule=build_code_rule(parameters.code, leaves),
        unit=None if learned is None else learned[0],
        review_from=parameters.unit["review_from"] if learned is None else learned[1],
        training=training,
        related=related_codes(),
    )
