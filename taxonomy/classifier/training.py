"""Training texts: the words of the classifications and our phrase lists; never demo, gold or register data."""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import polars as pl

from taxonomy.classifier.linear import Sample
from taxonomy.classifier.normalize import fold_text, phrase_frame, phrases_of
from taxonomy.correspondence import load_correspondence
from taxonomy.scheme import Code, load_scheme

NONE: Final = "none"
PHRASES: Final = Path(__file__).parent.parent / "phrases"
MIN_SUPPORT: Final = 3
MIN_PURITY: Final = 0.6
_NOTE: Final = re.compile(r"[（(].*?[)）]")


@cache
def leaves() -> tuple[str, ...]:
    """Core leaf codes in official order."""
    scheme = load_scheme("ai_industry_2026")
    return tuple(c.code for c in scheme.at_level(3) if c.segment == "core")


@cache
def related_codes() -> tuple[str, ...]:
    """Related codes (R…) at every level, in official order."""
    return tuple(c.code for c in load_scheme("ai_industry_2026").codes if c.segment == "related")


def classes() -> tuple[str, ...]:
    """Classes of the text model: none, then the core leaves."""
    return (NONE, *leaves())


def _rows(name: str) -> list[dict[str, str]]:
    with (PHRASES / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def generic_phrases() -> frozenset[str]:
    """Folded phrases that say nothing about the industry."""
    return frozenset(fold_text(row["phrase"]) for row in _rows("generic.csv"))


@dataclass(frozen=True, slots=True)
class Entry:
    """A phrase of the dictionary: the leaf it speaks for, how purely (0-1), on how many adjudicated units (0: official)."""

    leaf: str
    purity: float = 1.0
    support: int = 0


def dictionary() -> dict[str, Entry]:
    """Folded phrase → entry: standard scope phrases and the catalogue's own includes, word for word."""
    scheme = load_scheme("ai_industry_2026")
    found = {fold_text(text): Entry(code) for code in leaves() for text in scheme.get(code).includes}
    terms = [row for row in _rows("scope_terms.csv") if row["ai_code"]]
    return found | {fold_text(row["term_zh"]): Entry(row["ai_code"]) for row in terms}


def learned_entries(labels: pl.DataFrame, known: Mapping[str, Entry], generic: frozenset[str]) -> dict[str, Entry]:
    """Phrases of adjudicated units that stand for one leaf nearly alone (purity weights as in the Census Bureau's BEACON).

    ``labels`` has ``business_scope``, ``main_products`` and ``ai_class`` (leaf, related or none). A phrase enters with at least
    ``MIN_SUPPORT`` units and ``MIN_PURITY``; official phrases (``known``) and generic ones keep their meaning.
    """
    texts = labels.with_row_index("row").select("row", "ai_class", pl.concat_list("business_scope", "main_products"))
    long = texts.explode("business_scope").drop_nulls("business_scope").rename({"business_scope": "text"})
    table = phrase_frame(long.select("row", pl.lit(1, pl.UInt8).alias("field"), "text"), generic)
    joined = table.select("row", "phrase").unique().join(texts.select("row", "ai_class"), on="row")
    counts = joined.group_by("phrase", "ai_class").len().with_columns(n=pl.col("len").sum().over("phrase"))
    kept = counts.with_columns(purity=pl.col("len") / pl.col("n")).filter(
        (pl.col("n") >= MIN_SUPPORT) & (pl.col("purity") >= MIN_PURITY) & pl.col("ai_class").is_in(list(leaves()))
    )
    rows = kept.sort("phrase").select("phrase", "ai_class", "purity", "n").iter_rows()
    return {phrase: Entry(leaf, round(purity, 6), n) for phrase, leaf, purity, n in rows if phrase not in known}


def _leaf_samples(code: Code, weights: Mapping[str, float]) -> Iterator[Sample]:
    residual = code.code.endswith("90")
    texts = [("leaf_name", code.name_zh)] if not residual else []
    texts += [("includes", t) for t in code.includes] + [("products", t) for t in code.key_products]
    texts += [("definition", p) for p in phrases_of([code.definition_zh])[0]] if not residual else []
    for kind, text in texts:
        yield Sample(fold_text(text), code.code, weights[kind])
    for text in code.excludes:
        if "不计入" in text:
            yield Sample(fold_text(_NOTE.sub("", text)), NONE, weights["neighbour"])


def _gbt_samples(weights: Mapping[str, float]) -> Iterator[Sample]:
    links = load_correspondence("ai_2026__gbt4754_2017")
    full = {link.to_code: link.from_code for link in links if link.coverage == "full"}
    partial = {link.to_code for link in links if link.coverage == "partial" and not link.from_code.startswith("R")}
    codes = load_scheme("gbt4754_2017").codes
    for code, phrases in zip(codes, phrases_of([c.definition_zh for c in codes]), strict=True):
        label = full.get(code.code, NONE)
        weight = weights["gbt_partial_name" if code.code in partial else "gbt_name"]
        if label == NONE and code.level == 4 and code.code[:3] in {c[:3] for c in full}:
            weight = weights["gbt_partial_name"]
        yield Sample(fold_text(code.name_zh), label, weight)
        if code.level == 4 and code.code not in partial:
            for phrase in phrases:
                yield Sample(phrase, label, weights["gbt_description"])


def samples(weights: Mapping[str, float]) -> list[Sample]:
    """All training samples; ``weights`` by kind of text (``rules/decision.yaml``)."""
    scheme = load_scheme("ai_industry_2026")
    found = [s for code in leaves() for s in _leaf_samples(scheme.get(code), weights)]
    for row in _rows("scope_terms.csv"):
        label = row["ai_code"] or NONE
        found.append(Sample(fold_text(row["term_zh"]), label, weights["includes" if row["ai_code"] else "neighbour"]))
    found += [Sample(fold_text(row["phrase"]), NONE, weights["neighbour"]) for row in _rows("neighbours.csv")]
    found += list(_gbt_samples(weights))
    return [s for s in found if len(s.text) > 1]
