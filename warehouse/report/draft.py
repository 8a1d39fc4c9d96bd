"""Write the Art. 67 assessment draft from a template and the facts of one release."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from warehouse.read import Release
from warehouse.report.document import Block, Draft, FactRun, Heading, Paragraph, Part_, Style, Table
from warehouse.report.facts import TOTAL, FactBook, FactKey, FactUnavailable, Kind
from warehouse.report.numerals import find_numerals

TEMPLATES = Path(__file__).parent / "templates"
CALL = re.compile(r"⟦(level|growth|share):([a-z_0-9]+)((?:\|[a-z_]+=[A-Za-z0-9_-]+)*)⟧")
DEFAULT_DATASET = "core_leaf_year"
FIVE_BLOCKS = ("现状", "变化", "影响证据", "分组差异", "不能得出的结论")
SYMBOL = {"保密": "x", "暂缺": "..", "无该项": "—"}


class TemplateError(ValueError):
    """The template holds a number of its own or a call that does not parse; says where."""


def load_template(name: str) -> dict[str, Any]:
    """A template by id, linted: outside ⟦…⟧ and {year} it may hold no quantity.

    Raises
    ------
    TemplateError
        If a text of the template contains a literal quantity.
    """
    template: dict[str, Any] = yaml.safe_load((TEMPLATES / f"{name}.yaml").read_text(encoding="utf-8"))
    for text in _texts(template):
        numerals = find_numerals(CALL.sub("", text).replace("{year}年度", "").replace("{year}年", ""))
        if numerals:
            raise TemplateError(
                f"templates/{name}.yaml: {text[:40]!r} holds the literal {numerals[0].text!r}; use a ⟦…⟧ call instead"
            )
    return template


def _texts(node: object) -> list[str]:
    if isinstance(node, str):
        return [node]
    if isinstance(node, Mapping):
        return [t for key, value in node.items() if key != "dataset" for t in _texts(value)]
    if isinstance(node, Sequence):
        return [t for value in node for t in _texts(value)]
    return []


@dataclass
class _Writer:
    release: Release
    book: FactBook
    template: Mapping[str, Any]
    year: str
    gaps: list[str]

    def call(self, kind: str, indicator: str, options: str) -> FactRun:
        fixed = dict(o.split("=") for o in options.split("|") if o)
        dataset = fixed.pop("dataset", DEFAULT_DATASET)
        return self.fact(kind, dataset, indicator, fixed)  # type: ignore[arg-type]

    def fact(
        self, kind: Kind, dataset: str, indicator: str, fixed: Mapping[str, str], style: Style = "text"
    ) -> FactRun:
        key = FactKey(kind, dataset, indicator, self.year, tuple(sorted(fixed.items())))
        return FactRun(self.book.get(key), style)

    def sentence(self, text: str) -> Paragraph:
        """A paragraph with its facts, or the statement that a fact is not available."""
        text = text.replace("{year}", self.year)
        parts: list[Part_] = []
        position = 0
        for match in CALL.finditer(text):
            parts.append(text[position : match.start()])
            try:
                parts.append(self.call(*match.groups()))
            except FactUnavailable as reason:
                name = self.release.indicator(match.group(2)).name_zh
                self.gaps.append(f"{name}：{reason}")
                return Paragraph((f"{name}：数据不足（{reason}）。",))
            position = match.end()
        parts.append(text[position:])
        return Paragraph(tuple(p for p in parts if p != ""))

    def table(self, spec: Mapping[str, Any]) -> Table:
        """Indicators of one year side by side with their growth, by the members of one dimension."""
        dataset = self.release.dataset(spec["dataset"])
        rows: list[tuple[Part_, ...]] = []
        for code, label in self._members(spec):
            row: list[Part_] = [label]
            for indicator in spec["indicators"]:
                for kind, style in (("level", "number"), ("growth", "signed")):
                    row.append(self._cell(kind, spec["dataset"], indicator, {spec["rows"]: code}, style))  # type: ignore[arg-type]
            rows.append(tuple(row))
        head = ["项目"]
        for indicator in spec["indicators"]:
            card = self.release.indicator(indicator)
            head += [f"{card.name_zh}（{card.display.unit_zh}）", "比上年（%）"]
        return Table(
            caption=spec["caption"].replace("{year}", self.year),
            unit="见表头",
            head=tuple(head),
            rows=tuple(rows),
            source=f"资料来源：{dataset.source_zh}。x 保密；.. 暂缺；— 无该项。{self.stamp()}",
        )

    def _members(self, spec: Mapping[str, Any]) -> list[tuple[str, str]]:
        dataset = self.release.dataset(spec["dataset"])
        scheme = next(d.scheme for d in dataset.dimensions if d.id == spec["rows"])
        level = spec.get("level")
        frame = self.release.cube_frame(spec["dataset"])
        present = set(frame[spec["rows"]].unique().to_list())
        members = [(TOTAL, "合计")]
        for code in self.release.codes(scheme):
            if code.code in present and (level is None or code.level == level):
                members.append((code.code, code.name_zh))
        return members

    def _cell(
        self, kind: Kind, dataset: str, indicator: str, fixed: Mapping[str, str], style: Style
    ) -> Part_:
        try:
            return self.fact(kind, dataset, indicator, fixed, style)
        except FactUnavailable as reason:
            return SYMBOL.get(str(reason).split(" ")[-1], "—")

    def stamp(self) -> str:
        info = self.release.info
        return f"数据截止：{info.vintage}；发布编号：{info.release_id}；{'模拟数据' if info.is_synthetic else '试行数据'}。"

    def block(self, block: Mapping[str, Any]) -> list[Block]:
        if "sub" in block:
            return [Heading(2, block["sub"])]
        if "text" in block:
            return [self.sentence(block["text"])]
        if "table" in block:
            return [self.table(block["table"])]
        if "insufficient" in block:
            self.gaps.append(block["insufficient"].rstrip("。"))
            return [Paragraph((f"{block['insufficient']}{self.template['insufficient']}",))]
        if "quality" in block:
            return [Paragraph((f"{self.stamp()}各来源的接收、退回和推算情况见系统“数据质量”页。",))]
        if "list_insufficient" in block:
            return [Paragraph((f"（{_hanzi(i)}）{gap}。",)) for i, gap in enumerate(dict.fromkeys(self.gaps), 1)]
        raise TemplateError(f"unknown block {sorted(block)}")

    def five_blocks(self, section: Mapping[str, Any]) -> list[Block]:
        """现状 → 变化 → 影响证据 → 分组差异 → 不能得出的结论, each filled or said to be insufficient."""
        blocks: list[Block] = []
        for number, (title, key) in enumerate(
            zip(FIVE_BLOCKS, ("current", "change", "evidence", "groups", "cannot"), strict=True), 1
        ):
            blocks.append(Heading(2, f"（{_hanzi(number)}）{title}"))
            content = section.get(key)
            if isinstance(content, str):
                blocks.append(Paragraph((content,)))
            elif content:
                blocks += [b for block in content for b in self.block(block)]
            elif key == "cannot":
                blocks.append(Paragraph(("在没有数据的情况下，不能得出“有影响”或者“没有影响”的结论。",)))
            else:
                blocks.append(Paragraph((self.template["insufficient"],)))
        if not section.get("current"):
            heading = re.sub(r"^.*?、", "", section["heading"])
            self.gaps.append(f"{heading}：指标（{section['dimension']}）尚无数据")
        return blocks


def _hanzi(number: int) -> str:
    digits = "零一二三四五六七八九十"
    if number <= 10:
        return digits[number]
    tens, ones = divmod(number, 10)
    return (digits[tens] if tens > 1 else "") + "十" + (digits[ones] if ones else "")


def draft_art67(release: Release, year: int) -> Draft:
    """The draft of the Art. 67 comprehensive assessment for one reference year (impact.md §6a).

    Every number in it is a fact of ``release``; where the release holds nothing the section says 数据不足.

    Raises
    ------
    ValueError
        If the release holds no data of that year.
    """
    template = load_template("art67")
    periods = release.cube_frame(DEFAULT_DATASET)["period"].unique().to_list()
    if str(year) not in periods:
        raise ValueError(f"the release {release.info.release_id} holds the years {', '.join(sorted(periods))}, not {year}")
    writer = _Writer(release, FactBook(release), template, str(year), [])
    blocks: list[Block] = []
    for section in template["sections"]:
        blocks.append(Heading(1, section["heading"]))
        if "dimension" in section:
            blocks += writer.five_blocks(section)
        else:
            for block in section["blocks"]:
                blocks += writer.block(block)
    info = release.info
    draft = Draft(
        title=template["title"],
        subtitle=template["subtitle"].replace("{year}", str(year)),
        cover=tuple((name, value) for name, value in template["cover"])
        + (("数据截止", info.vintage), ("发布编号", info.release_id)),
        blocks=blocks,
        is_synthetic=info.is_synthetic,
        dated=info.vintage,
        release_id=info.release_id,
    )
    draft.blocks += _appendix(draft, writer)
    return draft


def _appendix(draft: Draft, writer: _Writer) -> list[Block]:
    facts = draft.facts()
    blocks: list[Block] = [Heading(1, writer.template["appendix"]["definitions"])]
    for indicator in dict.fromkeys(f.key.indicator for f in facts):
        card = writer.release.indicator(indicator)
        blocks.append(Paragraph((f"{card.name_zh}：{_without_quantities(card.definition_zh)}",), note=True))
    blocks.append(Heading(1, writer.template["appendix"]["trace"]))
    rows: list[tuple[Part_, ...]] = []
    for fact in facts:
        where = "、".join(f"{d}={c}" for d, c in fact.key.dimensions) or "全市"
        rows.append((fact.id, f"{fact.key.dataset} {fact.key.indicator} {where}", FactRun(fact), fact.obs_status))
    blocks.append(
        Table(
            caption="数字溯源表",
            unit="见各行",
            head=("事实编号", "数据集、指标与范围", "数值", "状态"),
            rows=tuple(rows),
            source=f"每个数字均可由发布编号和事实编号复核：aistat guard。{writer.stamp()}",
        )
    )
    return blocks


def _without_quantities(text: str) -> str:
    """A definition as printed in the appendix: thresholds stay in the indicator card, which the text refers to."""
    sentences = [s for s in re.split(r"(?<=[。；])", text) if s and not find_numerals(s)]
    return "".join(sentences) or "见系统“指标解释”。"
