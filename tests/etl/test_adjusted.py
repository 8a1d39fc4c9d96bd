"""Counts as classified beside corrected counts: on decisions whose truth is known, and why there are none."""

import numpy as np
import polars as pl

from etl.adjusted import REASONS, adjusted_rows
from taxonomy.classifier.gold import GoldPlan, draw_sample, with_text_hashes

BUNDLE = "b1"


def city(n: int, seed: int) -> tuple[pl.DataFrame, list[str]]:
    """Decisions of a classifier that codes 3 % of the not-AI units core and misses a tenth of the AI units; the truth."""
    random = np.random.default_rng(seed)
    truth = random.choice(["A", "B", "none"], n, p=[0.03, 0.02, 0.95])
    wrong = random.random(n)
    shown = [
        ("B31" if w < 0.03 else "none") if t == "none" else ("none" if w < 0.10 else {"A": "A11", "B": "B31"}[t])
        for t, w in zip(truth, wrong, strict=True)
    ]
    p = np.where(random.random(n) < 0.5, 0.9, 0.97)
    frame = pl.DataFrame(
        {
            "unit_id": [f"u{i:06d}" for i in range(n)],
            "name": [f"单位{i}" for i in range(n)],
            "business_scope": [f"业务{i}" for i in range(n)],
            "main_products": pl.Series([None] * n, dtype=pl.String),
            "ai_class": [None if s == "none" else s for s in shown],
            "segment": ["none" if s == "none" else "core" for s in shown],
            "p_ai": [1 - x if s == "none" else x for s, x in zip(shown, p, strict=True)],
            "probability": p,
            "route": ["model"] * n,
            "bundle": [BUNDLE] * n,
        }
    )
    return with_text_hashes(frame), list(truth)


def labelled(frame: pl.DataFrame, truth: list[str], size: int) -> pl.DataFrame:
    units = draw_sample(frame, GoldPlan(seed=1, size=size)).units
    known = dict(zip(frame["unit_id"], truth, strict=True))
    code = {"A": "A11", "B": "B31", "none": "none"}
    return units.with_columns(codes=pl.Series([[code[known[u]]] for u in units["unit_id"]]))


def test_the_corrected_count_removes_most_of_the_bias() -> None:
    frame, truth = city(40_000, 3)
    rows, why = adjusted_rows(frame, labelled(frame, truth, 2_000))
    assert why == "" and [r["code"] for r in rows][:3] == ["core", "A", "B"]
    total = rows[0]
    true = sum(t != "none" for t in truth)
    assert total["plain"] > 1.3 * true, "three per cent of false alarms outweigh the industry"
    assert abs(total["adjusted"] / true - 1) < 0.15
    assert total["lower"] < true < total["upper"]
    parts = [r for r in rows if r["code"] != "core"]
    assert abs(sum(r["adjusted"] for r in parts) - total["adjusted"]) < 1e-6 * total["adjusted"]
    assert abs(sum(r["plain"] for r in parts) - total["plain"]) < 1e-9


def test_locked_units_count_for_certain() -> None:
    frame, truth = city(20_000, 4)
    gold = labelled(frame, truth, 1_500)
    before = adjusted_rows(frame, gold)[0][0]
    lock = pl.DataFrame({**{c: [None] for c in frame.columns}}, schema=frame.schema).with_columns(
        unit_id=pl.lit("x"), ai_class=pl.lit("A11"), segment=pl.lit("core"), route=pl.lit("lock"), bundle=pl.lit(BUNDLE)
    )
    after = adjusted_rows(pl.concat([frame, lock]), gold)[0][0]
    assert after["plain"] == before["plain"] + 1 and abs(after["adjusted"] - before["adjusted"] - 1) < 1e-6


def test_there_are_none_without_fitting_gold() -> None:
    frame, truth = city(5_000, 5)
    gold = labelled(frame, truth, 600)
    assert adjusted_rows(frame, None) == ([], "no_gold")
    assert adjusted_rows(frame.with_columns(bundle=pl.lit("b2")), gold) == ([], "other_bundle")
    open_ = gold.with_columns(codes=pl.when(pl.col("unit_id") == gold["unit_id"][0]).then(None).otherwise("codes"))
    assert adjusted_rows(frame, open_) == ([], "unfinished")
    assert adjusted_rows(frame, gold.filter(pl.col("group") != "A")) == ([], "new_strata")
    assert all(len(texts) == 2 for texts in REASONS.values())
