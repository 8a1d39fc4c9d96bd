"""From scores to decisions: a leaf, its class or branch, none, or a question for a person."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from taxonomy.classifier.bundle import Bundle
from taxonomy.classifier.evidence import KIND_ORDER

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
ROUTE_OF: Final = {"code": "code", "dictionary": "phrase", "lexicon": "rule", "model": "model"}
CODED: Final = ("lock", "code", "phrase", "rule", "model", "parent")
NOT_CODED: Final = ("review", "uncodable")
DECIMALS: Final = 6


@dataclass(frozen=True)
class Scored:
    """Scores of a slice: ``score`` ``(n, leaves)``, the best leaf, contributions to it by kind, familiarity of the text."""

    frame: pl.DataFrame
    leaves: tuple[str, ...]
    score: F64
    best: I64
    kind_sums: Mapping[str, I64]
    familiar: F64
    phrases: F64


def probabilities(score: F64) -> F64:
    """P(leaf) with *none* at score zero; rows sum to P(core)."""
    top = np.maximum(score.max(axis=1, keepdims=True), 0.0)
    weights = np.exp(score - top)
    return np.asarray(weights / (weights.sum(axis=1, keepdims=True) + np.exp(-top)))


def _by_prefix(p: F64, leaves: tuple[str, ...], length: int) -> tuple[list[str], F64]:
    prefixes = sorted({leaf[:length] for leaf in leaves})
    sums = np.stack([p[:, [leaf.startswith(x) for leaf in leaves]].sum(axis=1) for x in prefixes], axis=1)
    return prefixes, sums


def _candidates(p: F64, leaves: tuple[str, ...], count: int) -> pl.Series:
    order = np.argsort(-p, axis=1, kind="stable")[:, :count]
    flat = pl.DataFrame(
        {
            "row": np.repeat(np.arange(len(p)), count),
            "code": pl.Series(np.array(leaves)[order].ravel().tolist(), dtype=pl.String),
            "p": np.take_along_axis(p, order, axis=1).ravel().round(DECIMALS),
        }
    )
    grouped = flat.group_by("row", maintain_order=True).agg(pl.struct("code", "p").alias("c"))
    text = grouped.select(pl.struct("c").struct.json_encode()).to_series()
    return text.str.strip_prefix('{"c":').str.strip_suffix("}").alias("candidates")


def _route(kind_sums: Mapping[str, I64]) -> npt.NDArray[np.str_]:
    stacked = np.stack([kind_sums[k] for k in KIND_ORDER], axis=1)
    names: npt.NDArray[np.str_] = np.array([ROUTE_OF[k] for k in KIND_ORDER])
    return np.asarray(names[stacked.argmax(axis=1)])


def decide(scored: Scored, bundle: Bundle) -> pl.DataFrame:
    """Decisions in row order: ``unit_id, name, ai_class, segment, p_ai, probability, route, candidates, warning``.

    A leaf whose probability reaches ``coded_at`` is coded; else its class or branch (route ``parent``) if that does;
    a unit whose P(core) is below ``none_below`` is coded *none*; text without familiar words and without any other
    evidence is ``uncodable``; everything else is for review.
    """
    rule = bundle.parameters
    p = probabilities(scored.score)
    p_core = p.sum(axis=1)
    p_best = np.take_along_axis(p, scored.best[:, None], axis=1)[:, 0]
    classes, p_class = _by_prefix(p, scored.leaves, 2)
    branches, p_branch = _by_prefix(p, scored.leaves, 1)
    strange = (scored.phrases == 0) | (scored.familiar < rule.min_seen_share)
    evidence = np.stack(list(scored.kind_sums.values())).max(axis=0) > 0
    known = np.array([c in bundle.code_rule.known for c in scored.frame["gbt_code"].to_list()])
    no_text = scored.phrases == 0
    silent = no_text & (~known | evidence & (p_best < rule.coded_at))
    uncodable = silent | (strange & ~evidence & ~known)
    leaf_name = np.array(scored.leaves)[scored.best]
    class_name, branch_name = np.array(classes)[p_class.argmax(axis=1)], np.array(branches)[p_branch.argmax(axis=1)]
    tests: list[tuple[Any, Any, Any, Any]] = [
        (uncodable, "", "uncodable", p_core * np.nan),
        (p_best >= rule.coded_at, leaf_name, _route(scored.kind_sums), p_best),
        (p_class.max(axis=1) >= rule.coded_at, class_name, "parent", p_class.max(axis=1)),
        (p_branch.max(axis=1) >= rule.coded_at, branch_name, "parent", p_branch.max(axis=1)),
        (p_core < rule.none_below, "none", np.where(known & ~evidence, "code", "model"), 1.0 - p_core),
    ]
    conditions = [test[0] for test in tests]
    ai_class = np.select(conditions, [np.broadcast_to(t[1], p_core.shape) for t in tests], "")
    route = np.select(conditions, [np.broadcast_to(t[2], p_core.shape) for t in tests], "review")
    probability = np.select(conditions, [t[3] for t in tests], p_best)
    frame = scored.frame.select("unit_id", "name", "gbt_code").with_columns(
        ai_class=pl.Series(ai_class.tolist(), dtype=pl.String),
        p_ai=pl.Series(p_core.round(DECIMALS)),
        probability=pl.Series(probability.round(DECIMALS)).fill_nan(None),
        route=pl.Series(route.tolist(), dtype=pl.String),
        candidates=_candidates(p, scored.leaves, rule.candidates),
        known=pl.Series(known),
    )
    return _finish(frame)


def _finish(frame: pl.DataFrame) -> pl.DataFrame:
    coded = pl.col("ai_class").is_in(["none", ""]).not_()
    unknown = pl.col("gbt_code").is_not_null() & (pl.col("gbt_code") != "") & ~pl.col("known")
    return frame.with_columns(
        segment=pl.when(coded).then(pl.lit("core")).when(pl.col("ai_class") == "none").then(pl.lit("none")),
        ai_class=pl.when(coded).then("ai_class"),
        warning=pl.when(unknown).then(
            pl.format("行业代码 {} 不在 GB/T 4754-2017 / declared code not in GB/T 4754-2017", "gbt_code")
        ),
    ).drop("gbt_code", "known")


def nominated(frame: pl.DataFrame, nominate_from: float = 0.30) -> pl.Series:
    """Units that enter the survey frame: coded core, or not coded with P(core) of at least ``nominate_from``."""
    doubtful = pl.col("route").is_in(NOT_CODED) & (pl.col("p_ai") >= nominate_from)
    return frame.select(((pl.col("segment") == "core").fill_null(False) | doubtful).alias("nominated")).to_series()
