"""The linear text model: hashed character 2-3-grams of a phrase, one weight row per bucket, one column per class.

Trained from the words of the classifications (never from demo or gold data) by multinomial logistic regression
with soft labels; scikit-learn is the reference implementation, :mod:`kernel` the one that serves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse

from taxonomy.classifier.kernel import NGRAMS, score_phrases
from taxonomy.classifier.kernel_text import F64, I32

BITS: Final = 18
DECIMALS: Final = 5


@dataclass(frozen=True)
class LinearModel:
    """``slot`` maps a hash bucket to a row of ``weights`` (-1: never seen); columns follow ``classes``."""

    classes: tuple[str, ...]
    slot: I32
    weights: F64

    def scores(self, phrases: pl.Series) -> tuple[F64, I32, I32]:
        """Scores ``(n, classes)``, seen and all n-grams of each phrase, by the fused kernel."""
        return score_phrases(phrases, self.slot, self.weights)


@dataclass(frozen=True)
class Sample:
    """One training phrase: folded text, class, weight (> 0; the weights of one text may be split over classes)."""

    text: str
    label: str
    weight: float


def features(phrases: Sequence[str]) -> sparse.csr_matrix:
    """Scaled n-gram counts ``(n, 2**BITS)`` by scikit-learn: counts divided by the root of their number."""
    from sklearn.feature_extraction.text import HashingVectorizer

    hasher = HashingVectorizer(
        analyzer="char", ngram_range=NGRAMS, n_features=2**BITS, alternate_sign=False, norm=None, lowercase=False
    )
    counts = hasher.transform(phrases)
    total = np.asarray(counts.sum(axis=1)).ravel()
    return sparse.diags(1.0 / np.sqrt(np.maximum(total, 1.0))) @ counts


def reference_scores(model: LinearModel, phrases: Sequence[str]) -> F64:
    """The same scores as :meth:`LinearModel.scores`, by scikit-learn and scipy; the kernel is tested against it."""
    seen = np.flatnonzero(model.slot >= 0)
    dense = np.zeros((len(model.slot), len(model.classes)))
    dense[seen] = model.weights[model.slot[seen]]
    return np.asarray(features(phrases) @ dense)


def train(samples: Sequence[Sample], classes: Sequence[str], inverse_penalty: float) -> LinearModel:
    """Fit the weights; deterministic for the same samples in any order.

    Raises
    ------
    ValueError
        If a sample's label is not among ``classes``, or a class other than the first has no sample at all.
    """
    from sklearn.linear_model import LogisticRegression

    ordered = sorted(samples, key=lambda s: (s.text, s.label, s.weight))
    index = {label: i for i, label in enumerate(classes)}
    unknown = sorted({s.label for s in ordered} - set(index))
    if unknown:
        raise ValueError(f"training labels outside the classes: {', '.join(unknown)}")
    matrix = features([s.text for s in ordered])
    used = np.unique(matrix.indices)
    target = np.array([index[s.label] for s in ordered])
    fit = LogisticRegression(C=inverse_penalty, fit_intercept=False, max_iter=200, tol=1e-4)
    fit.fit(matrix[:, used], target, sample_weight=np.array([s.weight for s in ordered]))
    weights = np.zeros((len(used), len(classes)))
    weights[:, fit.classes_] = fit.coef_.T
    slot: npt.NDArray[np.int32] = np.full(2**BITS, -1, dtype=np.int32)
    slot[used] = np.arange(len(used), dtype=np.int32)
    return LinearModel(tuple(classes), slot, np.round(weights, DECIMALS))
