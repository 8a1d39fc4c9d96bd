"""The text of a company's public algorithm filings as an input of the classifier: linked by name, never a decision.

A filing shows the use of an algorithm, not membership of the AI industry: its words can send a unit to review, no more
(:func:`taxonomy.classifier.decide.decide`). That a unit has filed says nothing by itself.
"""

from typing import Final

import polars as pl

from taxonomy.classifier.normalize import fold

FILING_TEXT: Final = "filing_text"


def _key(name: pl.Expr) -> pl.Expr:
    return fold(name).str.replace_all(r"\s", "")


def filing_texts(filings: pl.DataFrame) -> pl.DataFrame:
    """One row a company: ``company`` (folded, without spaces), ``filing_text``.

    ``filings`` has ``company, product, purpose, filing_no`` (String). Distinct products and purposes, each once, in the
    order of the filing numbers, separated by ；.
    """
    words = pl.concat_list("product", "purpose")
    return (
        filings.sort("filing_no")
        .select(_key(pl.col("company")).alias("company"), words.alias("word"))
        .explode("word")
        .with_columns(pl.col("word").str.strip_chars())
        .filter(pl.col("word").is_not_null() & (pl.col("word") != ""))
        .unique(["company", "word"], keep="first", maintain_order=True)
        .group_by("company", maintain_order=True)
        .agg(pl.col("word").str.join("；").alias(FILING_TEXT))
    )


def with_filing_text(units: pl.DataFrame, texts: pl.DataFrame | None) -> pl.DataFrame:
    """Add ``filing_text`` to units by their ``name``; null where there is none (``texts``: :func:`filing_texts`)."""
    if texts is None or texts.height == 0:
        return units.with_columns(pl.lit(None, pl.String).alias(FILING_TEXT))
    keyed = units.with_columns(_key(pl.col("name")).alias("_company"))
    return keyed.join(
        texts, left_on="_company", right_on="company", how="left", validate="m:1", maintain_order="left"
    ).drop("_company")
