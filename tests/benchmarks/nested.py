"""How much of the unit model's figure is owed to choosing: the candidates hold the choices that were looked at on the
development sample. Nested: in each outer fold the candidate is chosen by folds inside the training rows (most positives
found around the wanted share, or largest area under the curve). Not chosen at all: the mean of all candidates, and the
figures of each of them.

Candidates differ in scale, and so would the folds: nested ratios are counted from the level that nominates the wanted
share of the training rows, in standard deviations, both by the inner folds."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse

from taxonomy.classifier.lexicon import load_lexicon
from taxonomy.classifier.normalize import phrase_frame
from taxonomy.classifier.textmodel import TextField, _counts, _fit
from taxonomy.classifier.training import generic_phrases

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
INNER = 5


@dataclass(frozen=True)
class Candidate:
    """A unit model: the field that names the main business (first ``take`` phrases, trade among them or not), the
    weights of that field and of the name, generic phrases left out or not, the inverse penalty."""

    take: int
    trade: bool
    main: float = 0.7
    name: float = 1.4
    generic: bool = True
    inverse_penalty: float = 5.0

    def label(self) -> str:
        """Short text for the report."""
        return (
            f"first {self.take}{' incl. trade' if self.trade else ''} x{self.main}, name x{self.name}"
            f"{'' if self.generic else ', generic kept'}, C {self.inverse_penalty}"
        )


CANDIDATES = (
    Candidate(1, True, generic=False),
    Candidate(1, True),
    Candidate(1, False),
    Candidate(2, False),
    Candidate(3, False),
    Candidate(2, True),
    Candidate(2, False, generic=False),
    Candidate(2, False, main=0.5),
    Candidate(2, False, main=1.0),
    Candidate(2, False, name=1.0),
    Candidate(2, False, name=1.8),
    Candidate(2, False, inverse_penalty=1.0),
    Candidate(2, False, inverse_penalty=20.0),
)


class Texts:
    """Counts of the n-grams of all units, field by field; they depend on no label."""

    def __init__(self, frame: pl.DataFrame) -> None:
        """``frame``: ``name``, ``business_scope``."""
        self._frame, self._lexicon = frame, load_lexicon()
        self.blocks = cache(self._blocks)

    def _blocks(self, take: int, trade: bool, generic: bool) -> tuple[Any, Any, Any]:
        numbered = self._frame.with_row_index("row")
        texts = [
            numbered.select("row", pl.lit(i, pl.UInt8).alias("field"), pl.col(c).alias("text"))
            for i, c in enumerate(("name", "business_scope"))
        ]
        kept = pl.concat(texts).drop_nulls("text").filter(pl.col("text") != "")
        table = phrase_frame(kept, generic_phrases() if generic else frozenset())
        scope = table.filter(pl.col("field") == 1)
        first = scope if trade else scope.filter(~self._lexicon.is_trade(scope["phrase"]))
        parts = {
            "scope": scope,
            "name": table.filter(pl.col("field") == 0),
            "main": first.group_by("row", maintain_order=True).head(take),
        }
        counts = [
            _counts(part.with_columns(field=pl.lit(name)), TextField(name), self._frame.height)
            for name, part in parts.items()
        ]
        seen = [np.unique(count.indices) for count in counts]
        blocks = [count[:, used].astype(np.float64) for count, used in zip(counts, seen, strict=True)]
        for block in blocks:
            block.data = 1.0 + np.log(block.data)
        return blocks[0], blocks[1], blocks[2]

    def ratio(self, choice: Candidate, y: I64, train: I64, test: I64) -> F64:
        """Log-likelihood ratio of the test rows by the candidate trained on the others."""
        parts = []
        for block, weight in zip(
            self.blocks(choice.take, choice.trade, choice.generic), (1.0, choice.name, choice.main), strict=True
        ):
            among = np.bincount(block[train].indices, minlength=block.shape[1])
            valued = block @ sparse.diags(np.log((1 + len(train)) / (1 + among)) + 1.0)
            length = np.sqrt(np.asarray(valued.multiply(valued).sum(axis=1)).ravel())
            parts.append(sparse.diags(weight / np.where(length > 0, length, 1.0)) @ valued)
        matrix = sparse.hstack(parts).tocsr()
        coefficients, bias = _fit(
            matrix[train], y[train], np.ones(len(train)), "logistic", choice.inverse_penalty, True
        )
        scores = matrix[test] @ coefficients + bias
        return np.asarray(scores[:, 1] - scores[:, 0])


def recall_at(score: F64, y: I64, share: float) -> float:
    """Share of the positives among the given share of all rows with the highest scores."""
    top = np.argsort(-score, kind="stable")[: int(share * len(y))]
    return float(y[top].sum() / y.sum())


def _choices(texts: Texts, y: I64, train: I64, share: float, seed: int) -> dict[str, tuple[int, float, float]]:
    """The candidate (position) that is best by folds inside the training rows, by either measure; the level that
    nominates ``share`` of them, and the standard deviation of its ratios."""
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold

    found: dict[str, list[float]] = {"by_recall": [], "by_area": []}
    levels: list[tuple[float, float]] = []
    for choice in CANDIDATES:
        score = np.zeros(len(train))
        for a, b in StratifiedKFold(INNER, shuffle=True, random_state=seed).split(train, y[train]):
            score[b] = texts.ratio(choice, y, train[a], train[b])
        shares = np.linspace(0.8 * share, 1.2 * share, 9)
        found["by_recall"].append(float(np.mean([recall_at(score, y[train], s) for s in shares])))
        found["by_area"].append(float(roc_auc_score(y[train], score)))
        levels.append((float(np.quantile(score, 1.0 - share)), float(score.std())))
    best = {name: int(np.argmax(values)) for name, values in found.items()}
    return {name: (at, *levels[at]) for name, at in best.items()}


def nested(frame: pl.DataFrame, static: F64, y: I64, seeds: Sequence[int], folds: int, share: float) -> dict[str, Any]:
    """Outer folds of each seed, the candidate chosen anew in each.

    Parameters
    ----------
    frame
        ``name``, ``business_scope``.
    static
        Log-odds of AI without the unit model, shape ``(n,)``.
    y
        1 for AI, shape ``(n,)``.

    Returns
    -------
    dict
        Mean, standard deviation over seeds and lowest of the average precision (static log-odds and unit model) and of the
        positives among ``share`` of the rows (unit model): nested by either measure, the mean of all candidates, each
        candidate; and how often each was chosen.
    """
    from sklearn.model_selection import StratifiedKFold

    texts = Texts(frame)
    chosen = {"by_recall": Counter[str](), "by_area": Counter[str]()}
    ratios: dict[str, list[F64]] = {}
    for seed in seeds:
        every = np.zeros((len(CANDIDATES), len(y)))
        picked = {name: np.zeros(len(y)) for name in chosen}
        for train, test in StratifiedKFold(folds, shuffle=True, random_state=seed).split(y, y):
            for at, choice in enumerate(CANDIDATES):
                every[at, test] = texts.ratio(choice, y, train, test)
            for name, (at, level, spread) in _choices(texts, y, train, share, seed).items():
                picked[name][test] = (every[at, test] - level) / spread
                chosen[name][CANDIDATES[at].label()] += 1
        named = {c.label(): r for c, r in zip(CANDIDATES, every, strict=True)}
        for name, ratio in (picked | {"mean_of_all": every.mean(axis=0)} | named).items():
            ratios.setdefault(name, []).append(ratio)
    figures = {name: _figures(found, static, y, share) for name, found in ratios.items()}
    own = ("by_recall", "by_area", "mean_of_all")
    return {
        "seeds": len(seeds), **{name: figures[name] for name in own},
        "chosen": {name: dict(counts.most_common()) for name, counts in chosen.items()},
        "candidates": {name: figure for name, figure in figures.items() if name not in own},
    }  # fmt: skip


def _figures(ratios: Sequence[F64], static: F64, y: I64, share: float) -> dict[str, dict[str, float]]:
    from sklearn.metrics import average_precision_score

    found = {
        "average_precision": [average_precision_score(y, static + np.clip(r, -5.0, 5.0)) for r in ratios],
        "positives_nominated": [recall_at(r, y, share) for r in ratios],
    }
    return {
        name: {f: round(float(call(values)), 4) for f, call in (("mean", np.mean), ("sd", np.std), ("lowest", np.min))}
        for name, values in found.items()
    }
