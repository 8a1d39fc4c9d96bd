"""Which GB/T 4754 division a unit's text speaks of: the text model behind the list of doubtful declared codes.

**What it learns from.** The names and descriptions of the standard, and the declared codes of *other* units of the same
register, a sample by hash of distinct scopes. Declared codes are wrong now and then; that is what the error model of
:mod:`taxonomy.classifier.wrong_code` is for, and the scale of the scores is fitted under the same model. Standard texts alone know
too few of the words firms use (41 % of a labelled set of real scopes, 55 % with labelled scopes beside them).

**A unit never judges itself.** There are two models; the units of each half (by hash of the scope) are judged by the one that
learned from the other half. Units with the very same scope are in the same half: a chain of branches cannot vouch for itself.

It serves that list alone. It is no part of a bundle and codes nobody: the classifier of the AI industry is not trained on the
register.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import yaml
from scipy.optimize import minimize_scalar

from taxonomy.classifier.gold import unit_keys
from taxonomy.classifier.intervals import F64
from taxonomy.classifier.textmodel import TextField, TextModel, softmax
from taxonomy.classifier.unit import phrases_of_units
from taxonomy.classifier.wrong_code import Contradiction
from taxonomy.scheme import load_scheme

VERSION: Final = 1
"""Raised when a change of code changes the model that the same sample gives."""
SCHEME: Final = "gbt4754_2017"
ROOT: Final = Path(__file__).parent.parent
FOLDS: Final = 2
FIELDS: Final = (TextField("scope", 1.0, (2, 2)), TextField("lead", 0.7), TextField("name", 1.0, (2, 2)))
"""Bigrams of the whole scope cost a fifth of 1-3-grams; the first phrase, which names the main business, has all of them."""
SAMPLE: Final = {"key": pl.UInt64, "division": pl.String, "name": pl.String, "business_scope": pl.String}


@dataclass(frozen=True)
class TrainingRule:
    """``training`` of ``rules/wrong_code.yaml``: sample size, least sample, weight of standard texts, penalty."""

    sample: int
    minimum: int
    scheme_weight: float
    inverse_penalty: float


def load_rules() -> tuple[Contradiction, TrainingRule]:
    """``rules/wrong_code.yaml``: when a text contradicts a code, and how the model is trained."""
    data = yaml.safe_load((ROOT / "rules" / "wrong_code.yaml").read_text(encoding="utf-8"))
    return Contradiction(**data["rule"]), TrainingRule(**data["training"])


@cache
def divisions() -> tuple[str, ...]:
    """Codes of the divisions, sorted."""
    return tuple(sorted(c.code for c in load_scheme(SCHEME).at_level(2)))


# --- the sample ------------------------------------------------------------------------------------------------------


def scope_keys(scopes: pl.Series) -> npt.NDArray[np.uint64]:
    """A 64-bit key of each scope, white space at its ends aside; a missing one has that of the empty text."""
    return unit_keys(scopes.fill_null("").str.strip_chars())


class ScopeSample:
    """The ``size`` distinct scopes of smallest key with the divisions declared for them; fed chunk by chunk."""

    def __init__(self, size: int) -> None:
        self._size, self._limit = size, np.iinfo(np.uint64).max
        self._held = pl.DataFrame(schema=SAMPLE)

    def add(self, units: pl.DataFrame) -> None:
        """Take in units (``name, business_scope, gbt_code``); those without a scope or a division teach nothing."""
        division = pl.col("gbt_code").cast(pl.String).str.strip_chars().str.slice(0, 2)
        known = units.select("name", "business_scope", division=division).filter(
            pl.col("division").is_in(divisions()) & (pl.col("business_scope").str.strip_chars() != "")
        )
        keyed = known.with_columns(key=pl.Series(scope_keys(known["business_scope"]), dtype=pl.UInt64))
        self._held = pl.concat([self._held, keyed.filter(pl.col("key") <= self._limit).select(list(SAMPLE))])
        self._held = self._held.unique(["key", "division"], keep="first", maintain_order=True)
        if self._held.height > 2 * self._size:
            self._cut()

    def _cut(self) -> None:
        keys = self._held["key"].unique().sort()
        if len(keys) > self._size:
            # The limit only falls, so that a scope that stays was taken in from the start.
            self._limit = int(keys[self._size - 1])
            self._held = self._held.filter(pl.col("key") <= self._limit)

    def units(self) -> pl.DataFrame:
        """:data:`SAMPLE`, sorted: one row for each scope and division, whatever the chunks were."""
        self._cut()
        return self._held.sort("key", "division")


# --- the model -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DivisionModel:
    """One text model a half, ``base`` the class shares of what they learned from, ``learned_from`` sampled scopes."""

    models: tuple[TextModel, ...]
    base: Mapping[str, float]
    learned_from: int

    @property
    def classes(self) -> tuple[str, ...]:
        """Divisions in the order of the probabilities."""
        return self.models[0].classes

    def probabilities(self, units: pl.DataFrame) -> F64:
        """P(division | text) of units (``name, business_scope``), shape ``(n, classes)``, by the model of the other half."""
        found = np.zeros((units.height, len(self.classes)))
        fold = fold_of(scope_keys(units["business_scope"]))
        for number, model in enumerate(self.models):
            own = np.flatnonzero(fold == number)
            if len(own):
                part = units.select("name", "business_scope")[own.tolist()]
                found[own] = softmax(model.scores(phrases_of_units(part), part.height))
        return found


def fold_of(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Half of each scope; by another bit than those that put it into the sample."""
    return np.asarray(keys % np.uint64(FOLDS)).astype(np.int64)


def _standard() -> pl.DataFrame:
    """The standard's own texts: ``name, business_scope, division``."""
    codes = [c for c in load_scheme(SCHEME).codes if c.code[0].isdigit()]
    return pl.DataFrame(
        {
            "name": [c.name_zh for c in codes],
            "business_scope": [f"{c.name_zh}；{c.definition_zh}" for c in codes],
            "division": [c.code[:2] for c in codes],
        }
    )


def model_key(sample: pl.DataFrame, rule: TrainingRule, reliability: float) -> str:
    """Hash of all that a model depends on: the sample, the standard's texts, the rule, the version of the code."""
    digest = hashlib.sha256(json.dumps([VERSION, vars(rule), reliability, repr(FIELDS)], sort_keys=True).encode())
    digest.update(_standard().write_csv().encode())
    digest.update(sample.write_csv().encode())
    return digest.hexdigest()[:16]


def train_divisions(sample: pl.DataFrame, rule: TrainingRule, reliability: float) -> DivisionModel:
    """Train both halves on the standard's texts and on the sampled scopes of the other half.

    Parameters
    ----------
    sample
        :meth:`ScopeSample.units`.
    reliability
        How often a declared code is taken to be right; the scale of the scores is fitted under it.
    """
    texts = pl.concat([sample.select("name", "business_scope", "division"), _standard()])
    fold = np.concatenate([fold_of(sample["key"].to_numpy()), np.full(texts.height - sample.height, -1)])
    weight = np.where(fold < 0, rule.scheme_weight, 1.0)
    models = []
    for number in range(FOLDS):
        at = np.flatnonzero(fold != number).tolist()
        part = texts[at]
        models.append(
            TextModel.train(
                phrases_of_units(part), FIELDS, part["division"].to_list(), weight=weight[at].tolist(), fit="svm",
                inverse_penalty=rule.inverse_penalty, scaled=False,
            )
        )  # fmt: skip
    shares = texts.with_columns(w=pl.Series(weight)).group_by("division").agg(pl.col("w").sum()).sort("division")
    base = dict(zip(shares["division"], (shares["w"] / shares["w"].sum()).to_list(), strict=True))
    raw = DivisionModel(tuple(models), base, sample.height)
    scale = _scale(raw, sample, reliability)
    return replace(raw, models=tuple(m.with_scale(scale) for m in models))


def _scale(model: DivisionModel, sample: pl.DataFrame, reliability: float) -> float:
    """The scale that makes declared codes likeliest on the half that was not learned from, some of them being wrong.

    Without the error model the wrong codes of the sample would make every text look unsure of itself.
    """
    margins = np.log(np.maximum(model.probabilities(sample), 1e-300))
    place = np.searchsorted(np.array(model.classes), sample["division"].to_numpy().astype(str))
    rows, shares = np.arange(len(place)), np.array([model.base[c] for c in model.classes])

    def loss(scale: float) -> float:
        said = softmax(scale * margins)[rows, place]
        return float(-np.log(reliability * said + (1.0 - reliability) * shares[place]).sum())

    return round(float(minimize_scalar(loss, bounds=(0.5, 30.0), method="bounded").x), 6)


# --- on disk ---------------------------------------------------------------------------------------------------------


def save_divisions(model: DivisionModel, path: Path) -> None:
    """Write a model to one file, in one rename."""
    arrays: dict[str, Any] = {
        f"{name}_{i}": values for i, m in enumerate(model.models) for name, values in m.arrays().items()
    }
    head = {"heads": [m.head() for m in model.models], "base": dict(model.base), "learned_from": model.learned_from}
    path.parent.mkdir(parents=True, exist_ok=True)
    building = path.with_name(f".{path.name}.tmp.npz")
    np.savez(building, head=np.frombuffer(json.dumps(head, sort_keys=True).encode(), dtype=np.uint8), **arrays)
    building.replace(path)


def load_divisions(path: Path) -> DivisionModel:
    """The model of :func:`save_divisions` (ValueError, KeyError or OSError if the file holds none)."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    head: dict[str, Any] = json.loads(arrays.pop("head").tobytes().decode())
    models = [TextModel.restore(h, _of(arrays, i)) for i, h in enumerate(head["heads"])]
    return DivisionModel(tuple(models), head["base"], int(head["learned_from"]))


def _of(arrays: Mapping[str, F64], number: int) -> dict[str, F64]:
    ending = f"_{number}"
    return {name.removesuffix(ending): values for name, values in arrays.items() if name.endswith(ending)}


def with_text(units: pl.DataFrame) -> pl.DataFrame:
    """Units that can be on the list at all: with a declared code and a scope (a name alone is no evidence)."""
    filled: Sequence[str] = ("gbt_code", "business_scope")
    return units.filter(pl.all_horizontal((pl.col(c).cast(pl.String).str.strip_chars() != "") for c in filled))
