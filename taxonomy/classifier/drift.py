"""Drift (漂移): has what comes in, what comes out, or how right it is changed since the release being served?

Three groups of signals: *inputs*, *outputs* (both against a stored profile) and *gold* (errors among the newest labels). Each is
``ok``, ``warn`` or ``block``; the gate is the worst of them. Limits are data: ``rules/drift.yaml``.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import yaml
from scipy.special import betaln, chdtrc

from taxonomy.classifier.intervals import F64, known
from taxonomy.classifier.judged import is_right, read_gold, shown_class
from taxonomy.classifier.profile import SPACE, Profile, hash64, novelty

RULES: Final = Path(__file__).parent.parent / "rules" / "drift.yaml"
ORDER: Final = ("ok", "warn", "block")
EXPECTED: Final = 5.0


@dataclass(frozen=True)
class Limits:
    """``rules/drift.yaml``: ``signals`` holds (warn, block) by name."""

    alpha: float
    minimum_units: int
    minimum_in_route: int
    sketch: int
    signals: Mapping[str, tuple[float, float]]
    promised_error: float
    window: int
    alpha_warn: float
    alpha_block: float


@cache
def load_limits(path: Path = RULES) -> Limits:
    """The limits file.

    Raises
    ------
    ValueError
        If a limit is missing, or a block limit does not lie above its warn limit.
    """
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    try:
        signals = {name: (float(s["warn"]), float(s["block"])) for name, s in data["signals"].items()}
        head = {k: data[k] for k in ("alpha", "minimum_units", "minimum_in_route", "sketch")}
        limits = Limits(**head, signals=signals, **data["gold"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path.name}: {error}; expected alpha, minimum_units, signals, gold, …") from error
    crossed = [name for name, (warn, block) in signals.items() if not 0.0 < warn < block]
    unknown = sorted(set(SIGNALS) ^ set(signals))
    if crossed or unknown:
        raise ValueError(f"{path.name}: 0 < warn < block expected for {crossed}; missing or unknown: {unknown}")
    return limits


@dataclass(frozen=True)
class Signal:
    """One figure against its limits; ``p_value`` is that of a test against chance where there is one."""

    name: str
    group: str
    value: float | None
    warn: float
    block: float
    p_value: float | None
    status: str
    detail_zh: str
    detail_en: str

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "value": known(self.value), "p_value": known(self.p_value)}


@dataclass(frozen=True)
class Drift:
    """Outcome of the gate; ``reference`` names the release compared with, empty when there was none yet.

    ``accepted``: why a person says the change is real; it lets a blocked release go out and is in the audit log.
    """

    status: str
    reference: str
    reason_zh: str
    reason_en: str
    signals: tuple[Signal, ...]
    accepted: str = ""

    @property
    def blocks(self) -> bool:
        """Whether the release must not go out without a person's word."""
        return self.status == "block" and not self.accepted

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "status": self.status, "reference": self.reference, "reason_zh": self.reason_zh,
            "reason_en": self.reason_en, "accepted": self.accepted, "signals": [s.as_dict() for s in self.signals],
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Drift":
        """The outcome of :meth:`as_dict`."""
        return cls(**{**data, "signals": tuple(Signal(**s) for s in data["signals"])})


# --- figures ---------------------------------------------------------------------------------------------------------


def _pooled(before: Mapping[str, int], now: Mapping[str, int]) -> tuple[Any, Any]:
    """Counts of both over the same categories; rare ones (expected below five in either) together."""
    names = sorted(set(before) | set(now))
    one = np.array([before.get(k, 0) for k in names], dtype=np.float64)
    two = np.array([now.get(k, 0) for k in names], dtype=np.float64)
    n, m = max(one.sum(), 1.0), max(two.sum(), 1.0)
    expected = (one + two) * min(n, m) / (n + m)
    rare = expected < EXPECTED
    if rare.any():
        one, two = np.append(one[~rare], one[rare].sum()), np.append(two[~rare], two[rare].sum())
    return one, two


def psi(before: Mapping[str, int], now: Mapping[str, int]) -> float:
    """Population stability index ``Σ (q - p) ln(q/p)``; half a unit is added to each category, so that none is zero."""
    one, two = _pooled(before, now)
    p, q = (one + 0.5) / (one + 0.5).sum(), (two + 0.5) / (two + 0.5).sum()
    return float(((q - p) * np.log(q / p)).sum())


def chi_square_p(before: Mapping[str, int], now: Mapping[str, int]) -> float:
    """P-value of the chi-square test that both counts come from one distribution; 1 where there is nothing to compare."""
    one, two = _pooled(before, now)
    total, n, m = one + two, one.sum(), two.sum()
    used = total > 0
    if used.sum() < 2 or n == 0 or m == 0:
        return 1.0
    e1, e2 = total[used] * n / (n + m), total[used] * m / (n + m)
    statistic = ((one[used] - e1) ** 2 / e1).sum() + ((two[used] - e2) ** 2 / e2).sum()
    return float(chdtrc(used.sum() - 1, statistic))


def total_variation(before: Mapping[str, int], now: Mapping[str, int]) -> float:
    """Half the sum of absolute differences of shares."""
    n, m = max(sum(before.values()), 1), max(sum(now.values()), 1)
    return 0.5 * sum(abs(before.get(k, 0) / n - now.get(k, 0) / m) for k in set(before) | set(now))


def _log_ratio(before: float, now: float) -> float | None:
    if before <= 0.0 and now <= 0.0:
        return 0.0
    return abs(math.log(now / before)) if before > 0.0 and now > 0.0 else math.inf


Found = tuple[float | None, float | None, str]


def _fill(before: Profile, now: Profile, _: Limits) -> Found:
    gaps = {f: abs(now.fill.get(f, 0.0) - before.fill.get(f, 0.0)) for f in sorted(set(before.fill) | set(now.fill))}
    worst = max(gaps, key=lambda f: gaps[f])
    counts = [{"yes": round(p.fill.get(worst, 0.0) * p.units), "no": round((1 - p.fill.get(worst, 0.0)) * p.units)}
              for p in (before, now)]  # fmt: skip
    return gaps[worst], chi_square_p(*counts), worst


def _core(before: Profile, now: Profile, _: Limits) -> Found:
    counts = [{"core": p.core, "rest": p.units - p.core} for p in (before, now)]
    shares = [p.core / max(p.units, 1) for p in (before, now)]
    return _log_ratio(*shares), chi_square_p(*counts), f"{shares[0]:.4f} → {shares[1]:.4f}"


def _classes(before: Profile, now: Profile, _: Limits) -> Found:
    inside = [{k: n for k, n in p.class_mix.items() if k not in {"-", "none"}} for p in (before, now)]
    return psi(*inside), chi_square_p(*inside), ""


def _probability(before: Profile, now: Profile, limits: Limits) -> Found:
    least = limits.minimum_in_route
    routes = [r for r in sorted(set(before.mean_probability) & set(now.mean_probability))
              if min(before.route_mix.get(r, 0), now.route_mix.get(r, 0)) >= least]  # fmt: skip
    gaps = {r: abs(now.mean_probability[r] - before.mean_probability[r]) for r in routes}
    worst = max(gaps, key=lambda r: gaps[r], default="")
    return gaps.get(worst), None, worst


def _novelty(before: Profile, now: Profile, _: Limits) -> Found:
    share, total = novelty(before, now)
    return share, None, f"n={total}"


#: name → (group, Chinese, English, how it is worked out)
SIGNALS: Final[Mapping[str, tuple[str, str, str, Callable[[Profile, Profile, Limits], Found]]]] = {
    "unit_count": ("inputs", "单位数变动", "number of units",
                   lambda b, n, _: (_log_ratio(b.units, n.units), None, f"{b.units} → {n.units}")),
    "phrase_novelty": ("inputs", "新短语比例", "share of new phrases", _novelty),
    "field_fill": ("inputs", "字段填报率变动", "fill rate of a field", _fill),
    "declared_code_mix": ("inputs", "申报行业结构", "mix of declared codes",
                          lambda b, n, _: (psi(b.code_mix, n.code_mix), chi_square_p(b.code_mix, n.code_mix), "")),
    "core_share": ("outputs", "核心产业比重变动", "share coded core", _core),
    "class_mix": ("outputs", "核心类别结构", "mix of core classes", _classes),
    "route_mix": ("outputs", "编码途径结构", "mix of routes",
                  lambda b, n, _: (total_variation(b.route_mix, n.route_mix),
                                   chi_square_p(b.route_mix, n.route_mix), "")),
    "mean_probability": ("outputs", "途径内平均概率", "mean probability of a route", _probability),
}  # fmt: skip


def _signal(name: str, before: Profile, now: Profile, limits: Limits) -> Signal:
    group, zh, en, work = SIGNALS[name]
    warn, block = limits.signals[name]
    value, p_value, what = work(before, now, limits)
    status = "ok"
    if value is not None and (p_value is None or p_value < limits.alpha):
        status = "block" if value >= block else "warn" if value >= warn else "ok"
    shown = "—" if value is None else f"{value:.3f}"
    tail = f" ({what})" if what else ""
    text = f" {shown}, 提示 {warn:g}, 阻止 {block:g}{tail}", f" {shown}, warn {warn:g}, block {block:g}{tail}"
    return Signal(name, group, value, warn, block, p_value, status, zh + text[0], en + text[1])


# --- rolling gold ------------------------------------------------------------------------------------------------------


def log_e_value(errors: npt.ArrayLike, n: npt.ArrayLike, promised: float) -> F64:
    """Logarithm of the evidence against "error at most ``promised``" after ``n`` labels with ``errors`` wrong ones.

    Likelihood ratio of a uniform mixture over error rates above the promise against the promise itself. It is a
    supermartingale under any error within the promise, so the chance that it *ever* exceeds ``1/α`` is at most ``α``
    (Ville; Howard et al. 2021, *Annals of Statistics* 49): one may look every night. ``errors`` and ``n`` may be arrays.

    Raises
    ------
    ValueError
        If not ``0 <= errors <= n`` or the promise is not between 0 and 1.
    """
    from scipy.stats import beta  # takes half a second to load, and few nights have gold

    x, size = np.asarray(errors, dtype=np.float64), np.asarray(n, dtype=np.float64)
    if not ((x >= 0).all() and (x <= size).all() and 0.0 < promised < 1.0):
        raise ValueError(f"{errors!r} errors of {n!r}, promise {promised}: expected 0 <= errors <= n, 0 < promise < 1")
    mixture = betaln(x + 1.0, size - x + 1.0) + beta.logsf(promised, x + 1.0, size - x + 1.0) - math.log1p(-promised)
    return np.asarray(mixture - x * math.log(promised) - (size - x) * math.log1p(-promised))


def gold_signals(wrong: Sequence[bool], limits: Limits, promised: float | None = None) -> tuple[Signal, ...]:
    """Signals of the newest labels: the last ``window`` by an exact binomial test (warns), all of them sequentially (blocks).

    ``wrong``: in the order the labels became final, of units the machine coded, each with the same chance to be among them
    (:func:`labels_in_order`). Looking every night would wear the binomial test out, so it never blocks.
    """
    from scipy.stats import binom  # takes half a second to load, and few nights have gold

    limit = limits.promised_error if promised is None else promised
    last = list(wrong)[-limits.window :]
    errors, n, total = sum(last), len(last), sum(wrong)
    p_window = float(binom.sf(errors - 1, n, limit)) if n else None
    course = log_e_value(np.cumsum(np.asarray(wrong, dtype=np.int64)), np.arange(1, len(wrong) + 1), limit)
    p_ever = min(1.0, math.exp(-float(course.max(initial=0.0))))
    window = Signal(
        "gold_window", "gold", p_window, limits.alpha_warn, 0.0, p_window,
        "warn" if p_window is not None and p_window < limits.alpha_warn else "ok",
        f"最近 {n} 个金标准答复错 {errors} 个（承诺 {limit:.1%}）",
        f"{errors} of the last {n} gold labels wrong (promised {limit:.1%})",
    )  # fmt: skip
    ever = Signal(
        "gold_sequential", "gold", p_ever if n else None, 0.0, limits.alpha_block, p_ever if n else None,
        "block" if n and p_ever < limits.alpha_block else "ok",
        f"全部 {len(wrong)} 个答复错 {total} 个，序贯检验 p={p_ever:.3g}",
        f"{total} of all {len(wrong)} labels wrong, sequential p={p_ever:.3g}",
    )  # fmt: skip
    return (window, ever)


def labels_in_order(decisions: pl.DataFrame, gold: pl.DataFrame) -> list[bool]:
    """Whether each label contradicts the class shown, oldest first: an equal-probability part of the gold sample.

    Gold is drawn with unequal probabilities; a unit is kept with probability ``min π / π`` by the hash of its id, never by its
    answer. Units left to people, locked ones and labels not final are left out; 无法判定 counts as wrong.
    """
    final = read_gold(gold).with_columns(gold["decided_at"] if "decided_at" in gold.columns else pl.lit("decided_at"))
    shown = decisions.filter(pl.col("route") != "lock").select("unit_id", shown_class()).drop_nulls()
    joined = final.drop_nulls("codes").join(shown, on="unit_id", how="inner")
    if joined.height == 0:
        return []
    least = float(joined["inclusion_probability"].min())  # type: ignore[arg-type]
    number = pl.Series([hash64(u) / SPACE for u in joined["unit_id"]], dtype=pl.Float64)
    kept = joined.filter(number < least / joined["inclusion_probability"]).sort("decided_at", "unit_id")
    return [not is_right(s, c) for s, c in kept.select("shown", "codes").iter_rows()]


# --- the gate ----------------------------------------------------------------------------------------------------------


def worst(statuses: Iterable[str]) -> str:
    """The worst of several states; ``ok`` of none."""
    return max(statuses, key=ORDER.index, default="ok")


def gate(
    before: Profile | None, now: Profile, limits: Limits, *, reference: str = "", gold: Sequence[Signal] = ()
) -> Drift:
    """Compare a run with the profile of the release being served.

    Without a profile, or with too few units to compare, inputs and outputs pass and the reason says so; gold counts
    all the same.
    """
    signals = tuple(gold)
    if before is None:
        zh, en = "首次运行，没有上一版概况可比", "first run: there is no profile of an earlier release to compare with"
    elif min(before.units, now.units) < limits.minimum_units:
        zh = f"单位少于 {limits.minimum_units} 个，不作比较"
        en = f"fewer than {limits.minimum_units} units; not compared"
    else:
        signals = (*(_signal(name, before, now, limits) for name in SIGNALS), *signals)
        zh, en = "未见漂移", "no drift"
        if before.bundles != now.bundles:
            zh, en = f"{zh}；编码包已更换", f"{en}; the bundle has changed"
    status = worst(s.status for s in signals)
    if status != "ok":
        loud = [s for s in signals if s.status == status]
        zh, en = "；".join(s.detail_zh for s in loud), "; ".join(s.detail_en for s in loud)
        if before is not None and before.bundles != now.bundles:
            zh += f"；编码包由 {'、'.join(before.bundles)} 换为 {'、'.join(now.bundles)}"
            en += f"; bundle {', '.join(before.bundles)} became {', '.join(now.bundles)}"
    return Drift(status, reference if before is not None else "", zh, en, signals)
