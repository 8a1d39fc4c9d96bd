"""The annexes of a draft: definitions, notes on methods, and the list of every fact in it."""

from typing import TYPE_CHECKING

from warehouse import format as fmt
from warehouse.cube import stage_names
from warehouse.report.document import Block, Draft, FactRun, Heading, Landscape, Paragraph, Piece, Table
from warehouse.report.facts import Fact, FactUnavailable

if TYPE_CHECKING:
    from warehouse.report.draft import Writer

RULE_INDICATOR = "ai_enterprises"
MODEL_DATASET = "core_leaf_year"


def annex(writer: "Writer", draft: Draft) -> list[Block]:
    """What follows the text; the list of facts covers the other annexes too."""
    indicators = list(dict.fromkeys(f.key.indicator for f in draft.facts()))
    blocks = [*_definitions(writer, indicators), *_methods(writer, draft)]
    complete = Draft(**{**vars(draft), "blocks": [*draft.blocks, *blocks]})
    return [*blocks, *_trace(writer, complete)]


def _definitions(writer: "Writer", indicators: list[str]) -> list[Block]:
    blocks: list[Block] = [Heading(1, writer.template["annex"]["definitions"])]
    for indicator in indicators:
        card = writer.release.indicator(indicator)
        name, text, note = (
            (card.name_en, card.definition_en, card.note_en)
            if writer.lang == "en"
            else (card.name_zh, card.definition_zh, card.note_zh)
        )
        mark = ": " if writer.lang == "en" else "："
        blocks.append(Paragraph((f"{name}{mark}{text}{note}",), note=True))
    return blocks


def _methods(writer: "Writer", draft: Draft) -> list[Block]:
    words = writer.template["annex"]
    rule = writer.release.indicator(RULE_INDICATOR)
    definition = rule.definition_en if writer.lang == "en" else rule.definition_zh
    return [
        Heading(1, words["methods"]),
        Paragraph((words["rule"].replace("{definition}", definition),), note=True),
        Paragraph((words["model"],), note=True),
        _model_table(writer, draft),
        Paragraph((words["cells"],), note=True),
        _cells_table(writer, draft),
    ]


def _model_table(writer: "Writer", draft: Draft) -> Table:
    words = writer.template["annex"]
    rows: list[tuple[Piece, ...]] = []
    for indicator in dict.fromkeys(f.key.indicator for f in draft.facts() if f.key.dataset == MODEL_DATASET):
        try:
            cell: Piece = writer.fact("model", MODEL_DATASET, indicator, {}, "number")
        except FactUnavailable as reason:
            cell = reason.symbol
        rows.append((writer.indicator_name(indicator), cell))
    caption = words["model_caption"].replace("{year}", writer.year)
    return Table(caption, tuple(words["model_head"]), tuple(rows), writer.source(MODEL_DATASET), (3, 2))


def _cells_table(writer: "Writer", draft: Draft) -> Table:
    words = writer.template["annex"]
    rows: list[tuple[Piece, ...]] = []
    datasets = [d for d in writer.release.datasets() if d.protected and d.id.startswith("core_")]
    for dataset in datasets:
        counts = [writer.fact("cells", dataset.id, "", {"conf_status": s}, "number") for s in ("F", "C")]
        rows.append((dataset.title_en if writer.lang == "en" else dataset.title_zh, *counts))
    caption = words["cells_caption"].replace("{year}", writer.year)
    return Table(caption, tuple(words["cells_head"]), tuple(rows), writer.source(datasets[0].id), (3, 2, 2))


def _trace(writer: "Writer", draft: Draft) -> list[Block]:
    words = writer.template["annex"]
    rows = [_trace_row(writer, fact) for fact in draft.facts()]
    table = Table(
        caption=words["trace_caption"],
        head=tuple(words["trace_head"]),
        rows=tuple(rows),
        source=writer.stamp(),
        widths=(13, 33, 17, 8, 12, 8, 14, 12, 26),
        wide=True,
        left=(0, 1, 2, 6, 8),
    )
    return [Landscape(), Heading(1, words["trace"]), Paragraph((words["trace_text"],), note=True), table]


def _trace_row(writer: "Writer", fact: Fact) -> tuple[Piece, ...]:
    key, words = fact.key, writer.words
    dataset = writer.release.dataset(key.dataset)
    if key.kind == "cells":
        name, scope = words["cells"][dict(key.dimensions)["conf_status"]], words["city"]
    else:
        name = writer.indicator_name(key.indicator)
        labels = writer.labels(key.dataset)
        scope = " · ".join(labels[d].get(c, c) for d, c in key.dimensions) or words["city"]
        if key.kind != "level":
            name = f"{name} · {words['kinds'][key.kind]}"
    origin = words["origin"]["simulated" if fact.is_synthetic else "real"]
    stage = stage_names(writer.release, writer.lang).get(fact.stage, "")
    status = " · ".join(part for part in (fmt.status_text(fact.obs_status, writer.lang), origin, stage) if part)
    return (
        fact.id,
        name,
        scope,
        fmt.period_text(key.period, writer.lang),
        FactRun(fact, "number", writer.lang),
        fact.unit(writer.lang),
        status,
        fact.vintage,
        dataset.title_en if writer.lang == "en" else dataset.title_zh,
    )
