"""Numeral guard: every number in a finished DOCX must be one the release supports, in the place where it belongs.

The file says which report, language, year and release it is. The guard drafts that report again from the
release (the document model, not the renderer), and reads the file by its own walk. A paragraph or table row that
shows any number must be, letter for letter, one the draft holds; so a forged digit, unit, direction word, label,
caption or a number in another's place is found, and article numbers, dates and thresholds pass only as part of a
text of the template. Text without numbers may be written freely. In the section for countermeasures people may
use a number by naming its fact.
"""

import difflib
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from xml.etree import ElementTree

from warehouse.read import Release
from warehouse.report.document import Draft, Heading, Paragraph, Table, normal, plain
from warehouse.report.draft import NoSuchYear, draft_art67
from warehouse.report.facts import Fact
from warehouse.report.numerals import find_numerals
from warehouse.report.reader import Unit, opaque_parts, read_units

STAMP = re.compile(r"aistat art67 (?P<lang>zh|en) (?P<year>\d{4}) (?P<release>r[0-9a-z-]+) (?P<template>[0-9a-f]{12})")
CORE = "docProps/core.xml"
CITED = re.compile(r"[〔\[（(]\s*(F[0-9a-f]{10})\s*[〕\]）)]")
FACT_ID = re.compile(r"\bF[0-9a-f]{10}\b")

Key = tuple[str, str, str]


class NotADraft(ValueError):
    """The file cannot be checked: not a DOCX, or not one written by ``aistat draft``."""


@dataclass(frozen=True)
class Stamp:
    """What a file says of itself."""

    lang: str
    year: int
    release: str
    template: str


@dataclass(frozen=True)
class Finding:
    """One thing the guard objects to: where, the text, and why."""

    where: str
    text: str
    reason: str


@dataclass
class Report:
    """What the guard found, and how much it looked at."""

    findings: list[Finding] = field(default_factory=list)
    numbers: int = 0
    facts: int = 0


def read_stamp(path: Path) -> Stamp:
    """Report, language, year and release of a draft.

    Raises
    ------
    NotADraft
        If the file is no DOCX or carries no stamp.
    """
    try:
        with zipfile.ZipFile(path) as package:
            text = "".join(ElementTree.fromstring(package.read(CORE)).itertext())  # noqa: S314
    except (OSError, zipfile.BadZipFile, ElementTree.ParseError, KeyError) as error:
        raise NotADraft(f"{path.name}: not a DOCX file that can be read ({error})") from error
    match = STAMP.search(text)
    if match is None:
        raise NotADraft(
            f"{path.name}: the file property 'keywords' names no report and release; it was not written by "
            "'aistat draft', or the property was removed"
        )
    return Stamp(match["lang"], int(match["year"]), match["release"], match["template"])


def check(path: Path, release: Release) -> Report:
    """Check a finished DOCX against the release it names.

    Facts are read again from ``release``; what the file itself says of them is not believed.

    Raises
    ------
    NotADraft
        If the file cannot be read as a draft.
    """
    stamp = read_stamp(path)
    report = Report()
    if stamp.release != release.info.release_id:
        reason = f"draft of another release than {release.info.release_id}"
        report.findings.append(Finding(CORE, stamp.release, reason))
        return report
    try:
        draft = draft_art67(release, stamp.year, stamp.lang)
    except NoSuchYear as error:
        report.findings.append(Finding(CORE, str(stamp.year), str(error)))
        return report
    if not draft.stamp.endswith(stamp.template):
        reason = f"the template is now {draft.stamp[-12:]}; texts with numbers may differ: draft again"
        report.findings.append(Finding(CORE, stamp.template, reason))
    try:
        with zipfile.ZipFile(path) as package:
            units = list(read_units(package))
            opaque = opaque_parts(package)
    except (zipfile.BadZipFile, ElementTree.ParseError) as error:
        raise NotADraft(f"{path.name}: {error}") from error
    report.findings += [Finding(n, "", "a picture or embedded file: its numbers cannot be read") for n in opaque]
    _check_units(report, units, draft)
    report.findings += _label_findings(units, draft)
    return report


def expected(draft: Draft) -> dict[Key, int]:
    """Every text the draft holds, by (caption, head row, text), with the number of facts in it."""
    found: dict[Key, int] = {("", "", normal(line)): 0 for line in draft.cover_lines()}
    found |= {("", "", normal(text)): 0 for text in (draft.header, draft.stamp)}
    for block in draft.blocks:
        if isinstance(block, Heading):
            found["", "", normal(block.text)] = 0
        elif isinstance(block, Paragraph):
            found["", "", normal(plain(block.parts))] = sum(not isinstance(p, str) for p in block.parts)
        elif isinstance(block, Table):
            caption, head = normal(block.caption), normal(" | ".join(block.head))
            found |= {("", "", caption): 0, ("", "", normal(block.source)): 0, (caption, "", head): 0}
            for row in block.rows:
                text = normal(" | ".join(plain((cell,)).strip() for cell in row))
                found[caption, head, text] = sum(not isinstance(p, str) for p in row)
    return found


def _key(unit: Unit) -> Key:
    return normal(unit.context[0]), normal(unit.context[1]), normal(unit.text)


def _check_units(report: Report, units: list[Unit], draft: Draft) -> None:
    known = expected(draft)
    facts = {fact.id: fact for fact in draft.facts()}
    headings = {normal(b.text) for b in draft.blocks if isinstance(b, Heading) and b.level == 1}
    manual = False
    for unit in units:
        text = normal(unit.text)
        if not unit.cells and text in headings:
            manual = text == draft.manual_heading
        if not find_numerals(text):
            continue
        report.numbers += len(find_numerals(FACT_ID.sub("", text)))
        key = _key(unit)
        if key in known:
            report.facts += known[key]
            report.findings += _control_findings(unit, facts, draft.lang)
        elif manual and not unit.cells:
            rest, used = _without_cited(text, facts, draft.lang)
            report.facts += used
            report.findings += [
                Finding(unit.where, n.text, "no fact id 〔F…〕 of that number stands behind it")
                for n in find_numerals(rest)
            ]
        else:
            report.findings += list(_explain(unit, key, known))


def _control_findings(unit: Unit, facts: Mapping[str, Fact], lang: str) -> list[Finding]:
    """The text is right; a control in it that names another fact would mislead those who look it up."""
    found = []
    for tag, text in unit.controls:
        name, _, style = tag.partition(":")
        if not re.fullmatch(r"F[0-9a-f]{10}", name):
            continue
        if name not in facts or style not in ("text", "number"):
            found.append(Finding(unit.where, text, f"the content control names {tag!r}, no fact of this draft"))
        elif normal(text) != normal(facts[name].printed("text" if style == "text" else "number", lang)):
            found.append(Finding(unit.where, text, f"the content control names another fact, {name}"))
    return found


def _without_cited(text: str, facts: Mapping[str, Fact], lang: str) -> tuple[str, int]:
    """The text without numbers that stand right before the id of the fact they are, and how many there were."""
    used = 0
    for match in reversed(list(CITED.finditer(text))):
        fact = facts.get(match[1])
        before = text[: match.start()].rstrip()
        printed = fact.printed("text", lang) if fact is not None else ""
        if printed and re.search(rf"(?<![\d.,\-−]){re.escape(printed)}$", before):
            before, used = before[: -len(printed)], used + 1
        text = before + " " + text[match.end() :]
    return text, used


def _explain(unit: Unit, key: Key, known: Mapping[Key, int]) -> Iterator[Finding]:
    """Which numbers of a unit are not those of the text that should stand there."""
    text = key[2]
    should = _closest(unit, key, known)
    if should is None:
        place = "; no such row under this caption and head" if unit.cells else ""
        for numeral in find_numerals(text):
            yield Finding(unit.where, numeral.text, f"no fact and no template text supports this number{place}")
        return
    if unit.cells:
        yield from _explain_row(unit, should)
        return
    missing = Counter(n.text for n in find_numerals(should[2]))
    strange = []
    for numeral in find_numerals(text):
        if missing[numeral.text] > 0:
            missing[numeral.text] -= 1
        else:
            strange.append(numeral.text)
    for number in strange or [text]:
        what = "no fact supports this number here" if strange else "the words around the numbers differ"
        yield Finding(unit.where, number, f"{what}; the draft says {should[2]!r}")


def _explain_row(unit: Unit, should: Key) -> Iterator[Finding]:
    for column, (shown, right) in enumerate(zip_longest(unit.cells, should[2].split(" | "), fillvalue=""), 1):
        if normal(shown) != normal(right):
            yield Finding(f"{unit.where} column {column}", normal(shown), f"should be {normal(right)!r}")


def _closest(unit: Unit, key: Key, known: Mapping[Key, int]) -> Key | None:
    """The text that should stand there: the row of that label in that table, the paragraph most like it."""
    if unit.cells:
        label = normal(unit.cells[0])
        return next((k for k in known if k[:2] == key[:2] and k[2].split(" | ")[0] == label), None)
    texts = {k[2]: k for k in known if not k[0] and abs(len(k[2]) - len(key[2])) <= len(k[2])}
    near = difflib.get_close_matches(key[2], texts, n=1, cutoff=0.5)
    return texts[near[0]] if near else None


def _label_findings(units: list[Unit], draft: Draft) -> list[Finding]:
    """A draft of simulated data says so before its first heading and in every header."""
    if not draft.is_synthetic:
        return []
    found = []
    body = [normal(u.text) for u in units if u.part == "word/document.xml"]
    if normal(draft.banner) not in body[:3]:
        found.append(Finding("word/document.xml", "", f"the first page must say {draft.banner!r}"))
    headers: dict[str, list[str]] = {}
    for unit in units:
        if unit.part.startswith("word/header"):
            headers.setdefault(unit.part, []).append(normal(unit.text))
    silent = [name for name, texts in headers.items() if normal(draft.header) not in texts]
    if silent or not headers:
        found.append(Finding(", ".join(silent) or "word/header", "", f"the page header must say {draft.header!r}"))
    return found
