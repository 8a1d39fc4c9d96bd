"""Declared codes that the unit's own text contradicts (申报行业代码疑误清单). Restricted: unit level, never in a release.

Two models are joined, as Statistics Netherlands does for its business register: an *error model*, how often a declared code is
right, and a *text model*, what the text says. With ``r_d`` the reliability of declared code ``d``, ``π`` the shares of
classes and ``q`` the text model's probabilities (of a model trained on data with shares ``π``), Bayes gives

    ``P(true = d) ∝ r_d q_d / π_d``      and      ``P(true = c) ∝ (1 - r_d) q_c / (1 - π_d)`` for every other class ``c``.

The list is ordered by what looking at a unit is worth: ``weight × size × P(the declared code is wrong)``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from taxonomy.classifier.intervals import BOOL, F64
from taxonomy.scheme import Scheme

FLOOR: Final = 1e-12
SCHEMA: Final[dict[str, Any]] = {
    "unit_id": pl.String, "declared": pl.String, "p_declared": pl.Float64, "suggested": pl.String,
    "p_suggested": pl.Float64, "p_wrong": pl.Float64, "others": pl.List(pl.String), "gain": pl.Float64,
}  # fmt: skip


@dataclass(frozen=True)
class Contradiction:
    """When a text contradicts a declared code; all three must hold.

    ``least_wrong``: P(declared is wrong); ``least_text``: what the text model gives the suggested class; ``most_declared``:
    what it leaves the declared one. ``reliability``: how often declared codes are right, unless a code has its own.
    """

    least_wrong: float = 0.5
    least_text: float = 0.6
    most_declared: float = 0.1
    reliability: float = 0.9
    others: int = 3

    def __post_init__(self) -> None:
        if not all(0.0 < v < 1.0 for v in (self.least_wrong, self.least_text, self.most_declared, self.reliability)):
            raise ValueError("least_wrong, least_text, most_declared and reliability must lie between 0 and 1")


def declared_mask(declared: Sequence[str | None], classes: Sequence[str], scheme: Scheme) -> BOOL:
    """Which classes a declared code stands for, shape ``(n, classes)``: itself, its ancestor, or its descendants.

    A section letter stands for all its divisions, a four-digit class for its division. A row without any class (no code, an
    unknown code, or one the text model does not know) is all false.
    """
    index = {c: i for i, c in enumerate(classes)}
    under: dict[str, list[int]] = {}
    for code in scheme.codes:
        chain = [code.code, *(a.code for a in scheme.ancestors(code.code))]
        own = [index[c] for c in chain if c in index]
        for step in chain:
            under.setdefault(step, []).extend(own if step == code.code else [i for i in own if code.code in index])
    texts = [(code or "").strip().upper() for code in declared]
    place = {code: i for i, code in enumerate(dict.fromkeys(texts))}
    each = np.zeros((len(place), len(classes)), dtype=bool)
    for text, row in place.items():
        each[row, under.get(text, [])] = True
    return each[[place[text] for text in texts]] if texts else each


def posterior(mask: BOOL, text: F64, base: F64, reliability: F64) -> F64:
    """P(true class | declared code, text), shape ``(n, classes)``.

    Parameters
    ----------
    mask
        :func:`declared_mask`; each row with at least one class.
    text
        Probabilities of the text model, shape ``(n, classes)``.
    base
        Class shares in the text model's training data, shape ``(classes,)``, summing to one.
    reliability
        P(declared is right) of each row, shape ``(n,)``.
    """
    share = (mask * base).sum(axis=1)
    inside = reliability[:, None] * text / np.maximum(share, FLOOR)[:, None]
    outside = (1.0 - reliability)[:, None] * text / np.maximum(1.0 - share, FLOOR)[:, None]
    joint = np.where(mask, inside, outside)
    return np.asarray(joint / np.maximum(joint.sum(axis=1, keepdims=True), FLOOR))


def suspect_codes(
    units: pl.DataFrame,
    classes: Sequence[str],
    text: npt.ArrayLike,
    scheme: Scheme,
    rule: Contradiction,
    *,
    base: Mapping[str, float] | None = None,
    reliability: Mapping[str, float] | None = None,
) -> pl.DataFrame:
    """Units whose text contradicts their declared code, the most worth looking at first.

    Parameters
    ----------
    units
        ``unit_id``, ``gbt_code`` and, if there, ``weight``, ``size``; an unknown size counts as the median of the known ones.
    classes, text
        Classes of the text model and their probabilities, ``(units, classes)``
        (``TextModel.predict_proba`` of the same rows in the same order).
    base
        Class shares in the training data; left out: equal.
    reliability
        Declared code → how often it is right, where that is known; ``rule.reliability`` for all others.

    Returns
    -------
    pl.DataFrame
        Columns of :data:`SCHEMA`, by falling ``gain``, ties by unit. Units without a usable declared code are not on it.

    Raises
    ------
    ValueError
        If the matrix does not fit units and classes.
    """
    matrix = np.asarray(text, dtype=np.float64)
    if matrix.shape != (units.height, len(classes)):
        raise ValueError(f"probabilities have shape {matrix.shape}, expected ({units.height}, {len(classes)})")
    declared = units["gbt_code"].cast(pl.String).to_list()
    mask = declared_mask(declared, classes, scheme)
    usable = mask.any(axis=1) & ~mask.all(axis=1)
    shares = (
        np.array([(base or {}).get(c, 0.0) for c in classes]) if base else np.full(len(classes), 1.0 / len(classes))
    )
    right = np.array([(reliability or {}).get((d or "").strip(), rule.reliability) for d in declared])
    p = posterior(mask, matrix, shares / max(shares.sum(), FLOOR), right)
    elsewhere = np.where(mask, -1.0, p)
    best = elsewhere.argmax(axis=1)
    rows = np.arange(units.height)
    p_text, p_declared = matrix[rows, best], (matrix * mask).sum(axis=1)
    wrong = 1.0 - (p * mask).sum(axis=1)
    chosen = usable & (wrong >= rule.least_wrong) & (p_text >= rule.least_text) & (p_declared <= rule.most_declared)
    at = np.flatnonzero(chosen)
    order = np.argsort(-elsewhere[at], axis=1, kind="stable")[:, 1 : rule.others + 1]
    listed = [[classes[j] for j in o if elsewhere[i, j] > 0.01] for i, o in zip(at.tolist(), order, strict=True)]
    gain = _worth(units) * wrong
    frame = pl.DataFrame(
        {
            "unit_id": units["unit_id"].cast(pl.String).gather(at), "declared": [declared[i] for i in at],
            "p_declared": p_declared[at].round(6), "suggested": [classes[j] for j in best[at]],
            "p_suggested": p_text[at].round(6), "p_wrong": wrong[at].round(6), "others": listed, "gain": gain[at].round(6),
        },
        schema=SCHEMA,
    )  # fmt: skip
    return frame.sort("gain", "unit_id", descending=[True, False])


def _worth(units: pl.DataFrame) -> F64:
    weight = units["weight"].cast(pl.Float64).fill_null(1.0).to_numpy() if "weight" in units.columns else 1.0
    if "size" not in units.columns:
        return np.asarray(weight * np.ones(units.height))
    size = units["size"].cast(pl.Float64)
    return np.asarray(weight * size.fill_null(size.median()).fill_null(1.0).abs().to_numpy())
