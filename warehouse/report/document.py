"""A small document model and its rendering to DOCX in the layout of GB/T 9704—2012."""

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from xml.sax.saxutils import escape

import docx
from docx.document import Document as DocxDocument
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.opc.constants import RELATIONSHIP_TYPE as RT
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Mm, Pt
from docx.text.paragraph import Paragraph as DocxParagraph

from warehouse.report.facts import Fact

BODY_FONT, TITLE_FONT, HEAD_FONT, SUBHEAD_FONT = "仿宋_GB2312", "方正小标宋简体", "黑体", "楷体_GB2312"
TRACE_NAMESPACE = "urn:aistat:trace:1"
FIXED_TIME = (1980, 1, 1, 0, 0, 0)
Style = Literal["text", "number", "signed"]


@dataclass(frozen=True)
class FactRun:
    """A fact in running text (``text``), or in a table (``number``, ``signed`` with its minus sign)."""

    fact: Fact
    style: Style = "text"

    @property
    def text(self) -> str:
        """What is printed."""
        return printed(self.fact, self.style)


def printed(fact: Fact, style: str) -> str:
    """The exact characters a fact is printed with in one style."""
    if style == "text":
        return fact.text
    if style == "signed":
        return f"{fact.value:.{fact.decimals}f}"
    return fact.number


Part_ = str | FactRun


@dataclass(frozen=True)
class Heading:
    """Level 1: 一、 (黑体); level 2: （一） (楷体)."""

    level: int
    text: str


@dataclass(frozen=True)
class Paragraph:
    """Running text with facts in it."""

    parts: tuple[Part_, ...]
    note: bool = False


@dataclass(frozen=True)
class Table:
    """A captioned table; ``unit`` stands above it on the right, ``source`` below it."""

    caption: str
    unit: str
    head: tuple[str, ...]
    rows: tuple[tuple[Part_, ...], ...]
    source: str


Block = Heading | Paragraph | Table


@dataclass
class Draft:
    """A document before rendering."""

    title: str
    subtitle: str
    cover: tuple[tuple[str, str], ...]
    blocks: list[Block] = field(default_factory=list)
    is_synthetic: bool = False
    dated: str = "2000-01-01"
    release_id: str = ""

    def facts(self) -> list[Fact]:
        """Facts printed in the document, in order of first appearance."""
        seen: dict[str, Fact] = {}
        for block in self.blocks:
            rows: Sequence[Sequence[Part_]] = ()
            if isinstance(block, Paragraph):
                rows = (block.parts,)
            elif isinstance(block, Table):
                rows = block.rows
            for row in rows:
                for part in row:
                    if isinstance(part, FactRun):
                        seen.setdefault(part.fact.id, part.fact)
        return list(seen.values())


def render_docx(draft: Draft) -> bytes:
    """The draft as a DOCX file; the same draft gives the same bytes."""
    document = docx.Document()
    _set_page(document)
    _set_styles(document)
    _header_footer(document, draft)
    _cover(document, draft)
    for block in draft.blocks:
        if isinstance(block, Heading):
            _heading(document, block)
        elif isinstance(block, Paragraph):
            _paragraph(document, block)
        else:
            _table(document, block)
    _trace_part(document, draft)
    properties = document.core_properties
    properties.title, properties.author, properties.last_modified_by = draft.title, "aistat", "aistat"
    properties.created = properties.modified = datetime.fromisoformat(draft.dated)
    properties.subject = "模拟数据" if draft.is_synthetic else ""
    buffer = io.BytesIO()
    document.save(buffer)
    return _fixed_zip(buffer.getvalue())


def _fixed_zip(data: bytes) -> bytes:
    """The same package with fixed entry times and order, so that equal drafts are equal files."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        names = sorted(source.namelist(), key=lambda n: (n != "[Content_Types].xml", n))
        for name in names:
            info = zipfile.ZipInfo(name, FIXED_TIME)
            info.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(info, source.read(name))
    return out.getvalue()


def _set_page(document: DocxDocument) -> None:
    section = document.sections[0]
    section.page_width, section.page_height = Mm(210), Mm(297)
    section.top_margin, section.bottom_margin = Mm(37), Mm(35)
    section.left_margin, section.right_margin = Mm(28), Mm(26)
    section.footer_distance = Mm(28)
    grid = OxmlElement("w:docGrid")
    for key, value in (("type", "linesAndChars"), ("linePitch", "579"), ("charSpace", "-848")):
        grid.set(qn(f"w:{key}"), value)
    for old in section._sectPr.findall(qn("w:docGrid")):
        section._sectPr.remove(old)
    section._sectPr.append(grid)


def _font(style: Any, name: str, size: float, bold: bool = False) -> None:
    style.font.name, style.font.size, style.font.bold = name, Pt(size), bold
    fonts = style.element.get_or_add_rPr().get_or_add_rFonts()
    for slot in ("ascii", "hAnsi", "eastAsia", "cs"):
        fonts.set(qn(f"w:{slot}"), name)
    for slot in ("asciiTheme", "hAnsiTheme", "eastAsiaTheme", "cstheme"):
        fonts.attrib.pop(qn(f"w:{slot}"), None)


def _set_styles(document: DocxDocument) -> None:
    styles = document.styles
    _font(styles["Normal"], BODY_FONT, 16)
    normal = styles["Normal"].paragraph_format
    normal.space_before = normal.space_after = Pt(0)
    normal.line_spacing = Pt(28.95)
    for name, font in (("Heading 1", HEAD_FONT), ("Heading 2", SUBHEAD_FONT), ("Heading 3", BODY_FONT)):
        _font(styles[name], font, 16, bold=name == "Heading 3")
        styles[name].font.color.rgb = None
        colour = styles[name].element.rPr.find(qn("w:color"))
        if colour is not None:
            styles[name].element.rPr.remove(colour)
        shape = styles[name].paragraph_format
        shape.space_before = shape.space_after = Pt(0)
        shape.first_line_indent = Pt(32)
    _font(styles["Title"], TITLE_FONT, 22)
    borders = styles["Title"].element.pPr.find(qn("w:pBdr"))
    if borders is not None:
        styles["Title"].element.pPr.remove(borders)


def _page_number(paragraph: DocxParagraph) -> None:
    paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
    run = paragraph.add_run("— ")
    for kind, text in (("begin", None), (None, "PAGE"), ("end", None)):
        element = OxmlElement("w:fldChar" if kind else "w:instrText")
        if kind:
            element.set(qn("w:fldCharType"), kind)
        else:
            element.text = text
        run._r.append(element)
    paragraph.add_run(" —")
    for each in paragraph.runs:
        each.font.size, each.font.name = Pt(14), "宋体"


def _header_footer(document: DocxDocument, draft: Draft) -> None:
    section = document.sections[0]
    header = section.header.paragraphs[0]
    header.alignment = WD_ALIGN_PARAGRAPH.RIGHT
    label = "模拟数据 · 仅供演示 · " if draft.is_synthetic else ""
    run = header.add_run(f"{label}草案，未经签发")
    run.font.size = Pt(10.5)
    _page_number(section.footer.paragraphs[0])


def _cover(document: DocxDocument, draft: Draft) -> None:
    for _ in range(3):
        document.add_paragraph()
    title = document.add_paragraph(draft.title, style="Title")
    title.alignment = WD_ALIGN_PARAGRAPH.CENTER
    subtitle = document.add_paragraph(draft.subtitle)
    subtitle.alignment = WD_ALIGN_PARAGRAPH.CENTER
    for _ in range(4):
        document.add_paragraph()
    for name, value in draft.cover:
        line = document.add_paragraph(f"{name}：{value}")
        line.paragraph_format.left_indent = Pt(48)
    if draft.blocks:
        document.add_page_break()


def _heading(document: DocxDocument, block: Heading) -> None:
    document.add_paragraph(block.text, style=f"Heading {block.level}")


def _content_control(run: FactRun, size: float | None = None) -> Any:
    control = OxmlElement("w:sdt")
    properties = OxmlElement("w:sdtPr")
    for name, value in (("alias", f"{run.fact.key.indicator} {run.fact.key.period}"), ("tag", f"{run.fact.id}:{run.style}")):
        element = OxmlElement(f"w:{name}")
        element.set(qn("w:val"), value)
        properties.append(element)
    content = OxmlElement("w:sdtContent")
    inner = OxmlElement("w:r")
    if size is not None:
        shape = OxmlElement("w:rPr")
        for name in ("sz", "szCs"):
            half_points = OxmlElement(f"w:{name}")
            half_points.set(qn("w:val"), str(int(size * 2)))
            shape.append(half_points)
        inner.append(shape)
    text = OxmlElement("w:t")
    text.text = run.text
    inner.append(text)
    content.append(inner)
    control.append(properties)
    control.append(content)
    return control


def _fill(paragraph: DocxParagraph, parts: Sequence[Part_], size: float | None = None) -> None:
    for part in parts:
        if isinstance(part, FactRun):
            paragraph._p.append(_content_control(part, size))
        elif part:
            run = paragraph.add_run(part)
            if size is not None:
                run.font.size = Pt(size)


def _paragraph(document: DocxDocument, block: Paragraph) -> None:
    paragraph = document.add_paragraph()
    paragraph.paragraph_format.first_line_indent = Pt(21 if block.note else 32)
    _fill(paragraph, block.parts, 10.5 if block.note else None)
    if block.note:
        paragraph.paragraph_format.line_spacing = Pt(16)


def _table(document: DocxDocument, block: Table) -> None:
    caption = document.add_paragraph()
    caption.alignment = WD_ALIGN_PARAGRAPH.CENTER
    caption.paragraph_format.keep_with_next = True
    run = caption.add_run(block.caption)
    run.font.name, run.font.size = HEAD_FONT, Pt(14)
    run._r.get_or_add_rPr().get_or_add_rFonts().set(qn("w:eastAsia"), HEAD_FONT)
    unit = document.add_paragraph()
    unit.alignment = WD_ALIGN_PARAGRAPH.RIGHT
    unit.paragraph_format.keep_with_next = True
    unit.paragraph_format.line_spacing = Pt(16)
    unit.add_run(f"单位：{block.unit}").font.size = Pt(10.5)
    table = document.add_table(rows=1, cols=len(block.head))
    table.autofit = True
    _open_borders(table)
    _table_row(table.rows[0], block.head, head=True)
    for row in block.rows:
        _table_row(table.add_row(), row)
    repeat = OxmlElement("w:tblHeader")
    table.rows[0]._tr.get_or_add_trPr().append(repeat)
    _paragraph(document, Paragraph((block.source,), note=True))


def _table_row(row: Any, parts: Sequence[Part_], head: bool = False) -> None:
    for index, (cell, part) in enumerate(zip(row.cells, parts, strict=True)):
        paragraph = cell.paragraphs[0]
        paragraph.paragraph_format.line_spacing = Pt(18)
        paragraph.alignment = (
            WD_ALIGN_PARAGRAPH.CENTER if head else (WD_ALIGN_PARAGRAPH.RIGHT if index else WD_ALIGN_PARAGRAPH.LEFT)
        )
        _fill(paragraph, (part,), 10.5)


def _open_borders(table: Any) -> None:
    """Thick rules above and below, thin ones between rows, open sides (统计表左右不封口)."""
    borders = OxmlElement("w:tblBorders")
    for side, size in (("top", 12), ("bottom", 12), ("insideH", 4)):
        line = OxmlElement(f"w:{side}")
        for key, value in (("val", "single"), ("sz", str(size)), ("space", "0"), ("color", "000000")):
            line.set(qn(f"w:{key}"), value)
        borders.append(line)
    table._tbl.tblPr.append(borders)


def _trace_part(document: DocxDocument, draft: Draft) -> None:
    """Carry the keys of the facts (not their values) inside the file, for the guard."""
    trace = {"release": draft.release_id, "facts": {f.id: f.key.to_json() for f in draft.facts()}}
    body = escape(json.dumps(trace, ensure_ascii=False, sort_keys=True))
    blob = f'<?xml version="1.0" encoding="UTF-8"?><trace xmlns="{TRACE_NAMESPACE}">{body}</trace>'.encode()
    package = document.part.package
    part = Part(PackURI("/customXml/item1.xml"), "application/xml", blob, package)
    document.part.relate_to(part, RT.CUSTOM_XML)
