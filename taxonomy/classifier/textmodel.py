"""A linear classifier of units by their texts, field by field: trained by scikit-learn, served by a numba kernel.

One engine for several questions: is the unit in the AI industry (trained on adjudicated labels), which GB/T division
does its scope speak of, which code of another classification. A field is a list of phrases per unit; its features are
the hashed character n-grams of each phrase (none crosses from one phrase to the next), weighed
``(1 + ln tf) · idf`` and scaled to the field's ``weight`` in length. The score is linear in them, so it is the exact
sum of what each n-gram contributes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse

from taxonomy.classifier.kernel import gram_positions, score_fields

F64 = npt.NDArray[np.float64]
BITS: Final = 18
FOLDS: Final = 3
DECIMALS: Final = 9
Fit = Literal["logistic", "svm"]


@dataclass(frozen=True)
class TextField:
    """A field of the model: its name, the length its features are scaled to, the sizes of its n-grams."""

    name: str
    weight: float = 1.0
    ngrams: tuple[int, int] = (1, 3)


@dataclass(frozen=True)
class Gram:
    """What one n-gram contributes to a score: where it stands (phrase, characters ``start``-``end``) and how much."""

    field: str
    phrase: int
    start: int
    end: int
    text: str
    value: float


@dataclass(frozen=True)
class TextModel:
    """``idf`` shape ``(fields · 2**BITS,)``, the largest of its field where training saw nothing (:func:`_idf`); ``slot`` the row
    of ``weights`` of each bucket that was seen (-1: none); ``weights`` ``(seen, classes)``; ``bias`` ``(classes,)``; ``scale`` makes scores log-odds."""

    fields: tuple[TextField, ...]
    classes: tuple[str, ...]
    idf: F64
    slot: npt.NDArray[np.int32]
    weights: F64
    bias: F64
    scale: float = 1.0

    @classmethod
    def train(
        cls,
        phrases: pl.DataFrame,
        fields: Sequence[TextField],
        labels: Sequence[str],
        *,
        weight: Sequence[float] | None = None,
        fit: Fit = "logistic",
        inverse_penalty: float = 5.0,
        balanced: bool = False,
        scaled: bool = True,
    ) -> "TextModel":
        """Fit the model.

        Parameters
        ----------
        phrases
            Columns ``row`` (0 … n-1), ``field`` (name), ``phrase`` (folded), any order; a unit may have none.
        fields
            The fields to use.
        labels
            Class of each unit, shape ``(n,)``.
        weight
            Weight of each unit, shape ``(n,)``; one if left out.
        fit
            ``logistic`` (multinomial, calibrated by itself) or ``svm`` (one against the rest, for many classes; its
            scores get the scale that makes their softmax most likely on held-out folds).
        balanced
            Weigh classes by their inverse frequency.
        scaled
            Find that scale; without it an ``svm`` ranks classes, its probabilities mean nothing.

        Raises
        ------
        ValueError
            If there are fewer than two classes or the lengths differ.
        """
        classes = tuple(sorted(set(labels)))
        sample = np.ones(len(labels)) if weight is None else np.asarray(weight, dtype=np.float64)
        if len(classes) < 2 or len(sample) != len(labels):
            raise ValueError(f"a text model needs two classes and one weight a label; got {len(classes)} classes")
        counts = [_counts(phrases, f, len(labels)) for f in fields]
        idf = np.concatenate([_idf(c) for c in counts])
        matrix = _scaled(counts, fields, idf)
        used = np.unique(matrix.indices)
        target = np.array([classes.index(label) for label in labels])
        coefficients, bias = _fit(matrix[:, used], target, sample, fit, inverse_penalty, balanced)
        scale = 1.0
        if fit == "svm" and scaled:
            scale = _scale(matrix[:, used], target, sample, inverse_penalty, balanced, len(classes))
        slot: npt.NDArray[np.int32] = np.full(len(idf), -1, dtype=np.int32)
        slot[used] = np.arange(len(used), dtype=np.int32)
        return cls(tuple(fields), classes, idf, slot, np.round(coefficients, DECIMALS), np.round(bias, DECIMALS), scale)

    @cached_property
    def _sizes(self) -> npt.NDArray[np.int64]:
        return np.array([f.ngrams for f in self.fields], dtype=np.int64)

    @cached_property
    def _lengths(self) -> F64:
        return np.array([f.weight for f in self.fields])

    def _encoded(self, phrases: pl.DataFrame) -> pl.DataFrame:
        names = [f.name for f in self.fields]
        known = phrases.filter(pl.col("field").is_in(names))
        number = pl.col("field").replace_strict({n: i for i, n in enumerate(names)}, return_dtype=pl.Int64)
        return known.with_columns(number.alias("number")).sort("row", "number", maintain_order=True)

    def scores(self, phrases: pl.DataFrame, rows: int) -> F64:
        """Scores ``(rows, classes)`` (log-odds up to a constant per row) by the kernel."""
        table = self._encoded(phrases)
        return self.scale * score_fields(
            table["phrase"],
            table["row"].to_numpy().astype(np.int64),
            table["number"].to_numpy(),
            rows,
            self._sizes,
            self._lengths,
            self.idf,
            self.slot,
            self.weights,
            self.bias,
        )

    def reference_scores(self, phrases: pl.DataFrame, rows: int) -> F64:
        """The same scores by scikit-learn and scipy; the kernel is tested against them."""
        matrix = _scaled([_counts(phrases, f, rows) for f in self.fields], self.fields, self.idf)
        seen = np.flatnonzero(self.slot >= 0)
        return np.asarray(self.scale * (matrix[:, seen] @ self.weights[self.slot[seen]] + self.bias))

    def predict_proba(self, phrases: pl.DataFrame, rows: int) -> tuple[tuple[str, ...], F64]:
        """Classes, and their probabilities ``(rows, classes)``."""
        return self.classes, softmax(self.scores(phrases, rows))

    def grams(self, phrases: pl.DataFrame, wanted: str, against: str) -> list[Gram]:
        """What each n-gram of one unit adds to the log-odds of a class against another; with the difference of the
        biases they add up to the difference of the scores. ``phrases`` as in :meth:`train`, all of one unit."""
        table = self._encoded(phrases.with_columns(row=pl.lit(0, pl.Int64))).with_row_index("at")
        column = self.weights[:, self.classes.index(wanted)] - self.weights[:, self.classes.index(against)]
        found: list[Gram] = []
        for number, spec in enumerate(self.fields):
            part = table.filter(pl.col("number") == number)
            where = gram_positions(part["phrase"].to_list(), spec.ngrams, 2**BITS)
            found += self._field_grams(spec, number, where, part["at"].to_list(), column)
        return found

    def _field_grams(
        self,
        spec: TextField,
        number: int,
        where: Sequence[tuple[int, int, int, str, int]],
        at: Sequence[int],
        column: F64,
    ) -> list[Gram]:
        if not where:
            return []
        bucket = np.array([w[4] for w in where]) + number * 2**BITS
        unique, inverse, tf = np.unique(bucket, return_inverse=True, return_counts=True)
        value = (1.0 + np.log(tf)) * self.idf[unique]
        length = float(np.sqrt((value**2).sum()))
        if length == 0.0:
            return []
        weight = np.where(self.slot[unique] >= 0, column[np.maximum(self.slot[unique], 0)], 0.0)
        each = self.scale * spec.weight * value / length * weight / tf
        return [
            Gram(spec.name, at[phrase], start, end, text, float(each[i]))
            for (phrase, start, end, text, _), i in zip(where, inverse, strict=True)
            if each[i] != 0.0
        ]

    def arrays(self) -> dict[str, npt.NDArray[np.float64] | npt.NDArray[np.int32]]:
        """What has to be stored beside :meth:`head`."""
        used = np.flatnonzero(self.slot >= 0).astype(np.int32)
        return {"used": used, "idf": self.idf[used], "weights": self.weights, "bias": self.bias}

    def head(self) -> dict[str, object]:
        """The part that is JSON."""
        fields = [[f.name, f.weight, list(f.ngrams)] for f in self.fields]
        # What lengthens a strange text belongs to the model: without it a stored model would be surer than the trained one.
        unseen = [float(part.max()) for part in np.split(self.idf, len(self.fields))]
        return {"fields": fields, "classes": list(self.classes), "scale": self.scale, "bits": BITS, "unseen": unseen}

    @classmethod
    def restore(cls, head: Mapping[str, object], arrays: Mapping[str, npt.NDArray[np.float64]]) -> "TextModel":
        """The model of :meth:`head` and :meth:`arrays`."""
        fields = tuple(TextField(n, w, (g[0], g[1])) for n, w, g in head["fields"])  # type: ignore[attr-defined]
        idf = np.repeat(np.asarray(head["unseen"], dtype=np.float64), 2 ** int(head["bits"]))  # type: ignore[call-overload]
        used = arrays["used"].astype(np.int64)
        slot: npt.NDArray[np.int32] = np.full(len(idf), -1, dtype=np.int32)
        idf[used] = arrays["idf"]
        slot[used] = np.arange(len(used), dtype=np.int32)
        classes: tuple[str, ...] = tuple(head["classes"])  # type: ignore[arg-type]
        return cls(fields, classes, idf, slot, arrays["weights"], arrays["bias"], float(head["scale"]))  # type: ignore[arg-type]

    def with_scale(self, scale: float) -> "TextModel":
        """The same model with another scale of its scores."""
        return replace(self, scale=scale)


def softmax(scores: F64) -> F64:
    """Rows to probabilities."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _counts(phrases: pl.DataFrame, spec: TextField, rows: int) -> sparse.csr_matrix:
    """Counts of hashed n-grams ``(rows, 2**BITS)`` by scikit-learn."""
    from sklearn.feature_extraction.text import HashingVectorizer

    low, high = spec.ngrams
    lists: list[list[str]] = [[] for _ in range(rows)]
    for row, phrase in phrases.filter(pl.col("field") == spec.name).select("row", "phrase").iter_rows():
        lists[row].append(phrase)

    def grams(texts: list[str]) -> list[str]:
        return [t[i : i + n] for t in texts for n in range(low, high + 1) for i in range(len(t) - n + 1)]

    hasher = HashingVectorizer(analyzer=grams, n_features=2**BITS, alternate_sign=False, norm=None)
    return hasher.transform(lists)


def _idf(counts: sparse.csr_matrix) -> F64:
    """Smoothed inverse document frequency of scikit-learn. An n-gram never seen has the largest: it has no weight of its
    own, but it lengthens the text, so strange text scores nearer to the bias (the novelty gate)."""
    seen = np.bincount(counts.indices, minlength=counts.shape[1])
    return np.asarray(np.log((1 + counts.shape[0]) / (1 + seen)) + 1.0)


def _scaled(counts: Sequence[sparse.csr_matrix], fields: Sequence[TextField], idf: F64) -> sparse.csr_matrix:
    blocks = []
    for number, (count, spec) in enumerate(zip(counts, fields, strict=True)):
        block = count.astype(np.float64)
        block.data = (1.0 + np.log(block.data)) * idf[number * 2**BITS + block.indices]
        length = np.sqrt(np.asarray(block.multiply(block).sum(axis=1)).ravel())
        blocks.append(sparse.diags(spec.weight / np.where(length > 0, length, 1.0)) @ block)
    joined = sparse.hstack(blocks).tocsr()
    joined.eliminate_zeros()
    return joined


def _fit(
    matrix: sparse.csr_matrix,
    target: npt.NDArray[np.int64],
    sample: F64,
    fit: Fit,
    inverse_penalty: float,
    balanced: bool,
) -> tuple[F64, F64]:
    """Coefficients ``(features, classes)`` and bias ``(classes,)``; two classes share one, split evenly."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import LinearSVC

    chosen = "balanced" if balanced else None
    model = (
        LogisticRegression(C=inverse_penalty, class_weight=chosen, max_iter=1000)
        if fit == "logistic"
        else LinearSVC(C=inverse_penalty, class_weight=chosen, random_state=0, max_iter=5000)
    )
    model.fit(matrix, target, sample_weight=sample)
    coefficients, bias = np.asarray(model.coef_).T, np.asarray(model.intercept_)
    if coefficients.shape[1] == 1:
        coefficients, bias = np.hstack([-coefficients, coefficients]) / 2, np.array([-bias[0], bias[0]]) / 2
    return coefficients, bias


def _scale(
    matrix: sparse.csr_matrix,
    target: npt.NDArray[np.int64],
    sample: F64,
    inverse_penalty: float,
    balanced: bool,
    k: int,
) -> float:
    """The factor under which the softmax of held-out margins is most likely (three folds, fixed)."""
    from scipy.optimize import minimize_scalar

    fold = np.arange(len(target)) * 7919 % FOLDS
    margins = np.full((len(target), k), -1.0)
    for number in range(FOLDS):
        inside, outside = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        known = np.unique(target[inside])
        if len(known) < 2:
            continue
        relabelled = np.searchsorted(known, target[inside])
        coefficients, bias = _fit(matrix[inside], relabelled, sample[inside], "svm", inverse_penalty, balanced)
        margins[np.ix_(outside, known)] = matrix[outside] @ coefficients + bias

    def loss(scale: float) -> float:
        p = softmax(scale * margins)[np.arange(len(target)), target]
        return float(-(sample * np.log(np.maximum(p, 1e-12))).sum())

    return round(float(minimize_scalar(loss, bounds=(0.5, 30.0), method="bounded").x), 6)
