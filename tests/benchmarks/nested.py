"""Nested cross-validation of the unit model: every choice is made inside the training folds, so that the figure of the
outer folds is not one of the choosing. The candidates hold the choices that were looked at on the development sample."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from taxonomy.classifier.lexicon import load_lexicon
from taxonomy.classifier.normalize import phrase_frame
from taxonomy.classifier.textmodel import TextField, _counts, _fit, _idf, _scaled
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
        return counts[0], counts[1], counts[2]

    def ratio(self, choice: Candidate, y: I64, train: I64, test: I64) -> F64:
        """Log-likelihood ratio of the test rows by the candidate trained on the others."""
        fields = (TextField("scope"), TextField("name", choice.name), TextField("main", choice.main))
        blocks = self.blocks(choice.take, choice.trade, choice.generic)
        inside = [b[train] for b in blocks]
        idf = np.concatenate([_idf(b) for b in inside])
        matrix = _scaled(inside, fields, idf)
        used = np.unique(matrix.indices)
        coefficients, bias = _fit(
            matrix[:, used], y[train], np.ones(len(train)), "logistic", choice.inverse_penalty, True
        )
        scores = _scaled([b[test] for b in blocks], fields, idf)[:, used] @ coefficients + bias
        return np.asarray(scores[:, 1] - scores[:, 0])


def recall_at(score: F64, y: I64, share: float) -> float:
    """Share of the positives among the given share of all rows with the highest scores."""
    top = np.argsort(-score, kind="stable")[: int(share * len(y))]
    return float(y[top].sum() / y.sum())


def _choose(texts: Texts, y: I64, train: I64, share: float, seed: int) -> Candidate:
    """The candidate that finds most positives around the wanted share, by folds inside the training rows."""
    from sklearn.model_selection import StratifiedKFold

    found = []
    for choice in CANDIDATES:
        score = np.zeros(len(train))
        for a, b in StratifiedKFold(INNER, shuffle=True, random_state=seed).split(train, y[train]):
            score[b] = texts.ratio(choice, y, train[a], train[b])
        shares = np.linspace(0.8 * share, 1.2 * share, 9)
        found.append(float(np.mean([recall_at(score, y[train], s) for s in shares])))
    return CANDIDATES[int(np.argmax(found))]


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
        Mean and standard deviation over seeds of the average precision (static log-odds and unit model) and of the
        positives among ``share`` of the rows (unit model), and how often each candidate was chosen.
    """
    from sklearn.metrics import average_precision_score
    from sklearn.model_selection import StratifiedKFold

    texts, chosen = Texts(frame), Counter[str]()
    precision, recall = [], []
    for seed in seeds:
        ratio = np.zeros(len(y))
        for train, test in StratifiedKFold(folds, shuffle=True, random_state=seed).split(ratio, y):
            choice = _choose(texts, y, train, share, seed)
            chosen[choice.label()] += 1
            ratio[test] = texts.ratio(choice, y, train, test)
        precision.append(float(average_precision_score(y, static + np.clip(ratio, -5.0, 5.0))))
        recall.append(recall_at(ratio, y, share))
    return {
        "seeds": len(seeds), "candidates": len(CANDIDATES),
        "average_precision": {"mean": round(float(np.mean(precision)), 4), "sd": round(float(np.std(precision)), 4)},
        "positives_nominated": {"mean": round(float(np.mean(recall)), 4), "sd": round(float(np.std(recall)), 4), "each": [round(r, 4) for r in recall]},
        "chosen": dict(chosen.most_common()),
    }  # fmt: skip
