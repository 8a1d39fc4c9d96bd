"""Gold never trains (标准样本不得进入训练): training units against every gold unit, by id and by normalised text."""

from typing import Final

import polars as pl

from taxonomy.classifier.gold import LeakageError, assert_no_leakage, with_text_hashes

REMEDY: Final = "take them out of the training set: gold judges the model and never trains it"


def refuse_gold(rows: pl.DataFrame, gold: pl.DataFrame) -> None:
    """Refuse training rows among which stands a gold unit, a gold unit's whole text, or its scope.

    Parameters
    ----------
    rows
        What is to train: ``unit_id`` (null where unknown), ``name``, ``business_scope``, ``main_products``.
    gold
        ``unit_id, text_hash`` and, if there, ``scope_hash`` (:func:`taxonomy.classifier.gold.with_text_hashes`; null where
        a text is not known).

    Raises
    ------
    LeakageError
        Saying what leaks. It names no unit: the message may be printed and logged.
    """
    ids = rows["unit_id"].cast(pl.String).is_in(gold["unit_id"].drop_nulls().unique().to_list()).fill_null(False)
    if ids.any():
        raise LeakageError(f"{ids.sum()} training rows are gold units; {REMEDY}")
    hashed = with_text_hashes(rows)
    try:
        assert_no_leakage([*hashed["text_hash"], *hashed["scope_hash"].drop_nulls()], gold)
    except LeakageError:
        raise LeakageError(f"training rows carry the text or the scope of a gold unit; {REMEDY}") from None
