"""Numeral guard: every number in a finished DOCX must be a fact of the release it cites.

It reads the finished file with its own XML walk and shares no code with the renderer except the fact reader.
"""

import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from warehouse.read import Release
from warehouse.report.facts import Fact, FactBook, FactKey, FactUnavailable
from warehouse.report.numerals import blank_structure, find_numerals

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
TRACE = "{urn:aistat:trace:1}trace"
TEXT_PARTS = re.compile(r"^word/(document|header\d*|footer\d*|footnotes|endnotes|comments)\.xml$")
CHART_PARTS = re.compile(r"^word/(charts|embeddings|media|diagrams)/")
SYNTHETIC_LABEL = "模拟数据"


class NotADraft(ValueError):
    """The file cannot be checked: not a DOCX, or not one written by ``aistat draft``."""


@dataclass(frozen=True)
class Finding:
    """One thing the guard objects to: where, the text, and why."""

    where: str
    text: str
    reason: str


@dataclass(frozen=True)
class _Piece:
    text: str
    tag: str | None


def _pieces(element: ElementTree.Element, tag: str | None = None) -> Iterator[_Piece]:
    for child in element:
        if child.tag == f"{W}sdt":
            mark = child.find(f"{W}sdtPr/{W}tag")
            yield from _pieces(child, mark.get(f"{W}val") if mark is not None else tag)
        elif child.tag == f"{W}t":
            yield _Piece(child.text or "", tag)
        elif child.tag in (f"{W}tab", f"{W}br"):
            yield _Piece(" ", tag)
        elif child.tag == f"{W}delText" or child.tag == f"{W}instrText" or child.tag == f"{W}p":
            continue
        else:
            yield from _pieces(child, tag)


def _paragraphs(root: ElementTree.Element) -> Iterator[list[_Piece]]:
    for paragraph in root.iter(f"{W}p"):
        yield list(_pieces(paragraph))


def _trace(package: zipfile.ZipFile) -> tuple[str, dict[str, FactKey]]:
    for name in package.namelist():
        if name.startswith("customXml/") and name.endswith(".xml"):
            root = ElementTree.fromstring(package.read(name))  # noqa: S314 (no external entities in stdlib)
            if root.tag == TRACE:
                data = json.loads(root.text or "{}")
                return str(data["release"]), {k: FactKey.from_json(v) for k, v in data["facts"].items()}
    raise NotADraft("the file carries no fact trace; it was not written by 'aistat draft', or the trace was removed")


def cited_release(path: Path) -> str:
    """The id of the release a draft was made from.

    Raises
    ------
    NotADraft
        If the file is no DOCX or carries no trace.
    """
    try:
        with zipfile.ZipFile(path) as package:
            return _trace(package)[0]
    except (zipfile.BadZipFile, ElementTree.ParseError, KeyError, json.JSONDecodeError, ValueError) as error:
        raise NotADraft(f"{path.name}: {error}") from error


def check(path: Path, release: Release) -> list[Finding]:
    """Findings of the guard on a finished DOCX; empty means that every number is supported.

    Facts are read again from ``release`` (the one the draft cites); what the file itself says of them is not believed.
    """
    cited = cited_release(path)
    if cited != release.info.release_id:
        return [Finding("trace", cited, f"the draft cites another release than {release.info.release_id}")]
    with zipfile.ZipFile(path) as package:
        keys = _trace(package)[1]
        facts, findings = _read_again(keys, FactBook(release))
        texts = []
        for name in sorted(package.namelist()):
            if CHART_PARTS.match(name) and not name.endswith(".rels"):
                findings.append(Finding(name, "", "a picture, chart or embedded file: its numbers cannot be traced"))
            if not TEXT_PARTS.match(name):
                continue
            root = ElementTree.fromstring(package.read(name))  # noqa: S314
            for number, pieces in enumerate(_paragraphs(root), 1):
                texts.append("".join(p.text for p in pieces))
                findings += _check_paragraph(f"{name} ¶{number}", pieces, facts)
    if any(f.is_synthetic for f in facts.values()) and not any(SYNTHETIC_LABEL in t for t in texts):
        findings.append(Finding("document", "", f"facts are simulated but the label {SYNTHETIC_LABEL} is missing"))
    return findings


def _read_again(keys: dict[str, FactKey], book: FactBook) -> tuple[dict[str, Fact], list[Finding]]:
    facts, findings = {}, []
    for name, key in keys.items():
        if key.id != name:
            findings.append(Finding("trace", name, "the trace entry does not belong to this fact id"))
            continue
        try:
            facts[name] = book.get(key)
        except (FactUnavailable, LookupError, ValueError) as error:
            findings.append(Finding("trace", name, f"no such released number: {error}"))
    return facts, findings


def _spellings(fact: Fact) -> dict[str, str]:
    return {
        "text": fact.text,
        "number": fact.number,
        "signed": f"{fact.value:.{fact.decimals}f}",
    }


def _check_paragraph(where: str, pieces: list[_Piece], facts: dict[str, Fact]) -> list[Finding]:
    findings = []
    free = ""
    for tag, text in _joined(pieces):
        if tag is None:
            free += text
            continue
        free += " " * len(text)
        name, _, style = tag.partition(":")
        if name not in facts:
            findings.append(Finding(where, text, f"content control {tag!r} names no released fact"))
        elif text != _spellings(facts[name]).get(style):
            findings.append(Finding(where, text, f"differs from the fact {name}: {_spellings(facts[name]).get(style)}"))
    supported = {f.text for f in facts.values()}
    for numeral in find_numerals(free):
        direction = blank_structure(free)[max(0, numeral.start - 2) : numeral.start]
        if numeral.text in supported or direction + numeral.text in supported:
            continue
        findings.append(Finding(where, numeral.text, "no fact of the release supports this number"))
    return findings


def _joined(pieces: list[_Piece]) -> Iterator[tuple[str | None, str]]:
    """Neighbouring pieces of one tag as one text (word processors split runs)."""
    tag: str | None = None
    text = ""
    for piece in pieces:
        if piece.tag != tag and text:
            yield tag, text
            text = ""
        tag = piece.tag
        text += piece.text
    if text:
        yield tag, text
