"""Write the Art. 67 assessment draft from a template and the facts of one release."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from warehouse import format as fmt
from warehouse.catalogue import TOTAL
from warehouse.cube import labels_of
from warehouse.export.words import kind_of, release_kind, release_text
from warehouse.read import Release
from warehouse.report.annex import annex
from warehouse.report.document import BAR, Block, Draft, FactRun, Heading, Paragraph, Piece, Table
from warehouse.report.docx_file import render_docx
from warehouse.report.facts import FactBook, FactKey, FactUnavailable, Kind, Style
from warehouse.report.template import CALL, LANGUAGES, TemplateError, load_template

REPORT = "art67"
DEFAULT_DATASET = "core_leaf_year"
FIVE = ("current", "change", "evidence", "groups", "cannot")
FULL_BAR = 20


class NoSuchYear(ValueError):
    """The release holds no data of that year; names the years it holds."""


@dataclass
class Writer:
    """Turns template blocks into document blocks; collects what could not be said."""

    release: Release
    book: FactBook
    template: Mapping[str, Any]
    year: str
    lang: str
    gaps: list[str] = field(default_factory=list)
    _labels: dict[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)

    @property
    def words(self) -> Mapping[str, Any]:
        """Fixed words of the template."""
        return self.template["words"]  # type: ignore[no-any-return]

    def indicator_name(self, indicator: str) -> str:
        """Name of an indicator in the language of the draft."""
        card = self.release.indicator(indicator)
        return card.name_en if self.lang == "en" else card.name_zh

    def origin(self, dataset: str) -> str:
        """Simulated, trial, official or real public data."""
        return str(self.words[kind_of(self.release, self.release.dataset(dataset))])

    def last_period(self, dataset: str) -> str:
        """The last period of a dataset within the reference year, or the year itself if there is none."""
        periods = [p for p in self.release.periods(dataset) if p[:4] == self.year]
        return periods[-1] if periods else self.year

    def fact(
        self, kind: Kind, dataset: str, indicator: str, fixed: Mapping[str, str], style: Style = "text"
    ) -> FactRun:
        """One fact as it is printed; ``fixed`` may name the period besides dimensions."""
        rest = dict(fixed)
        period = rest.pop("period", self.year)
        if period == "last":
            period = self.last_period(dataset)
        key = FactKey(kind, dataset, indicator, period, tuple(sorted(rest.items())))
        return FactRun(self.book.get(key), style, self.lang)

    def _call(self, kind: str, name: str, options: str) -> Piece:
        if kind == "period":
            return fmt.period_text(self.last_period(name), self.lang)
        fixed = dict(o.split("=", 1) for o in options.split("|") if o)
        return self.fact(kind, fixed.pop("dataset", DEFAULT_DATASET), name, fixed)  # type: ignore[arg-type]

    def _gap(self, name: str, reason: FactUnavailable) -> str:
        """The statement that a fact cannot be given; kept for the list of gaps."""
        pattern = self.words["sentence_withheld" if reason.withheld else "sentence_missing"]
        text = str(pattern.format(name=name, reason=reason.text(self.lang)))
        self.gaps.append(text)
        return text

    def sentence(self, text: str) -> Paragraph:
        """A paragraph with its facts; what the release does not show is said in its place, never left to be guessed."""
        catalogue = self.words["catalogue"][release_kind(self.release.info)]
        text = text.replace("{year}", self.year).replace("{catalogue}", catalogue)
        parts: list[Piece] = []
        position = missed = calls = 0
        statement = ""
        for match in CALL.finditer(text):
            parts.append(text[position : match.start()])
            position = match.end()
            calls += match.group(1) != "period"
            try:
                parts.append(self._call(*match.groups()))
            except FactUnavailable as reason:
                missed += 1
                statement = self._gap(self._call_name(*match.groups()), reason)
                pattern = self.words["withheld" if reason.withheld else "missing"]
                parts.append(pattern.format(reason=reason.text(self.lang)))
        if calls and missed == calls:
            return Paragraph((statement,))
        parts.append(text[position:])
        return Paragraph(tuple(p for p in parts if p != ""))

    def labels(self, dataset: str) -> Mapping[str, Mapping[str, str]]:
        """dimension → code → name."""
        if dataset not in self._labels:
            self._labels[dataset] = labels_of(self.release, self.release.dataset(dataset), self.lang)
        return self._labels[dataset]

    def _call_name(self, kind: str, indicator: str, options: str) -> str:
        name = self.indicator_name(indicator)
        fixed = dict(o.split("=", 1) for o in options.split("|") if o)
        labels = labels_of(self.release, self.release.dataset(fixed.get("dataset", DEFAULT_DATASET)), self.lang)
        places = [labels[d][c] for d, c in fixed.items() if d in labels and c in labels[d]]
        what = [] if kind == "level" else [self.words["kinds"][kind]]
        return " · ".join([name, *places, *what])

    def members(self, spec: Mapping[str, Any]) -> list[tuple[str, str]]:
        """(code, label) of the rows of a table, the total first; periods up to the reference year."""
        dataset = self.release.dataset(spec["dataset"])
        if spec["rows"] == "period":
            periods = [p for p in self.release.periods(dataset.id) if p <= self.year]
            return [(p, fmt.period_text(p, self.lang)) for p in periods]
        present = set(self.release.cube_frame(dataset.id)[spec["rows"]].unique())
        labels = self.labels(dataset.id)[spec["rows"]]
        members = [(TOTAL, labels[TOTAL])]
        for code in self.release.codes(dataset.dimension(spec["rows"]).scheme):
            if code.code in present and spec.get("level") in (None, code.level):
                members.append((code.code, labels[code.code]))
        return members

    def _cell(self, kind: Kind, spec: Mapping[str, Any], indicator: str, code: str) -> Piece:
        try:
            return self.fact(kind, spec["dataset"], indicator, {spec["rows"]: code}, "number")
        except FactUnavailable as reason:
            return reason.symbol

    def _head(self, indicator: str) -> str:
        unit = fmt.unit(self.release.indicator(indicator), self.lang)
        return f"{self.indicator_name(indicator)}{f'（{unit}）' if self.lang == 'zh' else f' ({unit})'}"

    def source(self, dataset: str) -> str:
        """The line below a table: source, symbols, vintage, release, kind of data."""
        card = self.release.dataset(dataset)
        name = card.source_en if self.lang == "en" else card.source_zh
        end = "。" if self.lang == "zh" else ". "
        return f"{self.words['source']}{name}{end}{self.words['symbols']} {self.stamp(dataset)}"

    def table(self, spec: Mapping[str, Any]) -> Table:
        """Indicators side by side with their growth, by the members of one dimension or by year."""
        kinds: tuple[Kind, ...] = ("level", "growth")
        rows = [
            (label, *(self._cell(kind, spec, i, code) for i in spec["indicators"] for kind in kinds))
            for code, label in self.members(spec)
        ]
        head = [self.words["years" if spec["rows"] == "period" else "items"]]
        for indicator in spec["indicators"]:
            head += [self._head(indicator), self.words["growth"]]
        caption = spec["caption"].replace("{year}", self.year)
        widths = (5, *([4, 3] * len(spec["indicators"])))
        return Table(caption, tuple(head), tuple(rows), self.source(spec["dataset"]), widths)

    def bars(self, spec: Mapping[str, Any]) -> Table:
        """One indicator as bars of text; the longest bar stands for the largest published value."""
        cells = [(label, self._cell("level", spec, spec["indicator"], code)) for code, label in self.members(spec)]
        cells = cells[1:]
        largest = max((c.fact.value for _, c in cells if isinstance(c, FactRun)), default=Decimal(0))
        rows: list[tuple[Piece, ...]] = []
        for label, cell in cells:
            length = 0
            if isinstance(cell, FactRun) and largest > 0 and cell.fact.value > 0:
                length = max(1, int(fmt.round_half_up(cell.fact.value / largest * FULL_BAR, 0)))
            rows.append((label, BAR * length, cell))
        head = (self.words["items"], self.words["bar"], self._head(spec["indicator"]))
        caption = spec["caption"].replace("{year}", self.year)
        return Table(caption, head, tuple(rows), self.source(spec["dataset"]), (4, 7, 4), left=(0, 1))

    def stamp(self, dataset: str = DEFAULT_DATASET) -> str:
        """Vintage, release and kind of data in one line."""
        info = self.release.info
        line = f"{self.words['vintage']}：{info.vintage}；{self.words['release']}：{info.release_id}；{self.origin(dataset)}。"
        return line if self.lang == "zh" else line.replace("：", ": ").replace("；", "; ").replace("。", ".")

    def block(self, block: Mapping[str, Any]) -> list[Block]:
        """One template block."""
        if "sub" in block:
            return [Heading(2, block["sub"])]
        if "text" in block:
            return [self.sentence(block["text"])]
        if "table" in block:
            return [self.table(block["table"])]
        if "bars" in block:
            return [self.bars(block["bars"])]
        if "insufficient" in block:
            return [self.insufficient(block["insufficient"])]
        if "stamp" in block:
            return [Paragraph((self.stamp(),))]
        if "gaps" in block:
            return [Paragraph((f"{i}. {gap}",)) for i, gap in enumerate(dict.fromkeys(self.gaps), 1)] or [
                Paragraph((self.words["gap_none"],))
            ]
        raise TemplateError(f"unknown block {sorted(block)}")

    def insufficient(self, reason: str) -> Paragraph:
        """数据不足 with its reason; kept for the list of gaps."""
        self.gaps.append(f"{reason}{'。' if self.lang == 'zh' else '.'}")
        return Paragraph((self.words["insufficient"].format(reason=reason),))

    def section(self, section: Mapping[str, Any]) -> Iterator[Block]:
        """A section: its blocks, or the five blocks 现状 → 变化 → 影响证据 → 分组差异 → 不能得出的结论."""
        yield Heading(1, section["heading"])
        for block in section.get("blocks", ()):
            yield from self.block(block)
        if "five" not in section:
            return
        for title, key in zip(self.template["five"], FIVE, strict=True):
            yield Heading(2, title)
            content = section["five"].get(key)
            if content:
                for block in content:
                    yield from self.block(block)
            elif key == "cannot":
                yield Paragraph((self.template["cannot"],))
            elif key == "evidence":
                yield self.insufficient(self.template["no_evidence"])
            elif key == "current" or section["five"].get("current"):
                yield self.insufficient(section["missing"])
            else:
                yield Paragraph((self.words["same"],))


def draft_art67(release: Release, year: int, lang: str = "zh") -> Draft:
    """The draft of the Art. 67 comprehensive assessment for one reference year.

    Every number in it is a fact of ``release``; where the release holds nothing the section says 数据不足.

    Raises
    ------
    NoSuchYear
        If the release holds no data of that year.
    ValueError
        If there is no template in that language.
    """
    if lang not in LANGUAGES:
        raise ValueError(f"language {lang!r}; expected {' or '.join(LANGUAGES)}")
    template = load_template(REPORT, lang)
    info, years = release.info, release.periods(DEFAULT_DATASET)
    if str(year) not in years:
        raise NoSuchYear(f"release {info.release_id} holds the years {', '.join(years)}, not {year}")
    writer = Writer(release, FactBook(release), template, str(year), lang)
    draft = _front(writer)
    draft.blocks = [block for section in template["sections"] for block in writer.section(section)]
    draft.blocks += annex(writer, draft)
    return draft


def _front(writer: Writer) -> Draft:
    """Everything before the first section."""
    template, words, info = writer.template, writer.words, writer.release.info
    synthetic = writer.release.is_synthetic(DEFAULT_DATASET)
    return Draft(
        title=template["title"],
        subtitle=template["subtitle"].replace("{year}", writer.year),
        banner=template["banner"] if synthetic else "",
        cover=(
            *((name, value) for name, value in template["cover"]),
            (words["vintage"], info.vintage),
            (words["release"], info.release_id),
            (words["release_status"], release_text(info, writer.lang)),
            (words["template"], f"{REPORT}.{writer.lang} {template['hash']}"),
        ),
        header=template["header_synthetic" if synthetic else "header"],
        stamp=f"aistat {REPORT} {writer.lang} {writer.year} {info.release_id} {template['hash']}",
        lang=writer.lang,
        dated=info.vintage,
        is_synthetic=synthetic,
        manual_heading=template["manual_heading"],
    )


def write_art67(release: Release, year: int, path: Path, lang: str = "zh") -> Draft:
    """Write the draft as a DOCX file; see :func:`draft_art67`."""
    draft = draft_art67(release, year, lang)
    path.write_bytes(render_docx(draft))
    return draft
