"""What people are asked first (复核队列): doubts ordered by their effect on the published figure, with a random part and seeded gold.

Three parts share a queue of ``capacity`` tasks. *Effect*: doubtful units by ``weight × size × P(error)``. *Random*: a Poisson
sample of the whole frame by permanent random numbers, its inclusion probability stored; it alone may feed estimates of
accuracy, since the effect part is chosen by the model. *Seed*: gold units with a known answer, to see how well coders
code. A tenth of the effect and random tasks goes to two coders who do not know of each other. A task is *blind* (no
suggestion, no evidence shown) when it is random, seed or double: a shown suggestion anchors the answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from taxonomy.classifier.gold import LOCK, NOT_CODED, U64, permanent_random, unit_keys

BoolArray = NDArray[np.bool_]
EFFECT: Final = "effect"
RANDOM: Final = "random"
SEED: Final = "seed"
GOLD: Final = "gold"
COLUMNS: Final = (
    "position", "unit_id", "kind", "blind", "coders_needed", "effect", "p_error", "inclusion_probability", "text_hash",
    "bundle",
)  # fmt: skip


@dataclass(frozen=True)
class QueuePlan:
    """Size of the queue and its parts; shares of ``capacity``."""

    seed: int
    capacity: int = 500
    share_random: float = 0.10
    share_seed: float = 0.05
    share_double: float = 0.10


@dataclass(frozen=True)
class QueueFrame:
    """The frame a queue is drawn from, where not all its units are handed in: how many bear no lock, the median of the known sizes."""

    unlocked: int
    median_size: float | None

    @classmethod
    def of(cls, decisions: pl.DataFrame) -> "QueueFrame":
        """Of decisions of the whole frame: ``route, size``."""
        middle = decisions["size"].cast(pl.Float64).median()
        return cls(decisions.filter(pl.col("route") != LOCK).height, middle if isinstance(middle, float) else None)


class QueueError(ValueError):
    """A queue that cannot be built; says what is missing."""


def p_error() -> pl.Expr:
    """P(error) of a decision from its columns: what is missing to certainty of the class shown; 1 where nothing is shown."""
    return (1.0 - pl.col("probability").fill_null(0.0)).clip(0.0, 1.0).alias("p_error")


def effect(median_size: float | None) -> pl.Expr:
    """``weight × size × P(error)`` of each unit.

    A size that is not known counts as the median of the known ones: zero would send exactly the unknown to the end.
    """
    known = pl.col("size").cast(pl.Float64).fill_null(1.0 if median_size is None else median_size)
    return (pl.col("weight").cast(pl.Float64).fill_null(1.0) * known.abs() * p_error()).alias("effect")


def random_inclusion(units: int, plan: QueuePlan) -> float:
    """Inclusion probability of each unit of the frame in the random part."""
    return min(1.0, plan.share_random * plan.capacity / units) if units else 0.0


def _numbers(units: pl.DataFrame, seed: int) -> pl.Series:
    return pl.Series("random", permanent_random(unit_keys(units["unit_id"]), seed))


def _parts(
    frame: pl.DataFrame, gold: Sequence[str], reserved: Sequence[str], plan: QueuePlan, unlocked: int
) -> pl.DataFrame:
    """Chosen units with ``kind`` and ``inclusion_probability``."""
    apart, open_ = pl.col("unit_id").is_in([*gold, *reserved]), pl.col("route") != LOCK
    free = frame.filter(open_ & ~apart)
    inclusion = random_inclusion(unlocked - frame.filter(open_ & apart).height, plan)
    random = free.filter(_numbers(free, plan.seed) < inclusion).with_columns(
        kind=pl.lit(RANDOM), inclusion_probability=pl.lit(inclusion)
    )
    known = frame.filter(pl.col("unit_id").is_in(list(gold)))
    known = known.with_columns(_numbers(known, plan.seed + 1)).sort("random", "unit_id")
    seeds = known.head(round(plan.share_seed * plan.capacity)).drop("random")
    seeds = seeds.with_columns(kind=pl.lit(SEED), inclusion_probability=pl.lit(None, pl.Float64))
    left = max(plan.capacity - random.height - seeds.height, 0)
    doubts = (
        free.join(random.select("unit_id"), on="unit_id", how="anti")
        .filter(pl.col("route").is_in(NOT_CODED) | ~pl.col("promised"))
        .sort(pl.col("effect"), "unit_id", descending=[True, False])
        .head(left)
        .with_columns(kind=pl.lit(EFFECT), inclusion_probability=pl.lit(None, pl.Float64))
    )
    return pl.concat([doubts, random, seeds.select(doubts.columns)])


def may_be_drawn(keys: U64, plan: QueuePlan, unlocked: int, apart: int) -> BoolArray:
    """Of :func:`taxonomy.classifier.gold.unit_keys`: which units may come into the random part, shape ``(n,)``.

    ``apart``: how many gold and reserved units there may be among the ``unlocked``; what is left is at least the frame.
    """
    return np.asarray(permanent_random(keys, plan.seed) < random_inclusion(max(unlocked - apart, 1), plan))


def build_queue(
    decisions: pl.DataFrame, plan: QueuePlan, gold: Sequence[str] = (), reserved: Sequence[str] = (),
    whole: QueueFrame | None = None,
) -> pl.DataFrame:  # fmt: skip
    """The review queue, :data:`COLUMNS`, in the order in which tasks are to be taken.

    Parameters
    ----------
    decisions
        ``unit_id, route, probability, bundle, text_hash, weight, size`` of the whole frame, one row a unit; ``promised`` (bool,
        :func:`taxonomy.classifier.promise.with_routes`) if there: coded units outside the promise are doubts too.
    gold
        Unit ids of gold with a final label. Gold is asked only as seed, whatever the model doubts of it.
    reserved
        Units that are no part of this queue's frame: gold still being coded, units a person has already decided.
    whole
        Given where ``decisions`` hold the doubts of the frame and its units of :func:`may_be_drawn` alone, and its gold and reserved units.

    Returns
    -------
    pl.DataFrame
        Effect tasks in falling order of effect; random and seed tasks are spread among them by hash, so that their place
        tells nothing. The same input gives the same queue, whatever the order of rows.

    Raises
    ------
    QueueError
        If a column is missing, a unit stands twice, or the shares do not leave room for doubts.
    """
    missing = {"unit_id", "route", "probability", "bundle", "text_hash", "weight", "size"} - set(decisions.columns)
    if missing:
        raise QueueError(f"columns {', '.join(sorted(missing))} are missing")
    if decisions["unit_id"].n_unique() != decisions.height:
        raise QueueError("a unit stands twice; the queue needs one decision a unit")
    if plan.share_random + plan.share_seed >= 1.0 or plan.capacity < 1:
        raise QueueError("random and seed parts must leave room for doubts, and the capacity must be at least 1")
    extra = [pl.lit(True).alias("promised")] if "promised" not in decisions.columns else []
    whole = QueueFrame.of(decisions) if whole is None else whole
    frame = decisions.with_columns(p_error(), effect(whole.median_size), *extra).sort("unit_id")
    tasks = _parts(frame, gold, reserved, plan, whole.unlocked)
    tasks = tasks.with_columns(
        _numbers(tasks, plan.seed + 2), double=_numbers(tasks, plan.seed + 3) < plan.share_double
    )
    tasks = tasks.with_columns(
        coders_needed=pl.when((pl.col("kind") != SEED) & pl.col("double")).then(2).otherwise(1).cast(pl.Int64)
    ).with_columns(blind=(pl.col("kind") != EFFECT) | (pl.col("coders_needed") == 2))
    return _interleave(tasks).select(COLUMNS)


def _interleave(tasks: pl.DataFrame) -> pl.DataFrame:
    """Doubts keep their order; the others take places drawn by hash among all."""
    doubts = tasks.filter(pl.col("kind") == EFFECT).sort(pl.col("effect"), "unit_id", descending=[True, False])
    others = tasks.filter(pl.col("kind") != EFFECT).sort("random", "unit_id")
    places = np.sort(
        np.argsort(permanent_random(unit_keys(tasks["unit_id"].sort()), 7), kind="stable")[: others.height]
    )
    rest = np.setdiff1d(np.arange(tasks.height), places)
    placed = [
        doubts.with_columns(position=pl.Series(rest, dtype=pl.Int64)),
        others.with_columns(position=pl.Series(places, dtype=pl.Int64)),
    ]
    return pl.concat(placed).sort("position").with_columns(pl.col("position") + 1)
