"""Training labels from the review journal: settled, about the text as it is now, of the catalogue, and never gold.

Unit level: texts come from the register in the restricted work store and stay in this process; only counts leave it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from etl.assets.register import REGISTER_CURRENT
from etl.coding import INPUT
from taxonomy.classifier.gold import NONE, with_text_hashes
from taxonomy.classifier.leakage import refuse_gold
from taxonomy.scheme import load_scheme
from warehouse.write import WorkStore

LEFT_OUT: Final[Mapping[str, tuple[str, str]]] = {
    "gold": ("标准样本单位", "gold units"),
    "undecidable": ("无法判定", "undecidable"),
    "set": ("多个编码", "more than one code"),
    "no_code": ("编码不在目录", "code not in the catalogue"),
    "gone": ("已不在名录", "no longer in the register"),
    "text_changed": ("文字已变更", "text changed since"),
    "gold_text": ("文字与标准样本相同", "same text or scope as a gold unit"),
}
"""Why a settled decision trains nothing, in the order asked; the first that holds is counted."""


@dataclass(frozen=True)
class ReviewLabels:
    """Labels that may train: ``rows`` has ``unit_id, name, business_scope, main_products, gbt_code, ai_class``, sorted by
    unit; ``left_out`` counts the other settled units by reason (:data:`LEFT_OUT`, all of them, zero included)."""

    rows: pl.DataFrame
    left_out: Mapping[str, int]


def register_texts(work: WorkStore, unit_ids: Collection[str]) -> pl.DataFrame:
    """What the classifier reads of the wanted units, in chunks: ``unit_id, name, business_scope, main_products, gbt_code``.

    LookupError when the register has not been collected yet.
    """
    wanted = list(unit_ids)
    chunks = work.batches(REGISTER_CURRENT, ["uscc", *INPUT[1:]])
    return pl.concat([c.rename({"uscc": "unit_id"}).filter(pl.col("unit_id").is_in(wanted)) for c in chunks])


def review_labels(decisions: pl.DataFrame, gold: pl.DataFrame, texts: pl.DataFrame) -> ReviewLabels:
    """The settled decisions that may train, and how many may not and why.

    Parameters
    ----------
    decisions
        :func:`warehouse.review_results.decisions`.
    gold
        :func:`warehouse.review_results.gold_texts`: every unit ever drawn, with the hashes of its text.
    texts
        :func:`register_texts` of those units.

    Raises
    ------
    taxonomy.classifier.gold.LeakageError
        If a gold unit or its text were among the result all the same.
    """
    catalogue = [NONE, *(c.code for c in load_scheme("ai_industry_2026").codes)]
    now = with_text_hashes(texts).rename({"text_hash": "text_now"})
    rows = decisions.join(now, on="unit_id", how="left", validate="1:1", maintain_order="left").with_columns(
        ai_class=pl.col("codes").list.first()
    )
    whole, scopes = (gold[c].drop_nulls().unique().to_list() for c in ("text_hash", "scope_hash"))
    held = {
        "gold": pl.col("is_gold") | pl.col("unit_id").is_in(gold["unit_id"].to_list()),
        "undecidable": pl.col("codes").list.len() == 0,
        "set": pl.col("codes").list.len() > 1,
        "no_code": ~pl.col("ai_class").is_in(catalogue),
        "gone": pl.col("text_now").is_null(),
        "text_changed": pl.col("text_now") != pl.col("text_hash"),
        "gold_text": pl.col("text_now").is_in(whole) | pl.col("scope_hash").is_in(scopes).fill_null(False),
    }
    reason = pl.coalesce([pl.when(test).then(pl.lit(name)) for name, test in held.items()])
    judged = rows.with_columns(reason=reason)
    used = judged.filter(pl.col("reason").is_null()).sort("unit_id")
    refuse_gold(used.select(*INPUT), gold)
    counts = dict(judged.drop_nulls("reason")["reason"].value_counts().iter_rows())
    return ReviewLabels(used.select(*INPUT, "ai_class"), {name: counts.get(name, 0) for name in LEFT_OUT})
