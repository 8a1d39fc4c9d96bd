"""The lexicon (词典): terms that speak for AI classes, found with overlaps, the longest kept, trade phrases ruled out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import yaml

from taxonomy.classifier.kernel_terms import TermFinder
from taxonomy.classifier.kernel_text import Texts
from taxonomy.classifier.normalize import fold_text

PHRASES: Final = Path(__file__).parent.parent / "phrases"


@dataclass(frozen=True, slots=True)
class Term:
    """One term, its weight (log-odds) and the class prefixes it points to (``""``: to every class alike)."""

    term: str
    weight: float
    to: tuple[str, ...]


@dataclass(frozen=True)
class Lexicon:
    """Terms, and the endings that make a phrase one of trade rather than of research, production or service."""

    terms: tuple[Term, ...]
    trade: tuple[str, ...]
    trade_keeps: tuple[str, ...]

    def as_data(self) -> dict[str, Any]:
        """The lexicon as :func:`parse_lexicon` reads it."""
        terms = [{"term": t.term, "weight": t.weight, "to": list(t.to)} for t in self.terms]
        return {"terms": terms, "trade": list(self.trade), "trade_keeps": list(self.trade_keeps)}

    @cached_property
    def words(self) -> list[str]:
        """The terms, folded, in order."""
        return [fold_text(t.term) for t in self.terms]

    @cached_property
    def _finder(self) -> TermFinder:
        return TermFinder(self.words)

    def class_weights(self, classes: Sequence[str]) -> npt.NDArray[np.float64]:
        """Weight of each term for each class, shape ``(terms, classes)``."""
        return np.array([[t.weight if c.startswith(t.to) else 0.0 for c in classes] for t in self.terms])

    def is_trade(self, phrases: pl.Series) -> pl.Series:
        """Whether each phrase ends in buying, selling, letting, installing or repairing."""
        ends = phrases.str.contains(rf"(?:{'|'.join(self.trade)})(?:业务|服务)?$")
        keeps = phrases.str.contains(rf"(?:{'|'.join(self.trade_keeps)})(?:业务|服务)?$")
        return ends & ~keeps

    def matches(self, phrases: Texts) -> pl.DataFrame:
        """Terms found in phrases, all overlaps considered, those inside a longer one dropped.

        Returns ``phrase`` (row in ``phrases``), ``term`` (index), ``start``, ``end`` (characters), sorted.
        """
        found = self._finder.find(phrases)
        length = np.array([len(w) for w in self.words], dtype=np.int64)
        hits = pl.DataFrame(
            {
                "phrase": found[:, 0].astype(np.uint32),
                "term": found[:, 1],
                "start": found[:, 2],
                "end": found[:, 2] + length[found[:, 1]],
            }
        )
        if hits.height == 0:
            return hits
        longest = hits.join(hits.select("phrase", s2="start", e2="end"), on="phrase").filter(
            (pl.col("s2") <= pl.col("start"))
            & (pl.col("e2") >= pl.col("end"))
            & ((pl.col("e2") - pl.col("s2")) > (pl.col("end") - pl.col("start")))
        )
        kept = hits.join(longest.select("phrase", "start", "end").unique(), on=["phrase", "start", "end"], how="anti")
        return kept.select("phrase", "term", "start", "end").sort("phrase", "start", "end")


def load_lexicon(path: Path = PHRASES / "lexicon.yaml") -> Lexicon:
    """The lexicon file (:func:`parse_lexicon`)."""
    return parse_lexicon(yaml.safe_load(path.read_text(encoding="utf-8")), path.name)


def parse_lexicon(data: Mapping[str, Any], where: str) -> Lexicon:
    """A lexicon from its data.

    Raises
    ------
    ValueError
        If a term stands twice or a weight is not positive; names ``where``.
    """
    terms = tuple(Term(t["term"], float(t["weight"]), tuple(t["to"])) for t in data["terms"])
    words = [t.term for t in terms]
    doubled = sorted({w for w in words if words.count(w) > 1})
    if doubled or any(t.weight <= 0 for t in terms):
        raise ValueError(f"{where}: terms must be unique with positive weight; twice: {doubled}")
    return Lexicon(terms, tuple(data["trade"]), tuple(data["trade_keeps"]))
