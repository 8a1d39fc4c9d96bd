"""The error promise (差错承诺): from which confidence on a class group may be coded by the machine alone.

For a class group, :math:`E(t)` is the share of wrong codes among *all* its units whose confidence is at least ``t`` (a
finite population). From gold the smallest ``t`` is chosen such that ``E(t) ≤ promised error`` can be stated with the promised
confidence, whatever the true error curve looks like (it need not fall with ``t``).

**The bound.** Gold is a stratified simple random sample. Within the units above ``t`` let stratum ``h`` hold a share
``W_h`` of the population and ``n_h`` of the ``n`` gold units kept. Then ``E = Σ W_h e_h ≤ r Σ (n_h/n) e_h`` with
``r = max_h W_h n / n_h``, and the number of wrong gold units is a sum of independent hypergeometric counts, hence of
independent Bernoulli trials (Vatutin & Mikhailov 1982), whose lower tail lies below the binomial one of the same mean
(Hoeffding 1956, valid below mean - 1, which a tail of at most 1/4 always is). So ``r ×`` the exact binomial
(Clopper-Pearson) upper bound of ``x`` in ``n`` bounds ``E``. To keep ``r`` near one,
strata sampled more densely than the thinnest are thinned to its rate, by the same permanent random numbers (never by the
answers): with no error found this costs nothing, for then ``r/n = max_h W_h/n_h`` with or without thinning. Parts without
gold, or too thin to be worth it, are given up: all their units count as wrong.
A stratum coded in full leaves nothing to infer: its error counts as it is, and the bound is for the rest alone. Small
classes are often coded in full.

**Looking many times.** Thresholds come from a grid declared beforehand. *Fixed sequence* (default): from the strictest
threshold for which the design plans enough gold downwards, each tested at the full level, stopping at the first that
fails: the chance that any accepted threshold is wrong is at most the level
(Angelopoulos et al. 2021, *Learn then Test*; Westfall & Krishen 2001). *Bonferroni*: the level is shared by all
thresholds of the grid. Class groups share the level (``joint``), and so do the ``looks`` at the same gold over time.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.stats import beta

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
GRID: Final = (0.999, 0.995, 0.99, 0.98, 0.97, 0.95, 0.93, 0.9, 0.85, 0.8, 0.75, 0.7, 0.6, 0.5)
Method = Literal["fixed_sequence", "bonferroni"]


class PromiseError(ValueError):
    """Arguments or gold that no promise can be made from; says what is expected."""


def upper_bound(errors: int, n: int, confidence: float) -> float:
    """Exact (Clopper-Pearson) one-sided upper bound of a binomial proportion; 1 when nothing was observed.

    Raises
    ------
    PromiseError
        If not ``0 <= errors <= n`` or the confidence is not between 0 and 1.
    """
    if not 0 <= errors <= n or not 0.0 < confidence < 1.0:
        raise PromiseError(
            f"{errors} errors in {n} at confidence {confidence}: expected 0 <= errors <= n, 0 < confidence < 1"
        )
    return 1.0 if errors == n else float(beta.ppf(confidence, errors + 1, n - errors))


@dataclass(frozen=True)
class Look:
    """One threshold looked at: gold kept (``n``), errors in it, and the bound on the error of all units above it."""

    threshold: float
    n: int
    errors: int
    bound: float
    passed: bool


@dataclass(frozen=True)
class GroupPromise:
    """Outcome for one class group: ``auto`` from ``threshold`` on, or ``review`` with the reason.

    ``n`` gold units above the threshold, ``errors`` of them wrong, of which ``unfinished`` have no final label yet;
    ``observed_error`` weighted by the design, ``bound`` at the adjusted level, ``share_auto`` of the group's units above the
    threshold. For ``review`` they describe the last look.
    """

    group: str
    route: str
    threshold: float | None
    n: int
    errors: int
    unfinished: int
    observed_error: float | None
    bound: float | None
    share_auto: float
    reason_zh: str
    reason_en: str
    looks: tuple[Look, ...]


@dataclass(frozen=True)
class Promise:
    """The promise of a bundle: wrong codes in the auto-coded part at most ``error``, at ``confidence``, by class group."""

    error: float
    confidence: float
    method: str
    level_per_group: float
    grid: tuple[float, ...]
    groups: tuple[GroupPromise, ...]

    def threshold(self, group: str) -> float | None:
        """From which confidence on a group is auto-coded; None: never."""
        return next((g.threshold for g in self.groups if g.group == group), None)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return asdict(self)


@dataclass(frozen=True)
class _Stratum:
    """Of one stratum of one group: confidences of all units, and of its gold in the order of permanent random numbers."""

    population: F64
    confidence: F64
    wrong: Bools
    unfinished: Bools

    @property
    def rate(self) -> float:
        """Sampling rate, fixed by the design."""
        return len(self.confidence) / len(self.population)

    def size(self, threshold: float) -> int:
        """Units at or above a threshold."""
        return len(self.population) - int(np.searchsorted(self.population, threshold, side="left"))


def _strata(population: pl.DataFrame, gold: pl.DataFrame) -> list[_Stratum]:
    found = []
    for name in population["stratum"].unique().sort():
        own = gold.filter(pl.col("stratum") == name).sort("random")
        everyone = np.sort(population.filter(pl.col("stratum") == name)["confidence"].to_numpy())
        correct = own["correct"]
        wrong = ~correct.fill_null(False).to_numpy().astype(bool)
        found.append(_Stratum(everyone, own["confidence"].to_numpy(), wrong, correct.is_null().to_numpy().astype(bool)))
    return found


def _thinned(size: I64, gold: I64, level: float) -> tuple[I64, float]:
    """How many gold units to keep of each part (0: given up, its units count as wrong), and the factor ``r``.

    Parts sampled much more thinly than the rest would drag the rest down to their rate; giving up the thinnest ones is
    chosen by the bound that a spotless sample would get, so never by an answer.
    """
    best, result = np.inf, (np.zeros_like(gold), 1.0)
    order = np.argsort(gold / size, kind="stable")
    for dropped in range(len(order)):
        use = order[dropped:]
        rate = float((gold[use] / size[use]).min())
        if rate == 0.0:
            continue
        kept = np.zeros_like(gold)
        # 1e-9: the thinnest part itself must not lose or gain a unit by rounding.
        kept[use] = np.minimum(np.ceil(rate * size[use] - 1e-9).astype(np.int64), gold[use])
        n, share = int(kept.sum()), float(size[use].sum() / size.sum())
        excess = float((size[use] / size[use].sum() * n / kept[use]).max())
        spotless = 1.0 - share + share * min(1.0, excess * upper_bound(0, n, 1.0 - level))
        if spotless < best:
            best, result = spotless, (kept, excess)
    return result


@dataclass(frozen=True)
class _Kept:
    """What can be said above a threshold: ``n`` sampled units kept with ``errors``, standing for ``share`` of the units with
    factor ``excess``; ``fixed`` is the error share of parts coded in full, plus the share of parts given up.
    """

    threshold: float
    n: int
    errors: int
    excess: float
    share: float
    fixed: float
    known: tuple[int, int]

    def bound(self, errors: int, level: float) -> float:
        """Upper bound of the error above the threshold, had that many errors been found in the sampled part."""
        sampled = self.excess * upper_bound(errors, self.n, 1.0 - level) if self.n else 0.0
        return min(1.0, self.fixed + self.share * min(1.0, sampled))


def _kept(strata: Sequence[_Stratum], threshold: float, level: float, *, planned: bool = False) -> _Kept:
    """Gold above a threshold; ``planned`` as the design expects it (no errors), before anything was drawn."""
    sizes, counts, wrong = [], [], []
    known = known_wrong = 0
    for s in strata:
        size, above = s.size(threshold), s.confidence >= threshold
        if size and s.rate == 1.0:
            known, known_wrong = known + size, known_wrong + int(s.wrong[above].sum())
        elif size:
            sizes.append(size)
            counts.append(int(s.rate * size) if planned else int(above.sum()))
            wrong.append(s.wrong[above])
    everyone = known + sum(sizes)
    if not everyone:
        return _Kept(threshold, 0, 0, 1.0, 0.0, 1.0, (0, 0))
    size_array = np.array(sizes, dtype=np.int64)
    kept, excess = _thinned(size_array, np.array(counts, dtype=np.int64), level)
    errors = 0 if planned else sum(int(w[:k].sum()) for w, k in zip(wrong, kept.tolist(), strict=True))
    given_up = int(size_array[kept == 0].sum())
    share = (sum(sizes) - given_up) / everyone
    fixed = (known_wrong + given_up) / everyone
    return _Kept(threshold, int(kept.sum()), errors, excess, share, fixed, (known, known_wrong))


def _sequence(strata: Sequence[_Stratum], grid: Sequence[float], limit: float, level: float) -> list[float]:
    """The thresholds to test, strictest first: those whose gold could pass at all, from the first that has room.

    Room means passing with an observed share of half the limit; a start that only a spotless sample could survive
    would end most sequences by bad luck. Both are judged by the design (sampling rates and the population), not by
    what was drawn: a sequence chosen by the sample would no longer be fixed.
    """
    planned = [_kept(strata, threshold, level, planned=True) for threshold in grid]
    possible = [k for k in planned if k.bound(0, level) <= limit]
    roomy = (i for i, k in enumerate(possible) if k.bound(int(k.n * limit / 2.0), level) <= limit)
    return [k.threshold for k in possible[next(roomy, 0) :]]


def _weighted_error(strata: Sequence[_Stratum], threshold: float) -> tuple[int, int, float | None]:
    """Gold units and errors above a threshold (all of them), and the error weighted by the design."""
    kept = [s.confidence >= threshold for s in strata]
    n, errors = int(sum(k.sum() for k in kept)), int(sum(s.wrong[k].sum() for s, k in zip(strata, kept, strict=True)))
    mass = sum(k.sum() / s.rate for s, k in zip(strata, kept, strict=True) if k.any())
    bad = sum(s.wrong[k].sum() / s.rate for s, k in zip(strata, kept, strict=True) if k.any())
    return n, errors, float(bad / mass) if mass else None


def _group(
    name: str, strata: Sequence[_Stratum], limit: float, level: float, grid: Sequence[float], method: Method
) -> GroupPromise:
    total = sum(len(s.population) for s in strata)
    looks: list[Look] = []
    chosen: Look | None = None
    in_sequence = method == "fixed_sequence"
    share = level if in_sequence else level / len(grid)
    for threshold in _sequence(strata, grid, limit, share) if in_sequence else grid:
        k = _kept(strata, threshold, share)
        bound = k.bound(k.errors, share)
        looks.append(Look(threshold, k.n + k.known[0], k.errors + k.known[1], bound, bound <= limit))
        if looks[-1].passed:
            chosen = looks[-1]
        elif in_sequence:
            break
    shown = chosen or (looks[-1] if looks else None)
    at = shown.threshold if shown else min(grid)
    n, errors, observed = _weighted_error(strata, at)
    above = sum(int((s.population >= at).sum()) for s in strata)
    unfinished = sum(int(s.unfinished[s.confidence >= at].sum()) for s in strata)
    zh, en = _reason(chosen, errors, limit, unfinished)
    return GroupPromise(
        group=name, route="auto" if chosen else "review", threshold=chosen.threshold if chosen else None, n=n,
        errors=errors, unfinished=unfinished, observed_error=observed, bound=shown.bound if shown else None,
        share_auto=above / total if chosen and total else 0.0, reason_zh=zh, reason_en=en, looks=tuple(looks),
    )  # fmt: skip


def _reason(chosen: Look | None, errors: int, limit: float, unfinished: int) -> tuple[str, str]:
    if chosen is not None:
        return "标准样本支持承诺", "gold supports the promise"
    if unfinished:
        return (
            f"标准样本未完成：{unfinished} 个单位尚无结论",
            f"gold is unfinished: {unfinished} units without a final label",
        )
    if errors == 0:
        return (
            f"标准样本不足：即使没有差错也不能支持不超过 {limit:.1%} 的承诺",
            f"too little gold: even without an error it could not support at most {limit:.1%}",
        )
    return (
        f"标准样本中差错过多：上限超过 {limit:.1%}",
        f"too many errors in gold: the upper bound exceeds {limit:.1%}",
    )


def choose_thresholds(
    gold: pl.DataFrame,
    population: pl.DataFrame,
    *,
    error: float,
    confidence: float = 0.95,
    grid: Sequence[float] = GRID,
    method: Method = "fixed_sequence",
    joint: bool = True,
    looks: int = 1,
) -> Promise:
    """Choose the auto-coding threshold of each class group from gold.

    Parameters
    ----------
    gold
        ``group, stratum, confidence, correct, random``: one row a drawn unit; ``correct`` null (no final label)
        counts as wrong, for an unfinished programme supports no promise; ``random`` its permanent random number.
    population
        ``group, stratum, confidence`` of all units of the frame with a class shown.
    error, confidence
        What is promised: at most this share of wrong codes in the auto-coded part, stated with this confidence.
    grid
        Thresholds declared before the gold was looked at.
    joint
        Share the level among groups: then the promise holds for all groups at once, hence for their union.
    looks
        How often the same gold is to be used for choosing thresholds.

    Returns
    -------
    Promise
        Groups sorted by name. A group whose gold does not support the promise is ``review``.

    Raises
    ------
    PromiseError
        If an argument is out of range, or gold stands in a stratum the population does not have.
    """
    levels = sorted(set(grid), reverse=True)
    if not (0.0 < error < 1.0 and 0.75 <= confidence < 1.0 and levels and looks >= 1):
        raise PromiseError("expected 0 < error < 1, 0.75 <= confidence < 1, a grid that is not empty and looks >= 1")
    unknown = set(gold["stratum"]) - set(population["stratum"])
    if unknown:
        raise PromiseError(f"gold of strata {sorted(unknown)[:3]} that the population does not have; draw it anew")
    names = population["group"].unique().sort().to_list()
    level = (1.0 - confidence) / (looks * (len(names) if joint else 1))
    groups = []
    for name in names:
        strata = _strata(population.filter(pl.col("group") == name), gold.filter(pl.col("group") == name))
        groups.append(_group(name, strata, error, level, levels, method))
    return Promise(error, confidence, method, level, tuple(levels), tuple(groups))


def with_routes(decisions: pl.DataFrame, promise: Promise, group: pl.Expr) -> pl.DataFrame:
    """Decisions with ``promised`` (bool): coded by the machine alone within the promise; the rest goes to people.

    ``group`` computes the class group from decision columns (:func:`taxonomy.classifier.gold.class_group`).
    """
    floor = {g.group: g.threshold for g in promise.groups if g.threshold is not None}
    at = group.replace_strict(floor, default=None, return_dtype=pl.Float64)
    return decisions.with_columns(promised=(pl.col("probability") >= at).fill_null(False))
