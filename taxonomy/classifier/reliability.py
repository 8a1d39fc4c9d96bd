"""Whether probabilities mean what they say: reliability bins, expected calibration error, Brier score; the error promise kept or not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from taxonomy.classifier.accuracy import in_review
from taxonomy.classifier.intervals import BOOL, REASONS, Measure, known, unknown
from taxonomy.classifier.judged import CODED, NONE, NOT_CODED, Judged

EDGES: Final = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
ROUTES: Final = (*CODED, *NOT_CODED)


@dataclass(frozen=True)
class Bin:
    """Units whose probability lies in ``[low, high)`` (the last bin holds 1): mean probability and share that was right."""

    low: float
    high: float
    mean: float
    observed: Measure

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"low": self.low, "high": self.high, "mean": known(self.mean), "observed": self.observed.as_dict()}


@dataclass(frozen=True)
class Reliability:
    """Calibration of one route (or ``all``): ``ece`` and ``brier`` are lower when better; bins without units are left out."""

    route: str
    n: int
    ece: Measure
    brier: Measure
    bins: tuple[Bin, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "route": self.route, "n": self.n, "ece": self.ece.as_dict(), "brier": self.brier.as_dict(),
            "bins": [b.as_dict() for b in self.bins],
        }  # fmt: skip


def _bins(judged: Judged, domain: BOOL, edges: Sequence[float]) -> tuple[Bin, ...]:
    place = np.clip(np.searchsorted(edges, judged.confidence, side="right") - 1, 0, len(edges) - 2)
    found = []
    for number, (low, high) in enumerate(pairwise(edges)):
        inside = domain & (place == number)
        if inside.any():
            mean = float(np.average(judged.confidence[inside], weights=judged.design.weight[inside]))
            found.append(Bin(low, high, mean, judged.design.share(judged.right, inside)))
    return tuple(found)


def _of_route(judged: Judged, route: str, domain: BOOL, edges: Sequence[float]) -> Reliability:
    n = int(domain.sum())
    if n == 0:
        return Reliability(route, 0, unknown("empty"), unknown("empty"), ())
    bins = _bins(judged, domain, edges)
    total = float(judged.design.weight[domain].sum())
    gap = 0.0
    place = np.clip(np.searchsorted(edges, judged.confidence, side="right") - 1, 0, len(edges) - 2)
    for b in bins:
        inside = domain & (place == list(edges).index(b.low))
        gap += float(judged.design.weight[inside].sum()) / total * abs(float(b.observed.value or 0.0) - b.mean)
    brier = judged.design.mean((judged.confidence - judged.right) ** 2, domain)
    # The sampling error of ECE has no simple form (it is biased upwards in small samples): no interval is claimed.
    return Reliability(route, n, Measure(gap, n=n, effective_n=judged.design.kish(domain)), brier, bins)


def reliability(judged: Judged, edges: Sequence[float] = EDGES) -> tuple[Reliability, ...]:
    """Calibration over all judged units, then by route.

    The probability is P(the class shown); where nothing was shown, that of the best answer. One meaning of confidence
    everywhere.
    """
    route = np.array(judged.route)
    found = [_of_route(judged, "all", judged.decided, edges)]
    found += [_of_route(judged, r, judged.decided & (route == r), edges) for r in ROUTES]
    return tuple(found)


# --- the promise --------------------------------------------------------------------------------------------------


#: What the report says of a night's promise, and of each class group in it.
PROMISE_FACTS: Final = (
    "error",
    "confidence",
    "level_per_group",
    "sample",
    "gold",
    "left_out",
    "calibrating",
    "standing",
)
GROUP_FACTS: Final = ("route", "threshold", "errors", "unfinished", "share_auto", "reason_zh", "reason_en")


def class_group(shown: str) -> str:
    """Group of a class shown: its branch, or *none*."""
    return NONE if shown == NONE else shown[:1]


def promise_basis(night: Mapping[str, Any] | None) -> dict[str, Any]:
    """What is promised of the run, as the report carries it: ``made``, its figures, and the reason, no group in it."""
    if night is None:
        zh, en = REASONS["no_promise"]
        return {**dict.fromkeys(PROMISE_FACTS), "made": False, "reason_zh": zh, "reason_en": en}
    made: Mapping[str, Any] = night["promise"] or {}
    figures = {**night, **{k: made.get(k) for k in ("error", "confidence", "level_per_group")}}
    return {
        **{k: figures[k] for k in PROMISE_FACTS}, "standing": known(night["standing"]), "made": bool(made),
        "reason_zh": night["reason_zh"], "reason_en": night["reason_en"],
    }  # fmt: skip


def _of_group(night: Mapping[str, Any] | None, group: str) -> dict[str, Any]:
    """Route, threshold and reason the promise gives a class group; all null where nothing was promised of it."""
    made = (night or {}).get("promise") or {"groups": []}
    found = next((g for g in made["groups"] if g["group"] == group), None)
    if found is None:
        return {**dict.fromkeys((*GROUP_FACTS, "bound")), "units": None}
    # A bound of 1 says that nothing can be said; it is left in, since it is what the gold supports.
    return {**{k: found[k] for k in GROUP_FACTS}, "bound": known(found["bound"]), "units": night["units"][group]}  # type: ignore[index]


def promised_errors(promise: Mapping[str, float] | None, night: Mapping[str, Any] | None) -> dict[str, float]:
    """Class group → promised error: as given, else that of the night for the groups (and *all* of them) it lets pass."""
    made = (night or {}).get("promise")
    if promise or made is None:
        return dict(promise or {})
    passed = {g["group"]: made["error"] for g in made["groups"] if g["route"] == "auto"}
    return {**passed, **({"all": made["error"]} if passed else {})}


def promise_groups(promise: Mapping[str, float] | None, night: Mapping[str, Any] | None) -> list[str]:
    """*All*, and every class group something was promised of or refused to."""
    refused = {g["group"] for g in ((night or {}).get("promise") or {"groups": []})["groups"]}
    return ["all", *sorted((set(promised_errors(promise, night)) | refused) - {"all"})]


def unobserved(
    promise: Mapping[str, float] | None, night: Mapping[str, Any] | None, gap: dict[str, Any]
) -> list[dict[str, Any]]:
    """The rows of :func:`promised_and_observed` while no gold unit has a final label; ``gap`` stands for what is not known."""
    given = promised_errors(promise, night)
    return [
        {
            "group": name, "promised": known(given.get(name)), "observed": gap,
            "state": "open" if name in given else "none", **_of_group(night, name),
        }
        for name in promise_groups(promise, night)
    ]  # fmt: skip


def promised_and_observed(
    judged: Judged, promise: Mapping[str, float] | None, night: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Observed error of what the machine coded, by class group and in all, beside the error promised.

    Parameters
    ----------
    promise
        Class group (branch letter, ``none``, or ``all``) → promised error; None when nothing was promised.
    night
        The promise of a night (:meth:`etl.promise.NightPromise.as_dict`): then the error is observed on the units it lets
        stand; where a group is left to people, on all that was coded in it.

    Returns
    -------
    list of dict
        ``group, promised, observed, state``: ``kept`` when the upper limit lies within the promise, ``broken`` when the lower
        limit lies above it, ``open`` when gold does not tell, ``none`` without promise; with a night's promise also the group's
        ``route, threshold, bound, share_auto, units, errors`` and reason. 无法判定 counts as an error: nobody
        could have coded the unit. Codes of a lock are a person's and are left out.
    """
    by_machine = judged.coded & np.array([r != "lock" for r in judged.route], dtype=bool)
    wrong = ~judged.right
    groups = np.array([class_group(s) if s is not None else "" for s in judged.shown])
    given = promised_errors(promise, night)
    stands = by_machine.copy()
    for group in sorted({g for g in groups if g}):
        threshold = _of_group(night, group)["threshold"]
        stands &= (groups != group) | (judged.confidence >= (2.0 if threshold is None else threshold))
    rows = []
    for name in sorted({*promise_groups(promise, night), *(g for g in groups if g)}, key=lambda g: (g != "all", g)):
        facts = _of_group(night, name)
        inside = by_machine & (np.ones(len(judged), dtype=bool) if name == "all" else groups == name)
        if facts["route"] == "auto" or (name == "all" and night is not None and given):
            inside &= stands
        observed = judged.design.share(wrong, inside)
        rows.append({
            "group": name, "promised": known(given.get(name)), "observed": observed.as_dict(),
            "state": _state(given.get(name), observed), **facts,
        })  # fmt: skip
    return rows


def _state(promised: float | None, observed: Measure) -> str:
    if promised is None:
        return "none"
    if observed.high is None or observed.low is None:
        return "open"
    if observed.high <= promised:
        return "kept"
    return "broken" if observed.low > promised else "open"


# --- review lists -------------------------------------------------------------------------------------------------


def review_sets(judged: Judged) -> dict[str, Any]:
    """The lists people get: ``size`` (mean number of candidates besides none), ``coverage`` (truth is on the list) and sizes.

    Coverage counts *none* as on every list: a reviewer can always choose it.
    """
    inside = in_review(judged)
    lists = [[c for c, _ in ranked if c != NONE] for ranked in judged.ranked]
    sizes = np.array([len(c) for c in lists], dtype=np.float64)
    on = np.array([bool(t & {*c, NONE}) for t, c in zip(judged.truth, lists, strict=True)], dtype=bool)
    core = inside & np.array([NONE not in t for t in judged.truth], dtype=bool)
    return {
        "size": judged.design.mean(sizes, inside).as_dict(),
        "coverage": judged.design.share(on, inside).as_dict(),
        "coverage_where_ai": judged.design.share(on, core).as_dict(),
        "sizes": {str(int(k)): int((sizes[inside] == k).sum()) for k in sorted(set(sizes[inside].tolist()))},
    }
