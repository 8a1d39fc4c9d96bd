"""The gold programme (标准样本): a probability sample coded blind by two people, which judges the classifier and never trains it.

The sample is stratified by predicted class group and confidence band. Within a stratum the units with the smallest
permanent random numbers (a hash of the unit id and the seed) are taken: simple random sampling without replacement
whose inclusion probability ``n_h / N_h`` is stored with each unit. The same seed keeps the same units as long as
their stratum keeps its size, so that a refreshed sample asks little anew (sequential sampling with permanent random
numbers: Ohlsson 1995, in Cox et al., *Business Survey Methods*, ch. 9).
"""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import combinations
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from taxonomy.classifier.normalize import fold_text

F64 = npt.NDArray[np.float64]
U64 = npt.NDArray[np.uint64]
BANDS: Final = (0.0, 0.5, 0.7, 0.85, 0.95, 0.99)
NOT_CODED: Final = ("review", "uncodable")
NONE: Final = "none"
DOUBT: Final = "doubt"
LOCK: Final = "lock"
# A stratum whose model error is said to be nil still deserves a look: the model may be wrong about itself.
LEAST_ERROR: Final = 0.02


class GoldError(ValueError):
    """Gold that cannot be drawn, coded or used; says what is missing and what to do."""


class LeakageError(GoldError):
    """Gold units stand among the training texts: the model would be judged on what it was taught."""


# --- keys, random numbers, hashes ----------------------------------------------------------------------------------


def unit_keys(unit_ids: Iterable[str]) -> U64:
    """A 64-bit key of each unit id (BLAKE2b), the same on every machine."""
    digests = b"".join(hashlib.blake2b(u.encode(), digest_size=8).digest() for u in unit_ids)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def permanent_random(keys: U64, seed: int) -> F64:
    """Permanent random numbers in [0, 1): SplitMix64 of key and seed; independent streams for different seeds."""
    with np.errstate(over="ignore"):
        stream = np.uint64((seed * 0x9E3779B97F4A7C15 + 0xD1B54A32D192ED03) % (1 << 64))
        z = keys ^ _mix(np.array([stream]))[0]
        z = _mix(z + np.uint64(0x9E3779B97F4A7C15))
    return np.asarray((z >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def _mix(z: U64) -> U64:
    with np.errstate(over="ignore"):
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(z ^ (z >> np.uint64(31)))


def text_hash(*fields: str | None) -> str:
    """Hash of texts as a person reads them: width, case and white space do not count. Order of fields does."""
    folded = ("".join(fold_text(field or "").split()) for field in fields)
    return hashlib.blake2b("\x1f".join(folded).encode(), digest_size=16).hexdigest()


def with_text_hashes(units: pl.DataFrame) -> pl.DataFrame:
    """Add ``text_hash`` (name, scope, products) and ``scope_hash`` (scope alone, for the leakage test)."""
    empty = [None] * units.height
    name, scope, product = (
        units[c].to_list() if c in units.columns else empty for c in ("name", "business_scope", "main_products")
    )
    return units.with_columns(
        text_hash=pl.Series([text_hash(*t) for t in zip(name, scope, product, strict=True)], dtype=pl.String),
        scope_hash=pl.Series([text_hash(s) if s else None for s in scope], dtype=pl.String),
    )


# --- strata and the draw ---------------------------------------------------------------------------------------------


def class_group() -> pl.Expr:
    """Predicted class group from decision columns: branch letter, *none*, *doubt* (not coded) or *lock* (a person's code)."""
    shown = pl.col("ai_class").fill_null("")
    return (
        pl.when(pl.col("route") == LOCK)
        .then(pl.lit(LOCK))
        .when(pl.col("route").is_in(NOT_CODED))
        .then(pl.lit(DOUBT))
        .when(shown.is_in(["", NONE]))
        .then(pl.lit(NONE))
        .otherwise(shown.str.slice(0, 1))
        .alias("group")
    )


def confidence_band(edges: Sequence[float] = BANDS) -> pl.Expr:
    """Band of ``probability`` as text (``0.95-0.99``); ``na`` where the classifier gave none."""
    band = pl.lit("na")
    for low, high in zip(edges, (*edges[1:], 1.0), strict=True):
        band = pl.when(pl.col("probability") >= low).then(pl.lit(f"{low:.2f}-{high:.2f}")).otherwise(band)
    return band.alias("band")


@dataclass(frozen=True)
class GoldPlan:
    """How many to draw: ``size`` in all, at least ``minimum`` a stratum (or all of it).

    ``core_in_none``: the strata predicted not AI are enlarged until they hold that many expected AI units, without
    which no interval of an adjusted count is reliable.
    """

    seed: int
    size: int = 1_200
    minimum: int = 20
    core_in_none: float = 10.0
    bands: tuple[float, ...] = BANDS


@dataclass(frozen=True)
class GoldSample:
    """What was drawn.

    ``units``: ``unit_id, group, band, stratum, inclusion_probability, confidence, random, ai_class, route, p_ai, bundle,
    text_hash, scope_hash`` sorted by unit id; ``strata``: ``stratum, group, band, population, drawn, mean_error,
    mean_p_ai``. ``reliable`` is false when even all units predicted not AI hold fewer than the wanted AI cases.
    """

    units: pl.DataFrame
    strata: pl.DataFrame
    expected_core_in_none: float
    reliable: bool


def stratify(decisions: pl.DataFrame, plan: GoldPlan) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Decisions with their stratum, and the strata with size, mean P(error) and mean P(core). Locks are no part of it."""
    framed = decisions.with_columns(class_group(), confidence_band(plan.bands)).filter(pl.col("group") != LOCK)
    framed = framed.with_columns(stratum=pl.col("group") + ":" + pl.col("band"))
    strata = (
        framed.group_by("stratum", "group", "band")
        .agg(
            pl.len().cast(pl.Int64).alias("population"),
            (1.0 - pl.col("probability").fill_null(0.0)).mean().alias("mean_error"),
            pl.col("p_ai").fill_null(0.0).mean().alias("mean_p_ai"),
        )
        .sort("stratum")
    )
    return framed, strata


def allocate(strata: pl.DataFrame, plan: GoldPlan) -> npt.NDArray[np.int64]:
    """Sample size of each stratum (rows of ``strata``): minima first, the rest in proportion to ``N · sqrt(p(1-p))``.

    Returns
    -------
    numpy.ndarray
        Integers, never above the population; their sum may exceed ``plan.size`` when the minima or ``core_in_none`` ask
        for more.
    """
    population = strata["population"].to_numpy()
    error = np.clip(strata["mean_error"].to_numpy(), LEAST_ERROR, 1.0 - LEAST_ERROR)
    drawn = np.minimum(population, plan.minimum).astype(np.int64)
    wish = population * np.sqrt(error * (1.0 - error))
    while (left := plan.size - int(drawn.sum())) > 0 and (is_open := drawn < population).any():
        share = np.where(is_open, wish, 0.0) / wish[is_open].sum() * left
        step = np.minimum(np.floor(share).astype(np.int64), population - drawn)
        if step.sum() == 0:
            order = np.argsort(-np.where(is_open, share, -1.0), kind="stable")[: min(left, int(is_open.sum()))]
            step[order] = 1
        drawn += step
    return _enough_core(drawn, strata, plan.core_in_none)


def _enough_core(drawn: npt.NDArray[np.int64], strata: pl.DataFrame, target: float) -> npt.NDArray[np.int64]:
    none = (strata["group"] == NONE).to_numpy()
    population, p_ai = strata["population"].to_numpy(), strata["mean_p_ai"].to_numpy()
    low, high = 1.0, float(population[none].max(initial=1))

    def scaled(factor: float) -> npt.NDArray[np.int64]:
        more = np.minimum(np.ceil(drawn * factor).astype(np.int64), population)
        return np.where(none, more, drawn)

    if not none.any() or (drawn * p_ai)[none].sum() >= target:
        return drawn
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (low, middle) if (scaled(middle) * p_ai)[none].sum() >= target else (middle, high)
    return scaled(high)


def draw_sample(decisions: pl.DataFrame, plan: GoldPlan) -> GoldSample:
    """Draw the gold sample from a whole frame of decisions.

    Parameters
    ----------
    decisions
        Columns ``unit_id, ai_class, p_ai, probability, route, bundle, text_hash, scope_hash``, one row a unit; all
        units the published figures are about. ``unit_key`` (:func:`unit_keys`) may stand beside them.

    Raises
    ------
    GoldError
        If a unit stands twice.
    """
    if decisions["unit_id"].n_unique() != decisions.height:
        raise GoldError("a unit stands twice in the frame; gold needs one decision a unit")
    framed, strata = stratify(decisions, plan)
    strata = strata.with_columns(drawn=pl.Series(allocate(strata, plan), dtype=pl.Int64))
    keys = framed["unit_key"].to_numpy() if "unit_key" in framed.columns else unit_keys(framed["unit_id"])
    chosen = (
        framed.with_columns(random=pl.Series(permanent_random(keys, plan.seed)))
        .join(strata.select("stratum", "population", "drawn"), on="stratum", how="left", maintain_order="left")
        .filter(pl.struct("random", "unit_id").rank("ordinal").over("stratum") <= pl.col("drawn"))
        .with_columns(inclusion_probability=pl.col("drawn") / pl.col("population"))
    )
    units = chosen.select(
        "unit_id", "group", "band", "stratum", "inclusion_probability", pl.col("probability").alias("confidence"),
        "random", "ai_class", "route", "p_ai", "bundle", "text_hash", "scope_hash",
    ).sort("unit_id")  # fmt: skip
    none = strata.filter(pl.col("group") == NONE)
    expected = float((none["drawn"] * none["mean_p_ai"]).sum())
    return GoldSample(units, strata, expected, expected >= plan.core_in_none)


# --- two people, who do not know of each other -----------------------------------------------------------------------


def assign_coders(unit_ids: Sequence[str], coders: Sequence[str], seed: int) -> pl.DataFrame:
    """Two different coders for each unit, ``unit_id, coder_1, coder_2``: every pair of coders works equally often (±1).

    Raises
    ------
    GoldError
        If there are fewer than two coders.
    """
    people = sorted(set(coders))
    if len(people) < 2:
        raise GoldError(f"double coding needs two different coders; got {people}")
    pairs = list(combinations(people, 2))
    order = np.argsort(permanent_random(unit_keys(unit_ids), seed + 1), kind="stable")
    first, second = np.empty(len(unit_ids), dtype=object), np.empty(len(unit_ids), dtype=object)
    for turn, position in enumerate(order.tolist()):
        one, two = pairs[turn % len(pairs)]
        # Who comes first carries no meaning; turning it round keeps the marginals of both columns alike.
        first[position], second[position] = (one, two) if (turn // len(pairs)) % 2 == 0 else (two, one)
    return pl.DataFrame(
        {"unit_id": list(unit_ids), "coder_1": first.tolist(), "coder_2": second.tolist()},
        schema={"unit_id": pl.String, "coder_1": pl.String, "coder_2": pl.String},
    )


@dataclass(frozen=True)
class Answer:
    """What one coder said: a code, a set of codes that cannot be told apart, 无法判定 or 转交."""

    kind: str
    codes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Ruling:
    """The outcome of two answers: ``agreed`` with its codes, or ``adjudicate`` with the reason (zh, en)."""

    status: str
    codes: frozenset[str] = frozenset()
    kind: str = "code"
    reason_zh: str = ""
    reason_en: str = ""


def rule_on(first: Answer, second: Answer) -> Ruling:
    """The adjudication rule: only equal answers are final; everything else goes to a third person who sees both.

    Equal sets are a set-valued truth; two times 无法判定 is the truth 无法判定. One answer inside the other is not
    agreement: accepting the overlap would make every doubtful set look like certainty.
    """
    if "refer" in (first.kind, second.kind):
        return Ruling("adjudicate", reason_zh="有人转交", reason_en="referred by a coder")
    if first.kind != second.kind:
        return Ruling("adjudicate", reason_zh="一人判定、一人无法判定", reason_en="one coder could not decide")
    if first.kind == "undecidable":
        return Ruling("agreed", kind="undecidable")
    if first.codes == second.codes:
        return Ruling("agreed", first.codes)
    both = first.codes & second.codes
    zh, en = ("部分重合", "answers overlap in part") if both else ("编码不同", "codes differ")
    return Ruling("adjudicate", both, reason_zh=zh, reason_en=en)


# --- truth that may be a set -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Match:
    """Answer against truth: ``kind`` OO, OM, MO or MM (truth one or many, answer one or many), and how they meet.

    ``hit``: they share a code; ``exact``: they are equal; ``overlap``: Jaccard similarity.
    """

    kind: str
    hit: bool
    exact: bool
    overlap: float


def match(truth: Collection[str], answer: Collection[str]) -> Match:
    """Compare an answer with a truth, either of which may be a set.

    Raises
    ------
    GoldError
        If one of them is empty: a missing truth is no truth, and no answer is not a wrong one.
    """
    one, other = frozenset(truth), frozenset(answer)
    if not one or not other:
        raise GoldError("truth and answer must hold at least one code; leave undecided units out and count them")
    kind = ("O" if len(one) == 1 else "M") + ("O" if len(other) == 1 else "M")
    return Match(kind, bool(one & other), one == other, len(one & other) / len(one | other))


def at_level(code: str, level: int) -> str | None:
    """A code's ancestor at a level of the AI catalogue (1 branch, 2 class, 3 leaf); None if the code is coarser.

    ``none`` stands at each level. Works by the shape of the codes (A11 → A1 → A; R391 → R39 → R).
    """
    if code == NONE:
        return code
    length = level if level == 1 or not code.startswith("R") else level + 1
    return code[:length] if len(code) >= length else None


def is_right(shown: str | None, truth: Collection[str]) -> bool:
    """Whether the class shown is true: a true code equals it or lies below it. ``None`` and empty mean *none*.

    A truth coarser than the class shown does not confirm it.
    """
    said = shown or NONE
    if said == NONE:
        return NONE in truth
    return any(code != NONE and code.startswith(said) for code in truth)


# --- expiry and leakage ----------------------------------------------------------------------------------------------


def stale(gold: pl.DataFrame, today: date, max_age_days: int, current: pl.DataFrame) -> pl.DataFrame:
    """Gold with ``stale_reason``: null (usable), ``expired``, ``text_changed`` or ``gone``.

    ``gold`` has ``unit_id, text_hash, decided_at`` (ISO text); ``current`` has ``unit_id, text_hash`` of the register today.
    """
    oldest = (today - timedelta(days=max_age_days)).isoformat()
    now = current.select("unit_id", pl.col("text_hash").alias("text_now"))
    joined = gold.join(now, on="unit_id", how="left", validate="m:1", maintain_order="left")
    reason = (
        pl.when(pl.col("text_now").is_null())
        .then(pl.lit("gone"))
        .when(pl.col("text_now") != pl.col("text_hash"))
        .then(pl.lit("text_changed"))
        .when(pl.col("decided_at").str.slice(0, 10) < oldest)
        .then(pl.lit("expired"))
    )
    return joined.with_columns(stale_reason=reason).drop("text_now")


def assert_no_leakage(training_hashes: Collection[str], gold: pl.DataFrame) -> None:
    """Refuse to go on when a gold unit's text is among the training texts.

    Parameters
    ----------
    training_hashes
        :func:`text_hash` of every training text, whole units and scopes alone alike.
    gold
        ``unit_id, text_hash`` and, if there, ``scope_hash``: another unit with the very same scope leaks it as well.

    Raises
    ------
    LeakageError
        Naming how many gold units leak and the first of them.
    """
    known = set(training_hashes)
    columns = [c for c in ("text_hash", "scope_hash") if c in gold.columns]
    leaking = gold.filter(pl.any_horizontal(pl.col(c).is_in(list(known)).fill_null(False) for c in columns))
    if leaking.height:
        first = ", ".join(leaking["unit_id"].sort().head(3))
        raise LeakageError(
            f"{leaking.height} gold units are among the training texts (first: {first}); "
            "take them out of the training set: gold judges the model and never trains it"
        )
