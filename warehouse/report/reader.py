"""Read the text of a finished DOCX by its own walk of the XML: body, tables, headers, notes, boxes, charts."""

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

Element = ElementTree.Element
W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
#: Parts that carry settings only; their text is never shown.
SILENT = re.compile(
    r"(^|/)(styles|stylesWithEffects|settings|webSettings|fontTable|theme\d*|people|\[Content_Types\])\.xml$|\.rels$"
    r"|^docProps/(app|custom)\.xml$|^customXml/|^word/(comments(Extended|Ids|Extensible))\.xml$"
)
SKIPPED = {f"{W}{name}" for name in ("del", "moveFrom", "instrText", "delText", "sdtPr", "rPr", "pPr", "tblPr")}
SPACES = {f"{W}{name}" for name in ("tab", "br", "cr", "ptab")}
PAGE_FIELD = re.compile(r"\s*(PAGE|NUMPAGES|SECTIONPAGES)\b[^0-9]*", re.IGNORECASE)
WRAPPERS = ("sdt", "sdtContent", "ins", "customXml", "moveTo")
CLOCKS = ("created", "modified", "revision", "lastPrinted", "version")
UNREADABLE = "\ufffd"


@dataclass(frozen=True)
class Unit:
    """One paragraph or one table row as shown.

    ``cells`` and ``context`` (caption, head row) are for rows only; ``controls`` are (tag, text).
    """

    part: str
    where: str
    text: str
    cells: tuple[str, ...] = ()
    context: tuple[str, str] = ("", "")
    controls: tuple[tuple[str, str], ...] = ()


def read_units(package: zipfile.ZipFile) -> Iterator[Unit]:
    """Every paragraph and table row of the package, part by part."""
    for name in sorted(n for n in package.namelist() if n.endswith(".xml") and not SILENT.search(n)):
        root = ElementTree.fromstring(package.read(name))  # noqa: S314 (the standard parser resolves no external entity)
        if name == "word/numbering.xml":
            yield from _numbering(name, root)
        elif root.tag.startswith(W):
            yield from _Walk(name).blocks(root)
        else:
            yield from _foreign(name, root)


def opaque_parts(package: zipfile.ZipFile) -> list[str]:
    """Pictures, embedded files, linked pictures: what may show numbers that cannot be read."""
    names = [n for n in package.namelist() if not n.endswith((".xml", ".rels", "/"))]
    for name in (n for n in package.namelist() if n.endswith(".rels")):
        for relation in ElementTree.fromstring(package.read(name)):  # noqa: S314
            kind = str(relation.get("Type")).rpartition("/")[2]
            if relation.get("TargetMode") == "External" and kind != "hyperlink":
                names.append(f"{name} → {relation.get('Target')}")
    return names


def _numbering(name: str, root: Element) -> Iterator[Unit]:
    for number, level in enumerate(root.iter(f"{W}lvlText"), 1):
        yield Unit(name, f"{name} {number}", re.sub(r"%\d", "", level.get(f"{W}val") or ""))


def _foreign(name: str, root: Element) -> Iterator[Unit]:
    """Charts, diagrams, properties: every piece of text by itself."""
    for number, element in enumerate(root.iter(), 1):
        if element.text and element.text.strip() and _local(element) not in CLOCKS:
            yield Unit(name, f"{name} {number}", element.text)


def _local(element: Element) -> str:
    return element.tag.rpartition("}")[2]


class _Walk:
    """Walks one part in reading order and remembers the paragraph before a table, which is its caption."""

    def __init__(self, part: str) -> None:
        self.part = part
        self.paragraphs = self.tables = 0
        self.previous = ""

    def blocks(self, element: Element) -> Iterator[Unit]:
        for child in element:
            if child.tag == f"{W}p":
                yield from self.paragraph(child)
            elif child.tag == f"{W}tbl":
                yield from self.table(child)
            elif child.tag not in SKIPPED:
                yield from self.blocks(child)

    def paragraph(self, element: Element) -> Iterator[Unit]:
        self.paragraphs += 1
        text, controls = _text(element)
        where = f"{self.part} ¶{self.paragraphs}"
        if text.strip():
            self.previous = text
            yield Unit(self.part, where, text, controls=tuple(controls))
        yield from self.hidden(element, where)

    def hidden(self, element: Element, where: str) -> Iterator[Unit]:
        """Text boxes in a paragraph, and what is written behind its pictures."""
        for child in element.iter():
            if child.tag == f"{W}txbxContent":
                yield from _Walk(f"{where} textbox").blocks(child)
            for attribute in ("descr", "title", "alt", "string"):
                if child.get(attribute) and _local(child) in ("docPr", "shape", "textpath", "cNvPr"):
                    yield Unit(self.part, f"{where} {attribute}", str(child.get(attribute)))

    def table(self, element: Element) -> Iterator[Unit]:
        self.tables += 1
        caption, head = self.previous, ""
        for number, row in enumerate(_rows(element), 1):
            cells, controls = [], []
            for cell in _children(row, "tc"):
                text, found = _text(cell, deep=True)
                cells.append(text.strip())
                controls += found
            text = " | ".join(cells)
            where = f"{self.part} {caption[:30]!r} row {number}"
            yield Unit(self.part, where, text, tuple(cells), (caption, head), tuple(controls))
            yield from self.hidden(row, where)
            head = head or text


def _rows(table: Element) -> Iterator[Element]:
    return _children(table, "tr")


def _children(element: Element, name: str) -> Iterator[Element]:
    """Children of that name, also inside content controls, insertions and custom markup around them."""
    for child in element:
        if child.tag == f"{W}{name}":
            yield child
        elif child.tag not in SKIPPED and _local(child) in WRAPPERS:
            yield from _children(child, name)


def _text(element: Element, deep: bool = False) -> tuple[str, list[tuple[str, str]]]:
    """Shown text of a paragraph (or, ``deep``, of a cell), and its content controls."""
    pieces: list[str] = []
    controls: list[tuple[str, str]] = []
    field = _Field()
    _collect(element, pieces, controls, field, deep)
    return "".join(pieces), controls


class _Field:
    """State of Word's begin / separate / end fields; the result of a page number field is no text."""

    def __init__(self) -> None:
        self.code = ""
        self.depth = 0
        self.result = False

    def mark(self, kind: str) -> None:
        if kind == "begin":
            self.depth, self.code, self.result = self.depth + 1, "", False
        elif kind == "separate":
            self.result = True
        else:
            self.depth, self.result = max(0, self.depth - 1), False

    @property
    def is_page(self) -> bool:
        return self.depth > 0 and self.result and PAGE_FIELD.fullmatch(self.code) is not None


def _collect(element: Element, pieces: list[str], controls: list[tuple[str, str]], field: _Field, deep: bool) -> None:
    for child in element:
        tag, name = child.tag, _local(child)
        if tag == f"{W}instrText":
            field.code += child.text or ""
        elif tag in SKIPPED or name == "txbxContent" or (tag == f"{W}p" and not deep):
            continue
        elif tag == f"{W}fldChar":
            field.mark(child.get(f"{W}fldCharType") or "")
        elif name == "t":
            if not field.is_page:
                pieces.append(child.text or "")
        elif tag in SPACES:
            pieces.append(" ")
        elif tag == f"{W}noBreakHyphen":
            pieces.append("-")
        elif tag == f"{W}sym":
            pieces.append(UNREADABLE)
        else:
            start = len(pieces)
            _collect(child, pieces, controls, field, deep)
            if tag == f"{W}sdt":
                mark = child.find(f"{W}sdtPr/{W}tag")
                label = mark.get(f"{W}val") if mark is not None else None
                controls.append((label or "", "".join(pieces[start:])))
            if tag == f"{W}p":
                pieces.append(" ")
