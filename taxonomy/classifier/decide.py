"""From scores to decisions: a leaf, its class or branch, none, or a question for a person."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from taxonomy.classifier.bundle import Bundle
from taxonomy.classifier.calibrate import probabilities
from taxonomy.classifier.evidence import KIND_ORDER, MICRO
from taxonomy.classifier.kernel_parts import largest, sums_of
from taxonomy.classifier.scoring import Scored

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
ROUTE_OF: Final = {"code": "code", "dictionary": "phrase", "lexicon": "rule", "model": "model", "unit": "model"}
CODED: Final = ("lock", "code", "phrase", "rule", "model", "parent")
NOT_CODED: Final = ("review", "uncodable")
ROUTES: Final = (*CODED, *NOT_CODED)
DECIMALS: Final = 6


def _by_prefix(p: F64, leaves: tuple[str, ...], length: int) -> tuple[list[str], F64]:
    prefixes = sorted({leaf[:length] for leaf in leaves})
    return prefixes, sums_of(p, np.array([prefixes.index(leaf[:length]) for leaf in leaves]), len(prefixes))


def _json(lists: pl.Series) -> pl.Series:
    """Lists as JSON texts."""
    text = pl.struct("c").struct.json_encode().str.strip_prefix('{"c":').str.strip_suffix("}")
    return lists.alias("c").to_frame().select(text.alias("json")).to_series()


def _candidates(p: F64, leaves: tuple[str, ...], count: int) -> pl.Series:
    count = min(count, p.shape[1])
    order = largest(p, count)
    shown = np.take_along_axis(p, order, axis=1).ravel().round(DECIMALS)
    code = pl.Series(leaves, dtype=pl.String).gather(pl.Series(order.ravel()))
    return _json(pl.DataFrame({"code": code, "p": shown}).to_struct().reshape((len(p), count)).arr.to_list())


def _secondary(scored: Scored, threshold: float) -> pl.Series:
    """Leaves other than the best that the text speaks for by itself: the logistic function of their own score."""
    # The logistic function is worked out only where it may reach the threshold.
    low = np.log(threshold / (1.0 - threshold)) - 1e-6 if 0.0 < threshold < 1.0 else -np.inf
    row, leaf = np.nonzero(scored.score >= low)
    p = 1.0 / (1.0 + np.exp(-scored.score[row, leaf]))
    chosen = (p >= threshold) & (leaf != scored.best[row])
    row, leaf, p = row[chosen], leaf[chosen], p[chosen]
    order = np.lexsort((leaf, -p, row))
    row, leaf, p = row[order], leaf[order], p[order].round(DECIMALS)
    code = pl.Series(scored.leaves, dtype=pl.String).gather(pl.Series(leaf))
    grouped = pl.DataFrame({"row": row, "code": code, "p": p}).group_by("row", maintain_order=True)
    found = grouped.agg(pl.struct("code", "p").alias("c"))
    every = pl.Series(np.full(len(scored.score), "[]", dtype=object), dtype=pl.String)
    return every.scatter(found["row"], _json(found["c"]))


def _route(kind_sums: Mapping[str, I64]) -> I64:
    """Positions in :data:`ROUTES`."""
    stacked = np.stack([kind_sums[k] for k in KIND_ORDER], axis=1)
    at = np.array([ROUTES.index(ROUTE_OF[kind]) for kind in KIND_ORDER])
    return np.asarray(at[stacked.argmax(axis=1)])


def decide(scored: Scored, bundle: Bundle) -> pl.DataFrame:
    """Decisions in row order: the columns of :data:`taxonomy.classifier.batch.OUTPUT` without evidence and bundle.

    A locked class stands. A leaf whose probability reaches ``coded_at``, with the text of an algorithm filing and without
    it, is coded; else its class or branch (route ``parent``) if that does; a unit whose P(core) is below ``none_below``,
    and which the unit model, if there is one, finds neither as likely AI as the bundle's ``review_from`` nor likelier
    related, is coded *none*; text without familiar words and without any other evidence is ``uncodable``, unless a filing
    speaks for it; everything else is for review. No text is coded related: only a lock is.
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
    sums = scored.parts.sums(without="filing" if has_filing.any() else None)
    textual = np.stack([sums[k] for k in KIND_ORDER if k != "unit"]).max(axis=0)
    strange = (scored.phrases == 0) | (scored.familiar < rule.min_seen_share)
    evidence, known, no_text = textual > 0, scored.code_at > 0, scored.phrases == 0
    likely = (sums["unit"] >= bundle.review_from * MICRO) & (bundle.unit is not None)
    uncodable = (no_text & (~known | evidence & (safe_best < rule.coded_at))) | (strange & ~evidence & ~known)
    names = ["", "none", *scored.leaves, *classes, *branches]
    at_class, at_branch = 2 + len(scored.leaves), 2 + len(scored.leaves) + len(classes)
    route_at = ROUTES.index
    tests: list[tuple[Any, Any, Any, Any]] = [
        (uncodable & ~has_filing, 0, route_at("uncodable"), np.nan),
        (uncodable, 0, route_at("review"), p_best),
        (safe_best >= rule.coded_at, 2 + scored.best, _route(sums), p_best),
        (p_class.max(axis=1) >= rule.coded_at, at_class + p_class.argmax(axis=1), route_at("parent"), p_class.max(axis=1)),
        (p_branch.max(axis=1) >= rule.coded_at, at_branch + p_branch.argmax(axis=1), route_at("parent"), p_branch.max(axis=1)),
        ((p_core < rule.none_below) & ~likely & ~scored.related, 1, np.where(known & ~evidence, route_at("code"), route_at("model")), 1.0 - p_core),
    ]  # fmt: skip
    conditions = [test[0] for test in tests]
    name = np.select(conditions, [t[1] for t in tests], 0)
    route = np.select(conditions, [t[2] for t in tests], route_at("review"))
    probability = np.select(conditions, [t[3] for t in tests], p_best)
    frame = scored.frame.select("unit_id", "name", "gbt_code", "locked_class").with_columns(
        ai_class=pl.Series(names, dtype=pl.String).gather(pl.Series(name)),
        p_ai=pl.Series(p_core.round(DECIMALS)),
        probability=pl.Series(probability.round(DECIMALS)).fill_nan(None),
        route=pl.Series(ROUTES, dtype=pl.String).gather(pl.Series(route)),
        candidates=_candidates(p, scored.leaves, rule.candidates),
        secondary=_secondary(scored, rule.secondary_from),
        known=pl.Series(known),
    )
    return _finish(_with_locks(frame, scored.leaves, bundle.related), bundle.related)


def _with_locks(frame: pl.DataFrame, leaves: Sequence[str], related: Sequence[str]) -> pl.DataFrame:
    """A locked class of the catalogue stands, with certainty; one the catalogue does not hold is left to the warning.

    A unit locked to a related code is not core: its P(core) is zero."""
    core = {leaf[:n] for leaf in leaves for n in (1, 2, 3)}
    locked = pl.col("locked_class").is_in(sorted({*core, *related, "none"})).fill_null(False)
    is_core = pl.col("locked_class").is_in(sorted(core))
    return frame.with_columns(
        ai_class=pl.when(locked).then("locked_class").otherwise("ai_class"),
        route=pl.when(locked).then(pl.lit("lock")).otherwise("route"),
        probability=pl.when(locked).then(1.0).otherwise("probability"),
        p_ai=pl.when(locked).then(pl.when(is_core).then(1.0).otherwise(0.0)).otherwise("p_ai"),
    )


def _finish(frame: pl.DataFrame, related: Sequence[str]) -> pl.DataFrame:
    coded = pl.col("ai_class").is_in(["none", ""]).not_()
    unknown = pl.col("gbt_code").is_not_null() & (pl.col("gbt_code") != "") & ~pl.col("known")
    bad_lock = pl.col("locked_class").is_not_null() & (pl.col("route") != "lock")
    return frame.with_columns(
        segment=pl.when(pl.col("ai_class").is_in(list(related)))
        .then(pl.lit("related"))
        .when(coded)
        .then(pl.lit("core"))
        .when(pl.col("ai_class") == "none")
        .then(pl.lit("none")),
        ai_class=pl.when(coded).then("ai_class"),
        warning=pl.when(unknown)
        .then(pl.format("行业代码 {} 不在 GB/T 4754-2017 / declared code not in GB/T 4754-2017", "gbt_code"))
        .when(bad_lock)
        .then(pl.format("锁定代码 {} 不在目录 / locked code not in the catalogue", "locked_class")),
    ).drop("gbt_code", "known", "locked_class")


def nominated(frame: pl.DataFrame, none_below: float) -> pl.Series:
    """Units that enter the survey frame: those that are not ruled out.

    There is one rule for whom to ask, the one by which :func:`decide` codes *none*: P(core) below ``none_below`` and not
    likely by the unit model. Whoever it does not rule out is coded core or in review, and nominated; a unit whose text
    cannot be coded counts by P(core) alone.
    """
    unread = (pl.col("route") == "uncodable") & (pl.col("p_ai") >= none_below)
    asked = (pl.col("segment") == "core").fill_null(False) | (pl.col("route") == "review") | unread.fill_null(False)
    return frame.select(asked.alias("nominated")).to_series()
