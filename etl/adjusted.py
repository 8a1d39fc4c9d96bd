"""Counts of the classifier beside counts corrected for its errors (直接计数与校正计数), from the gold sample in force."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import polars as pl

from etl.methods.misclassification import Adjusted, Gold, adjusted_counts, tally
from taxonomy.classifier.gold import GoldPlan, stratify
from taxonomy.classifier.judged import is_core
from taxonomy.scheme import load_scheme

NONE: Final = "none"
SEED: Final = 20221101
REASONS: Final = {
    "no_gold": ("没有金标准样本", "there is no gold sample"),
    "other_bundle": ("金标准样本属于另一个编码包，须重新抽取", "the gold sample was drawn for another bundle; draw a new one"),
    "unfinished": ("金标准样本尚未全部裁定", "the gold sample is not finished"),
    "new_strata": ("有的层没有金标准单位，须补抽", "a stratum holds no gold unit; draw more"),
}  # fmt: skip


def branches() -> list[str]:
    """Core branches of the catalogue in official order."""
    return [c.code for c in load_scheme("ai_industry_2026").at_level(1) if c.segment == "core"]


def _truth(codes: list[str] | None) -> str | None:
    """Branch of a final label, *none* (related codes are no core industry), or null where it is not final or 无法判定."""
    if not codes:
        return None
    return codes[0][0] if is_core(codes[0]) else NONE


def adjusted_rows(decisions: pl.DataFrame, gold: pl.DataFrame | None) -> tuple[list[dict[str, Any]], str]:
    """One row a branch and one for all core: ``code, plain, adjusted, lower, upper, reliable, estimator``; and why not.

    Parameters
    ----------
    decisions
        The whole frame, one decision a unit (locked units are certain and added to both counts).
    gold
        ``unit_id, stratum, inclusion_probability, bundle, codes`` as :func:`warehouse.review_results.gold_units` gives it.

    Returns
    -------
    tuple
        The rows, and a key of :data:`REASONS` where there are none (empty text otherwise).
    """
    if (why := _unfit(decisions, gold)) or gold is None:
        return [], why
    _, strata = stratify(decisions, GoldPlan(seed=SEED))
    if set(strata["stratum"]) - set(gold["stratum"]):
        return [], "new_strata"
    classes = [*branches(), NONE]
    drawn = _gold_counts(gold, strata, classes)
    found = adjusted_counts(drawn, strata["population"].to_numpy(), seed=SEED)
    locked = decisions.filter(pl.col("route") == "lock")["ai_class"].fill_null(NONE)
    picked: list[tuple[str, list[int] | None]] = [("core", None), *((c, [k]) for k, c in enumerate(classes[:-1]))]
    return [_row(found, code, which, locked) for code, which in picked], ""


def _unfit(decisions: pl.DataFrame, gold: pl.DataFrame | None) -> str:
    """Why gold cannot correct these decisions, a key of :data:`REASONS`; empty if it can."""
    if gold is None or gold.height == 0:
        return "no_gold"
    if set(gold["bundle"].unique()) != set(decisions["bundle"].unique()):
        return "other_bundle"
    return "unfinished" if None in [_truth(c) for c in gold["codes"].to_list()] else ""


def _gold_counts(gold: pl.DataFrame, strata: pl.DataFrame, classes: Sequence[str]) -> Gold:
    """Gold of today's strata as counts by true class, with the sizes of the strata when it was drawn."""
    names = strata["stratum"].to_list()
    truth = pl.Series("truth", [_truth(c) for c in gold["codes"].to_list()], dtype=pl.String)
    judged = gold.with_columns(truth).filter(pl.col("stratum").is_in(names))
    counts = tally(
        judged["stratum"].replace_strict({n: h for h, n in enumerate(names)}, return_dtype=pl.Int64).to_numpy(),
        judged["truth"].replace_strict({c: k for k, c in enumerate(classes)}, return_dtype=pl.Int64).to_numpy(),
        len(names), len(classes),
    )  # fmt: skip
    population = judged.group_by("stratum").agg(size=(1.0 / pl.col("inclusion_probability")).sum())
    drawn_from = dict(population.iter_rows())
    frame = np.array([round(drawn_from[name]) for name in names], dtype=np.int64)
    predicted = np.array([classes.index(g if g in classes else NONE) for g in strata["group"]], dtype=np.int64)
    return Gold(counts, np.maximum(frame, counts.sum(axis=1)), predicted)


def _row(found: Adjusted, code: str, picked: list[int] | None, locked: pl.Series) -> dict[str, Any]:
    """One row of :func:`adjusted_rows`; locked units are certain and stand in both counts."""
    sure = sum(1 for c in locked if c != NONE and (code == "core" or c.startswith(code)))
    e = found.estimate(picked)
    return {
        "code": code, "plain": e.plain + sure, "adjusted": e.adjusted + sure, "lower": e.lower + sure,
        "upper": e.upper + sure, "reliable": e.reliable, "estimator": found.estimator, "reason": found.reason,
    }  # fmt: skip
