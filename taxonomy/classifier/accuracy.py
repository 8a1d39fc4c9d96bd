"""How right the classifier is: at each level and rank, by class, against people, and what it takes for what."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.special import ndtri

from taxonomy.classifier.agreement import krippendorff_alpha
from taxonomy.classifier.intervals import BOOL, F64, Design, Measure, f1_from_jaccard, known, unknown
from taxonomy.classifier.judged import LEVELS, NONE, Judged, is_core, one_value

TOP: Final = (1, 3, 5)
AI: Final = "ai"
RARE: Final = 50
CONFUSIONS: Final = 20
MATCHES: Final = ("OO", "OM", "MO", "MM")


@dataclass(frozen=True)
class LevelAccuracy:
    """Share of units one of whose ``top`` first answers is true at a level; ``scope`` is all units or the coded ones."""

    level: str
    top: int
    scope: str
    accuracy: Measure

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"level": self.level, "top": self.top, "scope": self.scope, "accuracy": self.accuracy.as_dict()}


def _ai_truth(judged: Judged) -> tuple[bool | None, ...]:
    """Core AI or not, of each truth; None when it holds both or nothing."""
    found: list[bool | None] = []
    for truth in judged.truth:
        kinds = {is_core(code) for code in truth}
        found.append(kinds.pop() if len(kinds) == 1 else None)
    return tuple(found)


def _ai_answer(judged: Judged) -> tuple[bool, ...]:
    """Core AI or not, as shown, or by P(core) of at least one half where nothing was shown."""
    return tuple(
        is_core(shown) if shown is not None else bool(p >= 0.5)
        for shown, p in zip(judged.shown, judged.p_ai, strict=True)
    )


def level_accuracy(judged: Judged) -> tuple[LevelAccuracy, ...]:
    """Accuracy at branch, class and leaf (top 1, 3, 5) and for AI yes or no, over all gold and over the coded units.

    A set-valued truth is met by any of its codes. A truth coarser than a level is not judged at that level.
    """
    scopes = {"all": np.ones(len(judged), dtype=bool), "coded": judged.coded}
    found = []
    for level in LEVELS:
        truth, answers = judged.truth_at(level), judged.answers_at(level)
        judgeable = np.array([bool(t) for t in truth], dtype=bool)
        for top in TOP:
            hit = np.array([bool(set(a[:top]) & t) for a, t in zip(answers, truth, strict=True)], dtype=bool)
            for scope, inside in scopes.items():
                found.append(LevelAccuracy(level, top, scope, judged.design.share(hit, judgeable & inside)))
    truths = _ai_truth(judged)
    judgeable = np.array([t is not None for t in truths], dtype=bool)
    hit = np.array([a == t for a, t in zip(_ai_answer(judged), truths, strict=True)], dtype=bool)
    for scope, inside in scopes.items():
        found.append(LevelAccuracy(AI, 1, scope, judged.design.share(hit, judgeable & inside)))
    return tuple(found)


# --- by class ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ClassQuality:
    """Precision, recall and F1 of one class at one level.

    ``support`` gold units are truly of the class, ``predicted`` ones were given it. ``answer``: ``shown`` counts what was left
    to a person as not found; ``top1`` takes the best answer for every unit.
    """

    level: str
    code: str
    answer: str
    support: int
    predicted: int
    precision: Measure
    recall: Measure
    f1: Measure

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "level": self.level, "code": self.code, "answer": self.answer, "support": self.support,
            "predicted": self.predicted, "precision": self.precision.as_dict(), "recall": self.recall.as_dict(),
            "f1": self.f1.as_dict(),
        }  # fmt: skip


def _of_class(
    design: Design, level: str, answer: str, code: str, truth: Sequence[frozenset[str]], given: Sequence[str | None]
) -> ClassQuality:
    said = np.array([g == code for g in given], dtype=bool)
    true = np.array([code in t for t in truth], dtype=bool)
    # Where truth is a set and another of its codes was given, the unit was found: it is nobody's miss.
    elsewhere = np.array([g != code and g in t for g, t in zip(given, truth, strict=True)], dtype=bool)
    expected = true & ~elsewhere
    both = said & true
    jaccard = design.share(both, said | expected)
    return ClassQuality(
        level, code, answer, int(true.sum()), int(said.sum()), design.share(both, said), design.share(both, expected),
        f1_from_jaccard(jaccard),
    )  # fmt: skip


def class_quality(judged: Judged, level: str, answer: str) -> tuple[ClassQuality, ...]:
    """Quality of every class that is true or was given to a gold unit, sorted by code."""
    truth = judged.truth_at(level)
    judgeable = np.array([bool(t) for t in truth], dtype=bool)
    given: tuple[str | None, ...]
    if answer == "shown":
        given = judged.shown_at(level)
    else:
        given = tuple(a[0] if a else None for a in judged.answers_at(level))
    given = tuple(g if ok else None for g, ok in zip(given, judgeable, strict=True))
    codes = sorted({c for t in truth for c in t} | {g for g in given if g is not None})
    return tuple(_of_class(judged.design, level, answer, code, truth, given) for code in codes)


@dataclass(frozen=True)
class RareClasses:
    """Classes of at most ``limit`` gold units, pooled: any of them taken as one question of being found and right."""

    level: str
    limit: int
    classes: tuple[str, ...]
    support: int
    precision: Measure
    recall: Measure

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "level": self.level, "limit": self.limit, "classes": list(self.classes), "support": self.support,
            "precision": self.precision.as_dict(), "recall": self.recall.as_dict(),
        }  # fmt: skip


def rare_classes(judged: Judged, level: str, limit: int = RARE) -> RareClasses:
    """Top-1 quality of the classes with at most ``limit`` gold units, pooled over them (micro average)."""
    truth = judged.truth_at(level)
    given = [a[0] if a and t else None for a, t in zip(judged.answers_at(level), truth, strict=True)]
    support = {c: sum(c in t for t in truth) for t in truth for c in t}
    rare = frozenset(c for c, n in support.items() if n <= limit)
    said = np.array([g in rare for g in given], dtype=bool)
    true = np.array([bool(t & rare) for t in truth], dtype=bool)
    hit = np.array([g is not None and g in t for g, t in zip(given, truth, strict=True)], dtype=bool)
    return RareClasses(
        level, limit, tuple(sorted(rare)), int(true.sum()), judged.design.share(hit, said),
        judged.design.share(hit, true),
    )  # fmt: skip


# --- against people ----------------------------------------------------------------------------------------------


def weighted_kappa(first: Sequence[str | None], second: Sequence[str | None], design: Design) -> Measure:
    """Cohen's kappa (nominal) with design weights, over the units where both gave one value.

    The interval is the large-sample one of Fleiss, Cohen & Everitt (1969) at Kish's effective sample size.
    """
    both = np.array([a is not None and b is not None for a, b in zip(first, second, strict=True)], dtype=bool)
    n = int(both.sum())
    if n == 0:
        return unknown("empty")
    index = {v: i for i, v in enumerate(sorted({v for v in (*first, *second) if v is not None}))}
    table = np.zeros((len(index), len(index)))
    for row in np.flatnonzero(both).tolist():
        table[index[str(first[row])], index[str(second[row])]] += design.weight[row]
    size = design.kish(both)
    value, error = _kappa(table / table.sum(), size)
    if value is None:
        return unknown("chance", n)
    z = float(ndtri(0.975))
    return Measure(value, max(value - z * error, -1.0), min(value + z * error, 1.0), n, size)


def _kappa(p: F64, size: float) -> tuple[float | None, float]:
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    observed, chance = float(np.trace(p)), float(rows @ columns)
    if chance >= 1.0 - 1e-12:
        return None, 0.0
    kappa = (observed - chance) / (1.0 - chance)
    on = float((np.diag(p) * (1.0 - (rows + columns) * (1.0 - kappa)) ** 2).sum())
    cross = (columns[:, None] + rows[None, :]) ** 2
    off = (1.0 - kappa) ** 2 * float((p * cross).sum() - (np.diag(p) * np.diag(cross)).sum())
    rest = (kappa - chance * (1.0 - kappa)) ** 2
    return kappa, float(np.sqrt(max(on + off - rest, 0.0) / size) / (1.0 - chance))


def _agreement(
    who: str, level: str, one: Sequence[str | None], two: Sequence[str | None], design: Design
) -> dict[str, Any]:
    alpha = krippendorff_alpha([one, two])
    unclear = unknown("chance", alpha.n) if alpha.n else unknown("empty")
    found = Measure(alpha.value, known(alpha.low), known(alpha.high), alpha.n, alpha.n)
    return {
        "who": who, "level": level, "kappa": weighted_kappa(one, two, design).as_dict(),
        "alpha": (unclear if known(alpha.value) is None else found).as_dict(),
    }  # fmt: skip


def agreement(judged: Judged) -> list[dict[str, Any]]:
    """Agreement of model and truth, and of the two blind coders, at each level: ``who, level, kappa, alpha``.

    Kappa is weighted by the design; Krippendorff's alpha is that of the sample as drawn. The coders are compared on all
    units both have answered, also on those whose ruling is still to come.
    """
    model, people = [], []
    for level in LEVELS:
        truth = [one_value(t, level) for t in judged.truth]
        given = [a[0] if a else None for a in judged.answers_at(level)]
        model.append(_agreement("model_human", level, given, truth, judged.design))
    for level in LEVELS:
        if judged.coders is None:
            gap = unknown("no_coders").as_dict()
            people.append({"who": "human_human", "level": level, "kappa": gap, "alpha": gap})
            continue
        one, two = ([one_value(c, level) for c in said] for said in (judged.coders.first, judged.coders.second))
        people.append(_agreement("human_human", level, one, two, judged.coders.design))
    return [*model, *people]


# --- what is taken for what ---------------------------------------------------------------------------------------


def _relation(truth: str, given: str) -> str:
    if NONE in (truth, given):
        return "missed" if given == NONE else "false_alarm"
    if truth[:2] == given[:2]:
        return "same_class"
    return "same_branch" if truth[:1] == given[:1] else "other_branch"


def confusions(judged: Judged, limit: int = CONFUSIONS) -> list[dict[str, Any]]:
    """The commonest wrong answers at leaf level: ``truth, given, relation, n, share`` (weighted, of all judged units)."""
    truth, answers = judged.truth_at("leaf"), judged.answers_at("leaf")
    pairs: dict[tuple[str, str], list[int]] = {}
    judgeable = 0.0
    for row, (t, a) in enumerate(zip(truth, answers, strict=True)):
        if not t or not a:
            continue
        judgeable += float(judged.design.weight[row])
        if len(t) == 1 and a[0] not in t:
            pairs.setdefault((next(iter(t)), a[0]), []).append(row)
    rows = [
        {
            "truth": true, "given": given, "relation": _relation(true, given), "n": len(units),
            "share": round(float(judged.design.weight[units].sum()) / judgeable, 6),
        }
        for (true, given), units in pairs.items()
    ]  # fmt: skip
    return sorted(rows, key=lambda r: (-r["share"], r["truth"], r["given"]))[:limit]  # type: ignore[operator]


def match_kinds(judged: Judged) -> dict[str, int]:
    """Gold units by kind of comparison: one or many true codes (O, M) against one answer or a review list (O, M)."""
    found = dict.fromkeys(MATCHES, 0)
    for truth, shown in zip(judged.truth, judged.shown, strict=True):
        if truth:
            found[("O" if len(truth) == 1 else "M") + ("O" if shown is not None else "M")] += 1
    return found


def in_review(judged: Judged) -> BOOL:
    """Judged units left to a person with a list of candidates."""
    return np.array([r == "review" for r in judged.route], dtype=bool) & judged.decided
