"""From scores to decisions: a leaf, its class or branch, none, or a question for a person."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from taxonomy.classifier.bundle import Bundle
from taxonomy.classifier.calibrate import probabilities
from taxonomy.classifier.evidence import KIND_ORDER, MICRO
from taxonomy.classifier.kernel import largest
from taxonomy.classifier.scoring import Scored

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
ROUTE_OF: Final = {"code": "code", "dictionary": "phrase", "lexicon": "rule", "model": "model", "unit": "model"}
CODED: Final = ("lock", "code", "phrase", "rule", "model", "parent")
NOT_CODED: Final = ("review", "uncodable")
DECIMALS: Final = 6


def _by_prefix(p: F64, leaves: tuple[str, ...], length: int) -> tuple[list[str], F64]:
    prefixes = sorted({leaf[:length] for leaf in leaves})
    sums = np.stack([p[:, [leaf.startswith(x) for leaf in leaves]].sum(axis=1) for x in prefixes], axis=1)
    return prefixes, sums


def _json_lists(row: npt.NDArray[np.int64], code: npt.NDArray[np.str_], p: F64) -> pl.DataFrame:
    """``row`` and a JSON list of ``{code, p}`` in the order given."""
    flat = pl.DataFrame({"row": row, "code": pl.Series(code.tolist(), dtype=pl.String), "p": p})
    grouped = flat.group_by("row", maintain_order=True).agg(pl.struct("code", "p").alias("c"))
    text = pl.struct("c").struct.json_encode().str.strip_prefix('{"c":').str.strip_suffix("}")
    return grouped.select("row", text.alias("json"))


def _candidates(p: F64, leaves: tuple[str, ...], count: int) -> pl.Series:
    order = largest(p, min(count, p.shape[1]))
    shown = np.take_along_axis(p, order, axis=1).ravel().round(DECIMALS)
    return _json_lists(np.repeat(np.arange(len(p)), count), np.array(leaves)[order].ravel(), shown)["json"]


def _secondary(scored: Scored, threshold: float) -> pl.Series:
    """Leaves other than the best that the text speaks for by itself: the logistic function of their own score."""
    p = 1.0 / (1.0 + np.exp(-scored.score))
    p[np.arange(len(p)), scored.best] = 0.0
    row, leaf = np.nonzero(p >= threshold)
    order = np.lexsort((leaf, -p[row, leaf], row))
    row, leaf = row[order], leaf[order]
    found = _json_lists(row, np.array(scored.leaves)[leaf], p[row, leaf].round(DECIMALS))
    every = pl.DataFrame({"row": np.arange(len(p))})
    return every.join(found, on="row", how="left", maintain_order="left")["json"].fill_null("[]")


def _route(kind_sums: Mapping[str, I64]) -> npt.NDArray[np.str_]:
    stacked = np.stack([kind_sums[k] for k in KIND_ORDER], axis=1)
    names: npt.NDArray[np.str_] = np.array([ROUTE_OF[k] for k in KIND_ORDER])
    return np.asarray(names[stacked.argmax(axis=1)])


def decide(scored: Scored, bundle: Bundle) -> pl.DataFrame:
    """Decisions in row order: the columns of :data:`taxonomy.classifier.batch.OUTPUT` without evidence and bundle.

    A locked class stands. A leaf whose probability reaches ``coded_at``, with the text of an algorithm filing and without
    it, is coded; else its class or branch (route ``parent``) if that does; a unit whose P(core) is below ``none_below``, and of which the unit model, if there is one,
    does not say that it is likelier AI than not, is coded *none*; text without familiar words
    and without any other evidence is ``uncodable``, unless a filing speaks for it; everything else is for review.
    """
    rule = bundle.parameters
    p = probabilities(scored.score, bundle.calibration)
    p_core = p.sum(axis=1)
    # A filing shows the use of an algorithm, not what the unit is: it may lower what is coded, never raise it.
    has_filing, safe = np.zeros(len(p), dtype=bool), p
    if scored.unfiled is not scored.micro:
        has_filing = (scored.unfiled != scored.micro).any(axis=1)
        safe = np.minimum(p, probabilities(scored.unfiled / MICRO, bundle.calibration))
    p_best, safe_best = (np.take_along_axis(x, scored.best[:, None], axis=1)[:, 0] for x in (p, safe))
    classes, p_class = _by_prefix(safe, scored.leaves, 2)
    branches, p_branch = _by_prefix(safe, scored.leaves, 1)
    sums = scored.parts.sums(without="filing")
    textual = np.stack([sums[k] for k in KIND_ORDER if k != "unit"]).max(axis=0)
    strange = (scored.phrases == 0) | (scored.familiar < rule.min_seen_share)
    evidence, known, no_text = textual > 0, scored.code_at > 0, scored.phrases == 0
    likely = (sums["unit"] >= bundle.review_from * MICRO) & (bundle.unit is not None)
    uncodable = (no_text & (~known | evidence & (safe_best < rule.coded_at))) | (strange & ~evidence & ~known)
    leaf_name = np.array(scored.leaves)[scored.best]
    class_name, branch_name = np.array(classes)[p_class.argmax(axis=1)], np.array(branches)[p_branch.argmax(axis=1)]
    tests: list[tuple[Any, Any, Any, Any]] = [
        (uncodable & ~has_filing, "", "uncodable", p_core * np.nan),
        (uncodable, "", "review", p_best),
        (safe_best >= rule.coded_at, leaf_name, _route(sums), p_best),
        (p_class.max(axis=1) >= rule.coded_at, class_name, "parent", p_class.max(axis=1)),
        (p_branch.max(axis=1) >= rule.coded_at, branch_name, "parent", p_branch.max(axis=1)),
        ((p_core < rule.none_below) & ~likely, "none", np.where(known & ~evidence, "code", "model"), 1.0 - p_core),
    ]
    conditions = [test[0] for test in tests]
    ai_class = np.select(conditions, [np.broadcast_to(t[1], p_core.shape) for t in tests], "")
    route = np.select(conditions, [np.broadcast_to(t[2], p_core.shape) for t in tests], "review")
    probability = np.select(conditions, [t[3] for t in tests], p_best)
    frame = scored.frame.select("unit_id", "name", "gbt_code", "locked_class").with_columns(
        ai_class=pl.Series(ai_class.tolist(), dtype=pl.String),
        p_ai=pl.Series(p_core.round(DECIMALS)),
        probability=pl.Series(probability.round(DECIMALS)).fill_nan(None),
        route=pl.Series(route.tolist(), dtype=pl.String),
        candidates=_candidates(p, scored.leaves, rule.candidates),
        secondary=_secondary(scored, rule.secondary_from),
        known=pl.Series(known),
    )
    return _finish(_with_locks(frame, scored.leaves))


def _with_locks(frame: pl.DataFrame, leaves: Sequence[str]) -> pl.DataFrame:
    """A locked class of the catalogue stands, with certainty; one the catalogue does not hold is left to the warning."""
    codes = sorted({leaf[:n] for leaf in leaves for n in (1, 2, 3)} | {"none"})
    locked = pl.col("locked_class").is_in(codes).fill_null(False)
    is_none = pl.col("locked_class") == "none"
    return frame.with_columns(
        ai_class=pl.when(locked).then("locked_class").otherwise("ai_class"),
        route=pl.when(locked).then(pl.lit("lock")).otherwise("route"),
        probability=pl.when(locked).then(1.0).otherwise("probability"),
        p_ai=pl.when(locked).then(pl.when(is_none).then(0.0).otherwise(1.0)).otherwise("p_ai"),
    )


def _finish(frame: pl.DataFrame) -> pl.DataFrame:
    coded = pl.col("ai_class").is_in(["none", ""]).not_()
    unknown = pl.col("gbt_code").is_not_null() & (pl.col("gbt_code") != "") & ~pl.col("known")
    bad_lock = pl.col("locked_class").is_not_null() & (pl.col("route") != "lock")
    return frame.with_columns(
        segment=pl.when(coded).then(pl.lit("core")).when(pl.col("ai_class") == "none").then(pl.lit("none")),
        ai_class=pl.when(coded).then("ai_class"),
        warning=pl.when(unknown)
        .then(pl.format("行业代码 {} 不在 GB/T 4754-2017 / declared code not in GB/T 4754-2017", "gbt_code"))
        .when(bad_lock)
        .then(pl.format("锁定代码 {} 不在目录 / locked code not in the catalogue", "locked_class")),
    ).drop("gbt_code", "known", "locked_class")


def nominated(frame: pl.DataFrame, nominate_from: float = 0.30) -> pl.Series:
    """Units that enter the survey frame: coded core, or not coded with P(core) of at least ``nominate_from``."""
    doubtful = pl.col("route").is_in(NOT_CODED) & (pl.col("p_ai") >= nominate_from)
    return frame.select(((pl.col("segment") == "core").fill_null(False) | doubtful).alias("nominated")).to_series()
