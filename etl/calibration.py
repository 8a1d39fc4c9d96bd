"""Calibrating a trained bundle on the gold of the journal: at training, never at night, and never as training text."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from etl.assets.register import REGISTER_CURRENT
from etl.coding import coding_input
from taxonomy.classifier.bundle import Bundle
from taxonomy.classifier.gold import assert_no_leakage, stale, with_text_hashes
from taxonomy.classifier.gold_use import calibrated
from warehouse.catalogue import load_yaml
from warehouse.review_journal import ReviewJournal
from warehouse.review_results import gold_units
from warehouse.write import WorkStore


@dataclass(frozen=True)
class Outcome:
    """The bundle to store, and what gold did to it."""

    bundle: Bundle
    said_zh: str
    said_en: str


def _register_units(work: WorkStore, wanted: pl.Series) -> pl.DataFrame:
    """What the classifier reads of some units, as the register has them now, with their text hashes."""
    known = wanted.unique().implode()
    rows = [chunk.filter(pl.col("uscc").is_in(known)) for chunk in work.batches(REGISTER_CURRENT)]
    return with_text_hashes(coding_input(pl.concat(rows)))


def usable_gold(root: Path, today: date) -> pl.DataFrame:
    """The newest sample's units that still are what was coded, with their texts: no label has expired, no text changed."""
    gold = gold_units(ReviewJournal(root))
    work = WorkStore(root)
    if gold.height == 0 or not work.exists(REGISTER_CURRENT):
        return gold.clear()
    units = _register_units(work, gold["unit_id"])
    marked = stale(gold, today, int(load_yaml("review")["gold"]["max_age_days"]), units.select("unit_id", "text_hash"))
    fresh = marked.filter(pl.col("stale_reason").is_null()).select(
        "unit_id", "sample", "inclusion_probability", "codes"
    )
    return fresh.join(units, on="unit_id", how="inner", validate="1:1")


def calibrate_on_gold(bundle: Bundle, root: Path, labels: pl.DataFrame | None, today: date) -> Outcome:
    """Fit the temperatures of a freshly trained bundle on the part of the newest gold sample set apart for it.

    Parameters
    ----------
    labels
        What the bundle was trained on (``name, business_scope, main_products``), None for nothing.

    Raises
    ------
    taxonomy.classifier.gold.LeakageError
        If a gold unit, or another unit with its very scope, is among the labels: a model is not calibrated on what it
        was taught.
    """
    gold = usable_gold(root, today)
    if gold.height == 0:
        return Outcome(bundle, "没有可用的金标准，未校准", "no usable gold: not calibrated")
    if labels is not None:
        hashed = with_text_hashes(labels)
        known = {*hashed["text_hash"].to_list(), *hashed["scope_hash"].drop_nulls().to_list()}
        assert_no_leakage(known, gold)
    share = float(load_yaml("review")["promise"]["calibration_share"])
    found = calibrated(bundle, gold, str(gold["sample"][0]), share)
    if found is bundle:
        return Outcome(bundle, "金标准不足，未校准", "too little gold: not calibrated")
    c = found.calibration
    return Outcome(
        found,
        f"以 {c.gold} 个金标准单位校准，温度 核心 {c.core:.2f}、叶类 {c.leaf:.2f}",
        f"calibrated on {c.gold} gold units, temperatures core {c.core:.2f}, leaf {c.leaf:.2f}",
    )
