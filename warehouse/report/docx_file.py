"""Render a draft to DOCX in the layout of GB/T 9704—2012; the same draft gives the same bytes."""

import io
import re
import zipfile
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import docx
from docx.document import Document as DocxDocument
from docx.enum.section import WD_ORIENT, WD_SECTION
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Mm, Pt, RGBColor
from docx.text.paragraph import Paragraph as DocxParagraph

from warehouse.report.document import BAR, Block, Draft, FactRun, Heading, Paragraph, Piece, Table

LATIN, BODY, TITLE, HEAD, SUBHEAD = "Times New Roman", "仿宋_GB2312", "方正小标宋简体", "黑体", "楷体_GB2312"
FIXED_TIME = (1980, 1, 1, 0, 0, 0)
BAR_COLOUR, WARNING_COLOUR = "2F5D8A", RGBColor(0xB0, 0x1E, 0x1E)


def render_docx(draft: Draft) -> bytes:
    """The draft as a DOCX file."""
    document = docx.Document()
    _set_page(document)
    _set_styles(document)
    _header_footer(document, draft)
    _cover(document, draft)
    for block in draft.blocks:
        _block(document, block)
    properties = document.core_properties
    properties.title, properties.author, properties.last_modified_by = draft.title, "aistat", "aistat"
    properties.created = properties.modified = datetime.fromisoformat(draft.dated)
    properties.subject, properties.keywords, properties.comments = draft.banner, draft.stamp, ""
    buffer = io.BytesIO()
    document.save(buffer)
    return _fixed_zip(buffer.getvalue())


def _block(document: DocxDocument, block: Block) -> None:
    if isinstance(block, Heading):
        document.add_paragraph(block.text, style=f"Heading {block.level}")
    elif isinstance(block, Paragraph):
        _paragraph(document, block)
    elif isinstance(block, Table):
        _table(document, block)
    else:
        _landscape(document)


def _fixed_zip(data: bytes) -> bytes:
    """The same package with fixed entry times and order, so that equal drafts are equal files."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as source,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        names = [n for n in source.namelist() if not n.startswith("docProps/thumbnail")]
        for name in sorted(names, key=lambda n: (n != "[Content_Types].xml", n)):
            content = source.read(name)
            if name == "_rels/.rels":
                content = _without_thumbnail(content)
            info = zipfile.ZipInfo(name, FIXED_TIME)
            info.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(info, content)
    return out.getvalue()


def _without_thumbnail(content: bytes) -> bytes:
    """Package relations without the picture of the library's empty document."""
    return re.sub(rb"<Relationship [^>]*docProps/thumbnail[^>]*/>", b"", content)


def _set_page(document: DocxDocument) -> None:
    section = document.sections[0]
    section.page_width, section.page_height = Mm(210), Mm(297)
    section.top_margin, section.bottom_margin = Mm(37), Mm(35)
    section.left_margin, section.right_margin = Mm(28), Mm(26)
    section.header_distance, section.footer_distance = Mm(22), Mm(24)


def _landscape(document: DocxDocument) -> None:
    section = document.add_section(WD_SECTION.NEW_PAGE)
    section.orientation = WD_ORIENT.LANDSCAPE
    section.page_width, section.page_height = Mm(297), Mm(210)
    section.top_margin, section.bottom_margin = Mm(28), Mm(26)
    section.left_margin = section.right_margin = Mm(25)
    section.header_distance, section.footer_distance = Mm(16), Mm(15)


def _fonts(element: Any, east: str) -> None:
    fonts = element.get_or_add_rPr().get_or_add_rFonts()
    for slot, name in (("ascii", LATIN), ("hAnsi", LATIN), ("cs", LATIN), ("eastAsia", east)):
        fonts.set(qn(f"w:{slot}"), name)
    for slot in ("asciiTheme", "hAnsiTheme", "eastAsiaTheme", "cstheme"):
        fonts.attrib.pop(qn(f"w:{slot}"), None)


def _set_styles(document: DocxDocument) -> None:
    styles = document.styles
    for name, font, size in (
        ("Normal", BODY, 16),
        ("Heading 1", HEAD, 16),
        ("Heading 2", SUBHEAD, 16),
        ("Title", TITLE, 22),
    ):
        style = styles[name]
        style.font.size, style.font.bold = Pt(size), False
        _fonts(style.element, font)
        for tag in ("w:color", "w:spacing", "w:kern"):
            for old in style.element.rPr.findall(qn(tag)):
                style.element.rPr.remove(old)
        shape = style.paragraph_format
        shape.space_before = shape.space_after = Pt(0)
        shape.line_spacing = Pt(28.95) if name != "Title" else Pt(36)
        if name.startswith("Heading"):
            shape.first_line_indent, shape.keep_with_next = Pt(32), True
    for border in styles["Title"].element.pPr.findall(qn("w:pBdr")):
        styles["Title"].element.pPr.remove(border)


def _header_footer(document: DocxDocument, draft: Draft) -> None:
    section = document.sections[0]
    header = section.header.paragraphs[0]
    header.alignment = WD_ALIGN_PARAGRAPH.CENTER
    run = header.add_run(draft.header)
    run.font.size = Pt(10.5)
    if draft.is_synthetic:
        run.font.color.rgb = WARNING_COLOUR
    footer = section.footer.paragraphs[0]
    footer.alignment = WD_ALIGN_PARAGRAPH.CENTER
    footer.add_run("— ")
    for kind, text in (("begin", ""), ("", "PAGE"), ("end", "")):
        element = OxmlElement("w:fldChar" if kind else "w:instrText")
        if kind:
            element.set(qn("w:fldCharType"), kind)
        else:
            element.text = text
        footer.add_run()._r.append(element)
    footer.add_run(" —")
    for each in footer.runs:
        each.font.size = Pt(14)


def _cover(document: DocxDocument, draft: Draft) -> None:
    banner = document.add_paragraph()
    banner.alignment = WD_ALIGN_PARAGRAPH.CENTER
    if draft.banner:
        run = banner.add_run(draft.banner)
        run.font.color.rgb, run.font.size = WARNING_COLOUR, Pt(18)
        _fonts(run._r, HEAD)
    for _ in range(4):
        document.add_paragraph()
    for text, style in ((draft.title, "Title"), (draft.subtitle, "Normal")):
        document.add_paragraph(text, style=style).alignment = WD_ALIGN_PARAGRAPH.CENTER
    for _ in range(5):
        document.add_paragraph()
    for name, value in draft.cover:
        line = document.add_paragraph(f"{name}：{value}")
        line.paragraph_format.left_indent, line.paragraph_format.first_line_indent = Pt(112), Pt(-80)
    document.add_page_break()


def _run(text: str, size: float | None = None, *, bold: bool = False, colour: str = "") -> Any:
    run = OxmlElement("w:r")
    shape = OxmlElement("w:rPr")
    if bold:
        shape.append(OxmlElement("w:b"))
    for name, value in (("color", colour), ("sz", size), ("szCs", size)):
        if value:
            element = OxmlElement(f"w:{name}")
            element.set(qn("w:val"), str(value) if name == "color" else str(int(float(value) * 2)))
            shape.append(element)
    if len(shape):
        run.append(shape)
    inner = OxmlElement("w:t")
    inner.text = text
    inner.set(qn("xml:space"), "preserve")
    run.append(inner)
    return run


def _content_control(run: FactRun, size: float | None, bold: bool) -> Any:
    """The fact in a control that names it, so that a reader of the file finds its source (``w:tag``)."""
    control, properties = OxmlElement("w:sdt"), OxmlElement("w:sdtPr")
    alias = f"{run.fact.key.indicator} {run.fact.key.period} {run.fact.key.kind}"
    for name, value in (("alias", alias), ("tag", f"{run.fact.id}:{run.style}")):
        element = OxmlElement(f"w:{name}")
        element.set(qn("w:val"), value)
        properties.append(element)
    content = OxmlElement("w:sdtContent")
    content.append(_run(run.text, size, bold=bold))
    control.append(properties)
    control.append(content)
    return control


def _fill(paragraph: Any, parts: Sequence[Piece], size: float | None = None, bold: bool = False) -> None:
    for part in parts:
        if isinstance(part, FactRun):
            paragraph.append(_content_control(part, size, bold))
        elif part:
            colour = BAR_COLOUR if part[0] == BAR else ""
            paragraph.append(_run(part, size, bold=bold, colour=colour))


def _paragraph(document: DocxDocument, block: Paragraph) -> None:
    paragraph = document.add_paragraph()
    paragraph.paragraph_format.first_line_indent = Pt(21 if block.note else 32)
    if block.note:
        paragraph.paragraph_format.line_spacing = Pt(16)
    _fill(paragraph._p, block.parts, 10.5 if block.note else None)


def _caption(document: DocxDocument, text: str) -> DocxParagraph:
    caption = document.add_paragraph()
    caption.alignment = WD_ALIGN_PARAGRAPH.CENTER
    caption.paragraph_format.keep_with_next = True
    caption.paragraph_format.space_before = Pt(6)
    run = caption.add_run(text)
    run.font.size = Pt(14)
    _fonts(run._r, HEAD)
    return caption


def _table(document: DocxDocument, block: Table) -> None:
    _caption(document, block.caption)
    width = 247 if block.wide else 156
    widths = block.widths or (2, *([1] * (len(block.head) - 1)))
    grid = [int(width * w / sum(widths) * 56.7) for w in widths]
    table = document.add_table(rows=0, cols=len(block.head))
    table.autofit = False
    for column, twips in zip(table._tbl.tblGrid, grid, strict=True):
        column.set(qn("w:w"), str(twips))
    _open_borders(table)
    size = 8 if block.wide else 10.5
    for number, row in enumerate([block.head, *block.rows]):
        keep = number < len(block.rows) and not block.wide
        table._tbl.append(_row(row, grid, block.left, size, head=not number, keep=keep))
    note = document.add_paragraph()
    note.paragraph_format.line_spacing, note.paragraph_format.space_after = Pt(15), Pt(8)
    _fill(note._p, (block.source,), 9)


def _row(
    parts: Sequence[Piece], grid: Sequence[int], left: tuple[int, ...], size: float, *, head: bool, keep: bool
) -> Any:
    row, shape = OxmlElement("w:tr"), OxmlElement("w:trPr")
    shape.append(OxmlElement("w:cantSplit"))
    if head:
        shape.append(OxmlElement("w:tblHeader"))
    row.append(shape)
    for index, part in enumerate(parts):
        side = "center" if head else ("left" if index in left else "right")
        row.append(_cell(part, grid[index], side, size, bold=head, keep=keep))
    return row


def _cell(part: Piece, twips: int, side: str, size: float, *, bold: bool, keep: bool) -> Any:
    cell, shape, paragraph, layout = (OxmlElement(f"w:{n}") for n in ("tc", "tcPr", "p", "pPr"))
    width = OxmlElement("w:tcW")
    width.set(qn("w:w"), str(twips))
    width.set(qn("w:type"), "dxa")
    align = OxmlElement("w:vAlign")
    align.set(qn("w:val"), "center")
    shape.extend([width, align])
    if keep:
        layout.append(OxmlElement("w:keepNext"))
    spacing, side_element = OxmlElement("w:spacing"), OxmlElement("w:jc")
    for key, value in (
        ("before", "20"),
        ("after", "20"),
        ("line", "200" if size < 9 else "300"),
        ("lineRule", "atLeast"),
    ):
        spacing.set(qn(f"w:{key}"), value)
    side_element.set(qn("w:val"), side)
    layout.extend([spacing, side_element])
    paragraph.append(layout)
    _fill(paragraph, (part,), size, bold)
    cell.extend([shape, paragraph])
    return cell


def _open_borders(table: Any) -> None:
    """Thick rules above and below, thin ones between rows, open sides (统计表左右不封口)."""
    borders = OxmlElement("w:tblBorders")
    for side, size in (("top", 12), ("bottom", 12), ("insideH", 4)):
        line = OxmlElement(f"w:{side}")
        for key, value in (("val", "single"), ("sz", str(size)), ("space", "0"), ("color", "000000")):
            line.set(qn(f"w:{key}"), value)
        borders.append(line)
    table._tbl.tblPr.append(borders)
