"""Training texts: the words of the classifications and our phrase lists; never demo, gold or register data."""

import csv
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

from taxonomy.classifier.linear import Sample
from taxonomy.classifier.normalize import fold_text, phrases_of
from taxonomy.correspondence import load_correspondence
from taxonomy.scheme import Code, load_scheme

NONE: Final = "none"
PHRASES: Final = Path(__file__).parent.parent / "phrases"
_NOTE: Final = re.compile(r"[（(].*?[)）]")


@cache
def leaves() -> tuple[str, ...]:
    """Core leaf codes in official order."""
    scheme = load_scheme("ai_industry_2026")
    return tuple(c.code for c in scheme.at_level(3) if c.segment == "core")


def classes() -> tuple[str, ...]:
    """Classes of the text model: none, then the core leaves."""
    return (NONE, *leaves())


def _rows(name: str) -> list[dict[str, str]]:
    with (PHRASES / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def generic_phrases() -> frozenset[str]:
    """Folded phrases that say nothing about the industry."""
    return frozenset(fold_text(row["phrase"]) for row in _rows("generic.csv"))


def dictionary() -> dict[str, str]:
    """Folded phrase → leaf: standard scope phrases and the catalogue's own includes, word for word."""
    scheme = load_scheme("ai_industry_2026")
    found = {fold_text(text): code for code in leaves() for text in scheme.get(code).includes}
    return found | {fold_text(row["term_zh"]): row["ai_code"] for row in _rows("scope_terms.csv") if row["ai_code"]}


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
