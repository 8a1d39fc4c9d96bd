"""The quality report (质量报告) of a run and a bundle, under the five headings of QF4SA; one object, one JSON form.

What each figure means stands in ``docs/classifier-quality.md``. A figure that is not known is null with a reason; the set of
keys is the same with and without gold (:data:`SCHEMA_VERSION` changes when it does not).
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

import numpy as np
import polars as pl

from taxonomy.classifier import accuracy as acc
from taxonomy.classifier.coverage import (
    automation_at,
    automation_curve,
    by_route,
    evidence_quality,
    plain_counts,
)
from taxonomy.classifier.intervals import REASONS, known, unknown
from taxonomy.classifier.judged import LEVELS, NOT_CODED, Judged, check_decisions, judge
from taxonomy.classifier.reliability import (
    Reliability,
    promise_basis,
    promised_and_observed,
    reliability,
    review_sets,
    unobserved,
)

SCHEMA_VERSION: Final = "2"
HEADINGS: Final = ("explainability", "accuracy", "reproducibility", "timeliness", "cost_effectiveness")
SLICE_ROWS: Final = 100_000
DIGEST_COLUMNS: Final = ("unit_id", "ai_class", "segment", "p_ai", "probability", "route", "candidates", "bundle")


@dataclass(frozen=True)
class RunFacts:
    """What the report takes from elsewhere; all of it may be left out, and then stands as null with its reason.

    ``promise``: class group → promised error, said beforehand; ``night``: what a night promises from gold
    (:meth:`etl.promise.NightPromise.as_dict`); ``adjusted``: counts of ``etl.methods.misclassification`` as rows;
    ``suspects``: how long the list of doubtful declared codes is (no unit in it); ``drift``, ``changes``, ``replay``: their ``as_dict``; ``seconds``: time of coding ``coded_anew`` units; ``max_age_days``:
    how long gold counts.
    """

    as_of: str = ""
    is_synthetic: bool = False
    promise: Mapping[str, float] | None = None
    night: Mapping[str, Any] | None = None
    adjusted: Sequence[Mapping[str, Any]] | None = None
    suspects: Mapping[str, Any] | None = None
    drift: Mapping[str, Any] | None = None
    changes: Mapping[str, Any] | None = None
    replay: Mapping[str, Any] | None = None
    seconds: float | None = None
    coded_anew: int | None = None
    max_age_days: int = 365


@dataclass(frozen=True)
class QualityReport:
    """Head and five sections; ``sections`` is keyed by :data:`HEADINGS`."""

    bundle: tuple[str, ...]
    as_of: str
    is_synthetic: bool
    units: int
    gold: Mapping[str, Any]
    sections: Mapping[str, Mapping[str, Any]] = field(repr=False)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; holds no unit."""
        return {
            "schema_version": SCHEMA_VERSION, "bundle": list(self.bundle), "as_of": self.as_of,
            "is_synthetic": self.is_synthetic, "units": self.units, "gold": dict(self.gold),
            **{name: dict(self.sections[name]) for name in HEADINGS},
        }  # fmt: skip


def decisions_digest(decisions: pl.DataFrame) -> str:
    """SHA-256 of decisions (without evidence) in the order of unit ids: equal decisions give equal digests."""
    digest = hashlib.sha256()
    for part in decisions.select(DIGEST_COLUMNS).sort("unit_id").iter_slices(SLICE_ROWS):
        digest.update(part.write_csv(null_value="\\N", include_header=False).encode())
    return digest.hexdigest()


def _gold_head(judged: Judged | None) -> dict[str, Any]:
    zh, en = REASONS["no_gold"]
    if judged is None:
        return {"units": 0, "judged": 0, "undecidable": 0, "waiting": 0, "unmatched": 0, "effective_n": None,
                "reason_zh": zh, "reason_en": en}  # fmt: skip
    everyone = np.ones(len(judged), dtype=bool)
    return {
        "units": len(judged) + judged.waiting + judged.unmatched, "judged": int(judged.decided.sum()),
        "undecidable": int((~judged.decided).sum()), "waiting": judged.waiting, "unmatched": judged.unmatched,
        "effective_n": known(judged.design.kish(everyone)), "reason_zh": None, "reason_en": None,
    }  # fmt: skip


def _no_gold_accuracy(plain: Mapping[str, Any], facts: RunFacts) -> dict[str, Any]:
    gap = unknown("no_gold").as_dict()
    levels = [{"level": level, "top": top, "scope": scope, "accuracy": gap}
              for level in LEVELS for top in acc.TOP for scope in ("all", "coded")]  # fmt: skip
    levels += [{"level": acc.AI, "top": 1, "scope": scope, "accuracy": gap} for scope in ("all", "coded")]
    empty = {"precision": gap, "recall": gap}
    rare: list[dict[str, Any]] = [
        {"level": level, "limit": acc.RARE, "classes": [], "support": 0, **empty} for level in LEVELS
    ]
    kappa = [
        {"who": who, "level": level, "kappa": gap, "alpha": gap}
        for who in ("model_human", "human_human")
        for level in LEVELS
    ]
    return {
        "by_level": levels, "by_class": [], "rare_classes": rare, "agreement": kappa, "match_kinds": dict.fromkeys(acc.MATCHES, 0),
        "calibration": [Reliability("all", 0, unknown("no_gold"), unknown("no_gold"), ()).as_dict()],
        "promise": unobserved(facts.promise, facts.night, gap), "promise_basis": promise_basis(facts.night),
        "confusions": [],
        "review_sets": {"size": gap, "coverage": gap, "coverage_where_ai": gap, "sizes": {}},
        "plain_counts": plain, "adjusted_counts": [dict(row) for row in facts.adjusted or ()],
        "declared_codes": _declared_codes(facts),
    }  # fmt: skip


def _declared_codes(facts: RunFacts) -> dict[str, Any]:
    """Length of the list of doubtful declared codes; null where none was made."""
    found = facts.suspects if facts.suspects is not None and facts.suspects["made"] else None
    counts = {k: None if found is None else found[k] for k in ("checked", "listed", "learned_from")}
    return {**counts, "made": found is not None}


def _accuracy(decisions: pl.DataFrame, judged: Judged | None, facts: RunFacts) -> dict[str, Any]:
    plain = plain_counts(decisions)
    if judged is None:
        return _no_gold_accuracy(plain, facts)
    classes = [
        q.as_dict()
        for level in LEVELS
        for answer in ("shown", "top1")
        for q in acc.class_quality(judged, level, answer)
    ]
    return {
        "by_level": [a.as_dict() for a in acc.level_accuracy(judged)],
        "by_class": [{**q, "rare": q["support"] <= acc.RARE} for q in classes],
        "rare_classes": [acc.rare_classes(judged, level).as_dict() for level in LEVELS],
        "agreement": acc.agreement(judged),
        "match_kinds": acc.match_kinds(judged),
        "calibration": [r.as_dict() for r in reliability(judged)],
        "promise": promised_and_observed(judged, facts.promise, facts.night),
        "promise_basis": promise_basis(facts.night),
        "confusions": acc.confusions(judged),
        "review_sets": review_sets(judged),
        "plain_counts": plain,
        "adjusted_counts": [dict(row) for row in facts.adjusted or ()],
        "declared_codes": _declared_codes(facts),
    }


def _age(gold: pl.DataFrame | None, facts: RunFacts) -> dict[str, Any]:
    """Age of the gold labels in days, and the share past its time."""
    if gold is None or "decided_at" not in gold.columns or not facts.as_of:
        return {"oldest_days": None, "median_days": None, "expired_share": None, "max_age_days": facts.max_age_days}
    today = date.fromisoformat(facts.as_of)
    days = [(today - date.fromisoformat(str(d)[:10])).days for d in gold["decided_at"].drop_nulls().to_list()]
    if not days:
        return {"oldest_days": None, "median_days": None, "expired_share": None, "max_age_days": facts.max_age_days}
    old = sum(d > facts.max_age_days for d in days) / len(days)
    return {
        "oldest_days": max(days), "median_days": known(float(np.median(days))), "expired_share": known(old),
        "max_age_days": facts.max_age_days,
    }  # fmt: skip


def _timeliness(gold: pl.DataFrame | None, facts: RunFacts) -> dict[str, Any]:
    rate = facts.coded_anew / facts.seconds if facts.coded_anew is not None and facts.seconds else None
    return {
        "coded_anew": facts.coded_anew, "seconds": known(facts.seconds), "rows_per_second": known(rate),
        "gold_age": _age(gold, facts),
    }  # fmt: skip


def evaluate(
    decisions: pl.DataFrame,
    gold: pl.DataFrame | None = None,
    facts: RunFacts | None = None,
    *,
    evidence: pl.DataFrame | None = None,
) -> QualityReport:
    """Judge a run.

    Parameters
    ----------
    decisions
        One row a unit of the *whole* frame, columns of ``batch.OUTPUT`` (``evidence`` may be absent): shares of the frame are
        counted here, not estimated.
    gold
        ``unit_id, stratum, inclusion_probability, codes`` and, if there, ``codes_1, codes_2`` (answers of the two blind coders),
        ``decided_at``; see :func:`taxonomy.classifier.judged.read_gold`. None: every figure that needs gold is null and says so.
    facts
        What comes from elsewhere.
    evidence
        Decisions whose evidence is checked, where ``decisions`` leave it out to save memory.

    Raises
    ------
    taxonomy.classifier.judged.JudgeError
        If decisions or gold lack a column, hold a unit twice, or gold names a code the catalogue does not have.
    """
    known_facts = facts or RunFacts()
    check_decisions(decisions)
    judged = None if gold is None else judge(decisions, gold)
    curve = automation_curve(decisions, judged)
    bundles = tuple(sorted(decisions["bundle"].drop_nulls().unique().to_list()))
    left = int(decisions["route"].is_in(list(NOT_CODED)).sum())
    sections = {
        "explainability": evidence_quality(decisions if evidence is None else evidence),
        "accuracy": _accuracy(decisions, judged, known_facts),
        "reproducibility": {
            "bundles": list(bundles), "decisions_sha256": decisions_digest(decisions),
            "replay": dict(known_facts.replay) if known_facts.replay is not None else None,
            "drift": dict(known_facts.drift) if known_facts.drift is not None else None,
            "changes": dict(known_facts.changes) if known_facts.changes is not None else None,
        },
        "timeliness": _timeliness(gold, known_facts),
        "cost_effectiveness": {
            "coverage_by_route": by_route(decisions),
            "automated_share": known(1.0 - left / max(decisions.height, 1)), "left_to_people": left,
            "curve": [p.as_dict() for p in curve], "automation_at_accuracy": automation_at(curve),
        },
    }  # fmt: skip
    return QualityReport(
        bundles, known_facts.as_of, known_facts.is_synthetic, decisions.height, _gold_head(judged), sections
    )
