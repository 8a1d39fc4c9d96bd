"""A small document model: headings, paragraphs, tables, bars; numbers only as facts."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from warehouse.report.facts import Fact, Style

BAR = "█"


@dataclass(frozen=True)
class FactRun:
    """A fact in running text (``text``: with its unit or wording) or in a table (``number``)."""

    fact: Fact
    style: Style
    lang: str

    @property
    def text(self) -> str:
        """What is printed."""
        return self.fact.printed(self.style, self.lang)


Piece = str | FactRun


@dataclass(frozen=True)
class Heading:
    """Level 1: 一、 (黑体); level 2: （一） (楷体)."""

    level: int
    text: str


@dataclass(frozen=True)
class Paragraph:
    """Running text with facts in it; ``note`` in small print."""

    parts: tuple[Piece, ...]
    note: bool = False


@dataclass(frozen=True)
class Table:
    """A captioned table; the units stand in its head, its source below it. ``wide``: for a landscape page."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Piece, ...], ...]
    source: str
    widths: tuple[int, ...] = ()
    wide: bool = False
    left: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Landscape:
    """What follows stands on landscape pages."""


Block = Heading | Paragraph | Table | Landscape


@dataclass
class Draft:
    """A document before rendering. ``stamp`` names report, language, year, release and template, for the guard."""

    title: str
    subtitle: str
    banner: str
    cover: tuple[tuple[str, str], ...]
    header: str
    stamp: str
    lang: str
    dated: str
    is_synthetic: bool
    manual_heading: str
    blocks: list[Block] = field(default_factory=list)

    def runs(self) -> Iterator[FactRun]:
        """Every printed fact, in order."""
        for block in self.blocks:
            if isinstance(block, Paragraph | Table):
                rows = (block.parts,) if isinstance(block, Paragraph) else block.rows
                yield from (part for row in rows for part in row if isinstance(part, FactRun))

    def facts(self) -> list[Fact]:
        """Facts printed in the document, in order of first appearance."""
        return list({run.fact.id: run.fact for run in self.runs()}.values())

    def cover_lines(self) -> list[str]:
        """Lines of the first page, in order, without the empty ones."""
        lines = [self.banner, self.title, self.subtitle, *(f"{n}：{v}" for n, v in self.cover)]
        return [line for line in lines if line]


def plain(parts: tuple[Piece, ...]) -> str:
    """The text of some parts as printed."""
    return "".join(p if isinstance(p, str) else p.text for p in parts)


def normal(text: str) -> str:
    """Text with every run of white space as one blank: word processors move blanks about."""
    return re.sub(r"\s+", " ", text).strip()
