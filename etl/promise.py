"""The error promise of a night (差错承诺): from the gold of the journal to which codes stand without a person.

The classifier's decisions are left as they are, so that they replay; the promise says which of them *stand*. What does not
is a doubt like those in review: it is queued for people by its effect, and the report counts it as left to them. Without
gold nothing is promised, and the report says so.

Gold of units whose decision is no longer what it was when they were drawn (text, declared code or lock changed) says
nothing of today's; it falls out, and so does expired gold. Neither depends on the answer, so what is left of a stratum is a
simple random sample of what is left of it. Units that came since are taken to be coded as well as the others of their
stratum; the drift gate watches that they are of the same kind.

Looking again while gold is being finished costs nothing: units without a label count as wrong, so whatever threshold is
accepted then is accepted at the end. What does cost is that the register moves on under the same sample; the level is shared
by the ``looks`` of ``review.yaml``.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any, Final

import polars as pl

from taxonomy.classifier.bundle import Bundle
from taxonomy.classifier.gold import DOUBT, LOCK, GoldPlan, class_group, stratify
from taxonomy.classifier.gold_use import calibrating, calibration_share
from taxonomy.classifier.promise import GroupPromise, Look, Promise, choose_thresholds, with_routes
from warehouse.catalogue import load_yaml
from warehouse.review_results import promise_input

REASONS: Final = {
    "no_gold": ("没有金标准，不作承诺", "no gold, no promise"),
    "other_bundle": (
        "金标准样本属于另一个编码包，不作承诺；须重新抽取（文字未变的单位保留其标签）",
        "the gold sample was drawn for another bundle: no promise; draw a new one (units whose text did not change keep labels)",
    ),
    "all_stale": ("金标准已过期或其单位均已变更，不作承诺", "gold has expired or all its units have changed: no promise"),
    "made": ("按金标准逐类承诺", "promised by class group, from gold"),
}  # fmt: skip
CALIBRATING: Final = ":calibrating"
NEEDED: Final = ("unit_id", "ai_class", "p_ai", "probability", "route", "bundle")
"""Columns of a decision that a promise is made of: a whole register of millions is held at once."""


@dataclass(frozen=True)
class PromiseRules:
    """What is promised, and to whom the level is shared (``promise`` of ``warehouse/metadata/review.yaml``)."""

    error: float
    confidence: float
    looks: int
    max_age_days: int

    @classmethod
    def load(cls) -> "PromiseRules":
        """The rules in force."""
        settings = load_yaml("review")
        rules = settings["promise"]
        return cls(
            float(rules["error"]),
            float(rules["confidence"]),
            int(rules["looks"]),
            int(settings["gold"]["max_age_days"]),
        )


@dataclass(frozen=True)
class NightPromise:
    """What a night promises: ``promise`` is None when nothing is, for ``reason`` (a key of :data:`REASONS`).

    ``sample`` and ``gold``: the sample and how many of its units it rests on; ``left_out``: those that no longer say anything;
    ``calibrating``: those that calibrated the bundle, counted and not inferred; ``units``: coded units of each group;
    ``standing``: share of the frame whose code stands without a further look (within the promise, or given by a person).
    """

    reason: str
    promise: Promise | None = None
    sample: str = ""
    gold: int = 0
    left_out: int = 0
    calibrating: int = 0
    units: Mapping[str, int] | None = None
    standing: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; holds no unit."""
        zh, en = REASONS[self.reason]
        body = asdict(self) | {"promise": None if self.promise is None else self.promise.to_dict()}
        return body | {"reason_zh": zh, "reason_en": en}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "NightPromise":
        """The promise of :meth:`as_dict` (KeyError or TypeError when it is none)."""
        known = {name: data[name] for name in cls.__dataclass_fields__}
        return cls(**{**known, "promise": None if data["promise"] is None else _promise(data["promise"])})


def _promise(data: Mapping[str, Any]) -> Promise:
    """The promise of :meth:`taxonomy.classifier.promise.Promise.to_dict`."""
    groups = (GroupPromise(**{**g, "looks": tuple(Look(**look) for look in g["looks"])}) for g in data["groups"])
    return Promise(**{**data, "grid": tuple(data["grid"]), "groups": tuple(groups)})


NO_GOLD: Final = NightPromise("no_gold")


def _still_so(gold: pl.DataFrame, decisions: pl.DataFrame, today: date, max_age_days: int) -> pl.DataFrame:
    """Gold whose decision is that of the draw and whose label, if it has one, has not expired."""
    now = decisions.select("unit_id", "probability", pl.col("ai_class").alias("class_now"), class_group().alias("now"))
    joined = gold.join(now, on="unit_id", how="inner", validate="1:1")
    oldest = (today - timedelta(days=max_age_days)).isoformat()
    same = (
        (pl.col("group") == pl.col("now"))
        & pl.col("ai_class").eq_missing(pl.col("class_now"))
        & pl.col("confidence").eq_missing(pl.col("probability"))
    )
    in_time = pl.col("decided_at").is_null() | (pl.col("decided_at").str.slice(0, 10) >= oldest)
    return joined.filter(same & in_time).select(gold.columns)


def _apart(frame: pl.DataFrame, units: list[str]) -> pl.DataFrame:
    """The frame with the given units in strata of their own."""
    own = pl.col("unit_id").is_in(units)
    return frame.with_columns(stratum=pl.when(own).then(pl.col("stratum") + CALIBRATING).otherwise("stratum"))


def night_promise(
    decisions: pl.DataFrame, gold: pl.DataFrame, bundle: Bundle, today: date, rules: PromiseRules
) -> NightPromise:
    """What can be promised of a night's decisions.

    Parameters
    ----------
    decisions
        One decision a unit of the whole frame: :data:`NEEDED`.
    gold
        :func:`warehouse.review_results.gold_units` of the newest sample; empty when none was drawn.
    bundle
        What coded them; gold that calibrated it is set apart.

    Raises
    ------
    taxonomy.classifier.promise.PromiseError
        If the rules cannot be promised by (an error of 0, no looks).
    """
    if gold.height == 0:
        return NO_GOLD
    sample = str(gold["sample"][0])
    if set(gold["bundle"]) != {bundle.hash} or set(decisions["bundle"]) != {bundle.hash}:
        return NightPromise("other_bundle", sample=sample, left_out=gold.height)
    kept = _still_so(gold, decisions, today, rules.max_age_days)
    frame, _ = stratify(decisions, GoldPlan(seed=0))
    shown = frame.filter(pl.col("group") != DOUBT).select(
        "unit_id", "group", "stratum", pl.col("probability").alias("confidence")
    )
    kept = kept.filter(pl.col("group") != DOUBT)
    if kept.height == 0:
        return NightPromise("all_stale", sample=sample, left_out=gold.height)
    used = kept.filter(calibrating(kept["unit_id"], calibration_share(bundle)))["unit_id"].to_list()
    promise = choose_thresholds(
        promise_input(_apart(kept, used)), _apart(shown, used),
        error=rules.error, confidence=rules.confidence, looks=rules.looks,
    )  # fmt: skip
    stands = standing(decisions, promise)["promised"] | (decisions["route"] == LOCK)
    doubts = gold.filter(pl.col("group") == DOUBT).height
    return NightPromise(
        "made", promise, sample, kept.height, gold.height - kept.height - doubts, len(used),
        dict(shown.group_by("group").len().sort("group").iter_rows()), float(stands.sum()) / decisions.height,
    )  # fmt: skip


def standing(decisions: pl.DataFrame, promise: Promise) -> pl.DataFrame:
    """Decisions with ``promised``: whether the machine's code stands without a person."""
    return with_routes(decisions, promise, class_group())
