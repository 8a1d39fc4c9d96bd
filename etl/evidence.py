"""The review queue after a release: which units are asked, and the evidence file the desk reads."""

from datetime import date
from pathlib import Path
from typing import Any, Final

import polars as pl

from etl.assets.process import CODE_UNIT, UNIT_YEAR
from etl.assets.register import REGISTER_CURRENT
from etl.promise import standing
from etl.text_hashes import TEXT_HASH, refresh_hashes
from taxonomy.classifier.gold import GoldPlan
from taxonomy.classifier.promise import Promise
from taxonomy.classifier.review import QueuePlan, build_queue
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


def review_units(placed: pl.DataFrame, codes: pl.DataFrame, unit_year: pl.DataFrame) -> pl.DataFrame:
    """Every coded unit with what a queue or a sample is drawn by: its decision, hashes of its texts, ``area``, ``weight``, ``size``.

    ``placed``: ``unit_id, text_hash, scope_hash, operating_district, registered_district``. ``size`` is the mean of two
    relative effects, on the count (1 a unit) and on revenue (latest known revenue over its mean); null where no revenue is
    known. The register is complete, so every weight is one.
    """
    revenue = (
        unit_year.filter(pl.col("revenue_known").is_not_null())
        .sort("uscc", "ref_year")
        .group_by("uscc", maintain_order=True)
        .agg(pl.col("revenue_known").last().cast(pl.Float64).alias("revenue"))
    )
    districts = ("operating_district", "registered_district")
    placed = placed.with_columns(area=pl.coalesce(*districts)).drop(districts)
    joined = codes.join(placed, on="unit_id", how="inner", validate="1:1")
    joined = joined.join(revenue, left_on="unit_id", right_on="uscc", how="left", validate="1:1")
    relative = pl.col("revenue") / pl.col("revenue").mean()
    return joined.with_columns(weight=pl.lit(1.0), size=(1.0 + relative) / 2.0).drop("revenue").sort("unit_id")


def units_of(work: WorkStore) -> pl.DataFrame:
    """:func:`review_units` of the work store; texts and evidence stay there."""
    refresh_hashes(work)
    places = work.read(REGISTER_CURRENT, ["uscc", "operating_district", "registered_district"])
    hashes = work.read(TEXT_HASH, ["unit_id", "text_hash", "scope_hash"])
    placed = hashes.join(places.rename({"uscc": "unit_id"}), on="unit_id", how="inner", validate="1:1")
    return review_units(
        placed, work.read(CODE_UNIT, DECISION), work.read(UNIT_YEAR, ["uscc", "ref_year", "revenue_known"])
    )


def open_queue(
    journal: ReviewJournal, units: pl.DataFrame, release_id: str, plan: QueuePlan, promise: Promise | None = None
) -> pl.DataFrame:
    """Build the queue of a release and make it the current batch; returns it with ``area``.

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
    queue = build_queue(units, plan, gold=labelled, reserved=[*waiting, *settled])
    queue = queue.join(units.select("unit_id", "area"), on="unit_id", how="left", maintain_order="left")
    journal.open_batch(release_id, queue)
    return queue


def write_evidence(root: Path, release_id: str, units: pl.DataFrame, journal: ReviewJournal) -> int:
    """Write ``evidence/<release id>.duckdb`` for the units of open tasks and of those waiting for adjudication.

    ``units`` as :func:`units_of` gives them; texts and evidence are read from the work store, whose run lock the caller holds.
    Returns how many units it holds.
    """
    waiting = pl.DataFrame({"unit_id": [w["unit_id"] for w in journal.waiting()]}, schema={"unit_id": pl.String})
    wanted = pl.concat([open_tasks(journal).select("unit_id"), waiting]).unique()
    work = WorkStore(root)
    chosen = units.join(wanted, on="unit_id", how="semi").select("unit_id", "area", "text_hash")
    texts = work.matching(REGISTER_CURRENT, ["uscc", *OWN_TEXTS], chosen["unit_id"].alias("uscc"))
    decided = work.matching(CODE_UNIT, [*DECISION, "candidates", "evidence"], chosen["unit_id"])
    chosen = chosen.join(texts.rename({"uscc": "unit_id"}), on="unit_id").join(decided, on="unit_id")
    write_evidence_file(evidence_folder(root), release_id, chosen)
    return chosen.height
