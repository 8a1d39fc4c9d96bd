"""Whether probabilities mean what they say: reliability bins, expected calibration error, Brier score; the error promise kept or not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from taxonomy.classifier.accuracy import in_review
from taxonomy.classifier.intervals import BOOL, Measure, known, unknown
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


def class_group(shown: str) -> str:
    """Group of a class shown: its branch, or *none*."""
    return NONE if shown == NONE else shown[:1]


def promised_and_observed(judged: Judged, promise: Mapping[str, float] | None) -> list[dict[str, Any]]:
    """Observed error of what the machine coded, by class group and in all, beside the error promised.

    Parameters
    ----------
    promise
        Class group (branch letter, ``none``, or ``all``) → promised error; None when nothing was promised.

    Returns
    -------
    list of dict
        ``group, promised, observed, state``: ``kept`` when the upper limit lies within the promise, ``broken`` when the lower
        limit lies above it, ``open`` when gold does not tell, ``none`` without promise. 无法判定 counts as an error: nobody
        could have coded the unit. Codes of a lock are a person's and are left out.
    """
    by_machine = judged.coded & np.array([r != "lock" for r in judged.route], dtype=bool)
    wrong = ~judged.right
    groups = np.array([class_group(s) if s is not None else "" for s in judged.shown])
    given = dict(promise or {})
    names = ["all", *sorted({g for g in groups if g} | (set(given) - {"all"}))]
    rows = []
    for name in names:
        inside = by_machine & (np.ones(len(judged), dtype=bool) if name == "all" else groups == name)
        observed = judged.design.share(wrong, inside)
        rows.append(
            {
                "group": name,
                "promised": known(given.get(name)),
                "observed": observed.as_dict(),
                "state": _state(given.get(name), observed),
            }
        )
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
