"""The review queue after a release: which units are asked, and the evidence file the desk reads."""

from datetime import date
from pathlib import Path
from typing import Any, Final

import polars as pl

from etl.assets.process import CODE_UNIT, UNIT_YEAR
from etl.assets.register import REGISTER_CURRENT
from etl.promise import NEEDED, standing
from etl.text_hashes import TEXT_HASH, refresh_hashes
from taxonomy.classifier.gold import LOCK, NOT_CODED, GoldPlan
from taxonomy.classifier.promise import Promise
from taxonomy.classifier.review import QueueFrame, QueuePlan, build_queue, may_be_drawn
from warehouse.catalogue import load_yaml
from warehouse.evidence import evidence_folder
from warehouse.evidence_write import write_evidence_file
from warehouse.review_journal import ReviewJournal
from warehouse.review_results import gold_units, open_tasks, settled_units
from warehouse.write import WorkStore

DECISION: Final = ("unit_id", "ai_class", "route", "p_ai", "probability", "bundle")
OWN_TEXTS: Final = ("name", "business_scope", "main_products", "gbt_code")


def review_settings() -> dict[str, Any]:
    """``warehouse/metadata/review.yaml``."""
    return load_yaml("review")


def queue_plan(vintage: date) -> QueuePlan:
    """The plan of a night: seeded by the quarter of its vintage, so that the random part stays while a quarter lasts."""
    rules = dict(review_settings()["queue"])
    quarter = 4 * vintage.year + (vintage.month - 1) // 3
    # Each plan uses a few consecutive seeds; ten apart, two quarters never share one.
    return QueuePlan(seed=rules.pop("base_seed") + 10 * quarter, **rules)


def gold_plan(seed: int) -> GoldPlan:
    """The plan of a gold sample."""
    rules = {k: v for k, v in review_settings()["gold"].items() if k != "max_age_days"}
    return GoldPlan(seed=seed, **rules)


def effect_sizes(unit_year: pl.DataFrame) -> pl.DataFrame:
    """``unit_id, size`` where revenue is known: the mean of two relative effects, on the count (1 a unit) and on revenue

    (latest known revenue over the mean of all).
    """
    known = unit_year.filter(pl.col("revenue_known").is_not_null()).sort("uscc", "ref_year")
    latest = known.group_by("uscc", maintain_order=True).agg(pl.col("revenue_known").last().cast(pl.Float64))
    relative = pl.col("revenue_known") / pl.col("revenue_known").mean()
    return latest.select(pl.col("uscc").alias("unit_id"), ((1.0 + relative) / 2.0).alias("size"))


def review_units(placed: pl.DataFrame, codes: pl.DataFrame, sizes: pl.DataFrame) -> pl.DataFrame:
    """Coded units with what a queue or a sample is drawn by: decision, hashes of the texts, ``area``, ``weight``, ``size``.

    ``placed``: ``unit_id, text_hash, scope_hash, operating_district, registered_district``; ``sizes``: :func:`effect_sizes`,
    null where no revenue is known. The register is complete, so every weight is one.
    """
    districts = ("operating_district", "registered_district")
    placed = placed.with_columns(area=pl.coalesce(*districts)).drop(districts)
    joined = codes.join(placed, on="unit_id", how="inner", validate="1:1")
    joined = joined.join(sizes, on="unit_id", how="left", validate="1:1")
    return joined.with_columns(weight=pl.lit(1.0)).select(pl.exclude("size"), "size").sort("unit_id")


def _sizes(work: WorkStore) -> pl.DataFrame:
    """:func:`effect_sizes` of the units that are coded."""
    years = work.read(UNIT_YEAR, ["uscc", "ref_year", "revenue_known"])
    coded = work.matching(CODE_UNIT, ["unit_id"], years["uscc"].alias("unit_id"))
    return effect_sizes(years.join(coded, left_on="uscc", right_on="unit_id", how="semi"))


def units_of(work: WorkStore, ids: pl.Series | None = None) -> pl.DataFrame:
    """:func:`review_units` of the work store, all or those of ``ids``; texts and evidence stay there."""
    refresh_hashes(work)
    hashed, places = ["unit_id", "text_hash", "scope_hash"], ["uscc", "operating_district", "registered_district"]
    asked = ((TEXT_HASH, hashed, "unit_id"), (REGISTER_CURRENT, places, "uscc"), (CODE_UNIT, list(DECISION), "unit_id"))
    hashes, register, codes = (
        work.read(table, columns) if ids is None else work.matching(table, columns, ids.alias(key))
        for table, columns, key in asked
    )
    placed = hashes.join(register.rename({"uscc": "unit_id"}), on="unit_id", how="inner", validate="1:1")
    return review_units(placed, codes, _sizes(work))


def _drawable(work: WorkStore, plan: QueuePlan, unlocked: int, apart: int) -> pl.Series:
    """Units that may come into the random part of a queue."""
    drawn = [pl.Series("unit_key", [], dtype=pl.UInt64)]
    for part in work.batches(TEXT_HASH, ["unit_key"], any_order=True):
        drawn.append(
            part["unit_key"].filter(pl.Series(may_be_drawn(part["unit_key"].to_numpy(), plan, unlocked, apart)))
        )
    return work.matching(TEXT_HASH, ["unit_id"], pl.concat(drawn))["unit_id"]


def _doubts(work: WorkStore, promise: Promise | None) -> pl.Series:
    """Units left open by the classifier, or that the promise does not let stand."""
    open_ = work.matching(CODE_UNIT, ["unit_id"], pl.Series("route", list(NOT_CODED)))["unit_id"]
    if promise is None:
        return open_
    stands = standing(work.read(CODE_UNIT, NEEDED, any_order=True), promise)
    return pl.concat([open_, stands.filter(~pl.col("promised"))["unit_id"]])


def queue_units(
    work: WorkStore, journal: ReviewJournal, plan: QueuePlan, promise: Promise | None = None
) -> tuple[pl.DataFrame, QueueFrame]:
    """Units :func:`open_queue` can choose from or has to leave out, and the frame they stand for: what it does with all of them."""
    refresh_hashes(work)
    routes = dict(work.tally(CODE_UNIT, ["route"]).iter_rows())
    unlocked = sum(n for route, n in routes.items() if route not in (LOCK, None))
    apart = pl.concat([gold_units(journal)["unit_id"], settled_units(journal)["unit_id"]]).unique()
    chosen = [apart, _drawable(work, plan, unlocked, apart.len()), _doubts(work, promise)]
    middle = _sizes(work)["size"].median()
    return units_of(work, pl.concat(chosen).unique()), QueueFrame(
        unlocked, middle if isinstance(middle, float) else None
    )


def open_queue(
    journal: ReviewJournal, units: pl.DataFrame, release_id: str, plan: QueuePlan, promise: Promise | None = None,
    whole: QueueFrame | None = None,
) -> pl.DataFrame:  # fmt: skip
    """Build the queue of a release and make it the current batch; returns it with ``area``.

    ``units``: all of the frame, or those of :func:`queue_units` with the frame they stand for.

    With a ``promise``, codes that it does not let stand are doubts like those left open; without one (no gold, nothing
    promised) coded units are asked only at random.

    Units a person has settled on their present text are not asked again; gold with a label is asked only as seed, gold
    without one only by its two coders.
    """
    units = units if promise is None else standing(units, promise)
    gold = gold_units(journal)
    labelled = gold.filter(pl.col("codes").list.len() > 0)["unit_id"].to_list()
    waiting = gold.filter(~pl.col("unit_id").is_in(labelled))["unit_id"].to_list()
    settled = units.join(settled_units(journal), on=["unit_id", "text_hash"], how="semi")["unit_id"].to_list()
    queue = build_queue(units, plan, gold=labelled, reserved=[*waiting, *settled], whole=whole)
    queue = queue.join(units.select("unit_id", "area"), on="unit_id", how="left", maintain_order="left")
    journal.open_batch(release_id, queue)
    return queue


def refresh_queue(
    work: WorkStore, journal: ReviewJournal, release_id: str, plan: QueuePlan, promise: Promise | None
) -> pl.DataFrame:
    """:func:`open_queue` of the work store's register; reads whole units only where they may be asked."""
    units, whole = queue_units(work, journal, plan, promise)
    return open_queue(journal, units, release_id, plan, promise, whole)


def write_evidence(root: Path, release_id: str, journal: ReviewJournal) -> int:
    """Write ``evidence/<release id>.duckdb`` for the units of open tasks and of those waiting for adjudication.

    Texts and evidence are read from the work store, whose run lock the caller holds. Returns how many units it holds.
    """
    waiting = pl.DataFrame({"unit_id": [w["unit_id"] for w in journal.waiting()]}, schema={"unit_id": pl.String})
    wanted = pl.concat([open_tasks(journal).select("unit_id"), waiting]).unique()
    work = WorkStore(root)
    chosen = units_of(work, wanted["unit_id"]).select("unit_id", "area", "text_hash")
    texts = work.matching(REGISTER_CURRENT, ["uscc", *OWN_TEXTS], chosen["unit_id"].alias("uscc"))
    decided = work.matching(CODE_UNIT, [*DECISION, "candidates", "evidence"], chosen["unit_id"])
    chosen = chosen.join(texts.rename({"uscc": "unit_id"}), on="unit_id").join(decided, on="unit_id")
    write_evidence_file(evidence_folder(root), release_id, chosen)
    return chosen.height
