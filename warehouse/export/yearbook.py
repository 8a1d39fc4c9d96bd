"""The yearbook in one workbook: cover, contents, notes, printed tables, every cell of the year, metadata."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warehouse import format as fmt
from warehouse.export.book import HEAD_FILL, LINK, TITLE_FONT, WARN, Book
from warehouse.export.words import kind_text, kind_warning, pick, release_kind, release_text
from warehouse.export.yearbook_sheet import write_data, write_metadata, write_table
from warehouse.export.yearbook_tables import (
    BookTable,
    Plan,
    YearbookError,
    book_tables,
    check_year,
    load_plan,
    years,
)
from warehouse.read import Release

__all__ = ["YearbookError", "build_yearbook", "write_yearbook", "years"]


@dataclass(frozen=True)
class _Edition:
    """One yearbook being made."""

    release: Release
    plan: Plan
    year: int
    lang: str
    book: Book
    tables: tuple[BookTable, ...]

    def word(self, zh: str, en: str) -> str:
        return pick(self.lang, zh, en)

    @property
    def title(self) -> str:
        return self.word(f"{self.plan.title_zh} {self.year}", f"{self.plan.title_en} {self.year}")

    def running_head(self, kind: str) -> str:
        """The title with the mark of what the page holds."""
        return f"【{kind_text(kind or release_kind(self.release.info), self.lang)}】{self.title}"

    @property
    def contents(self) -> str:
        return self.word("目录", "Contents")

    def sheet(self, name: str, *, kind: str = "", landscape: bool = True, back: bool = True) -> Any:
        """A sheet with the running head, and the link back to the contents in A1."""
        sheet = self.book.sheet(name, header=self.running_head(kind), landscape=landscape)
        if back:
            words = self.word("← 返回目录", "← Contents")
            sheet.write_url(0, 0, f"internal:'{self.contents}'!A1", self.book.style(**LINK), words)
        return sheet


def _cover(edition: _Edition) -> None:
    info, book = edition.release.info, edition.book
    sheet = edition.sheet(edition.word("封面", "Cover"), landscape=False, back=False)
    sheet.set_column(0, 0, 78)
    sheet.center_horizontally()
    centre = {"align": "center", "text_wrap": True}
    sheet.set_row(3, 70)
    book.text(
        sheet,
        3,
        0,
        edition.word(edition.plan.title_zh, edition.plan.title_en),
        font_name=TITLE_FONT,
        font_size=24,
        bold=True,
        **centre,
    )
    book.text(sheet, 5, 0, str(edition.year), font_size=28, bold=True, **centre)
    _banner(edition, sheet, centre)
    lines = [
        (edition.word("城市", "City"), edition.word(edition.plan.city_zh, edition.plan.city_en)),
        (edition.word("参考年份", "Reference year"), str(edition.year)),
        (edition.word("数据时点", "Vintage"), info.vintage),
        (edition.word("发布批次", "Release"), info.release_id),
        (edition.word("发布状态", "Status of the release"), release_text(info, edition.lang)),
        (
            edition.word("法律依据", "Legal basis"),
            edition.word(edition.plan.legal_basis_zh, edition.plan.legal_basis_en),
        ),
    ]
    for row, (head, text) in enumerate(lines, 12):
        book.text(sheet, row, 0, f"{head}{edition.word('：', ': ')}{text}", font_size=12, **centre)
        sheet.set_row(row, 24)
    sheet.write_url(19, 0, f"internal:'{edition.contents}'!A1", book.style(align="center", **LINK), edition.contents)


def _banner(edition: _Edition, sheet: Any, style: dict[str, Any]) -> None:
    """The mark no reader may miss: simulated, on trial, or official."""
    info, book = edition.release.info, edition.book
    warning = kind_warning(release_kind(info), edition.lang)
    if info.is_synthetic:
        sheet.set_row(8, 40)
        book.text(sheet, 8, 0, warning, font_size=16, bold=True, font_color="#FFFFFF", bg_color=WARN, **style)
    else:
        book.text(sheet, 8, 0, warning, font_size=14, bold=True, **style)


def _contents(edition: _Edition) -> None:
    book = edition.book
    sheet = edition.sheet(edition.contents, landscape=False, back=False)
    book.text(sheet, 0, 0, edition.contents, font_name=TITLE_FONT, font_size=16, bold=True)
    heads = (("表号", "No."), ("表名", "Title"), ("数据性质", "Kind of data"))
    for column, (zh, en) in enumerate(heads):
        book.text(sheet, 2, column, edition.word(zh, en), bold=True, bg_color=HEAD_FILL, top=2, bottom=1)
    row, chapter = 3, ""
    for name in (edition.word("说明", "Notes"),):
        row = _entry(edition, sheet, row, name, "", name, "")
    for table in edition.tables:
        if table.chapter != chapter:
            chapter = table.chapter
            book.text(sheet, row, 0, table.number.split("-")[0], bold=True)
            book.text(sheet, row, 1, chapter, bold=True)
            row += 1
        row = _entry(edition, sheet, row, table.number, table.number, table.title, kind_text(table.kind, edition.lang))
    for name in (edition.word("数据", "Data"), edition.word("元数据", "Metadata")):
        row = _entry(edition, sheet, row, name, "", name, "")
    sheet.set_column(0, 0, 8)
    sheet.set_column(1, 1, 80)
    sheet.set_column(2, 2, 18)
    sheet.repeat_rows(2)


def _entry(edition: _Edition, sheet: Any, row: int, target: str, number: str, text: str, kind: str) -> int:
    edition.book.text(sheet, row, 0, number)
    sheet.write_url(row, 1, f"internal:'{target}'!A1", edition.book.style(indent=1, text_wrap=True, **LINK), text)
    edition.book.text(sheet, row, 2, kind)
    return row + 1


def _notes(edition: _Edition) -> None:
    book, lang = edition.book, edition.lang
    sheet = edition.sheet(edition.word("说明", "Notes"), landscape=False)
    book.text(sheet, 1, 0, edition.word("说明", "Notes"), font_name=TITLE_FONT, font_size=16, bold=True)
    kinds = dict.fromkeys(t.kind for t in edition.tables)
    general = edition.plan.notes_en if lang == "en" else edition.plan.notes_zh
    blocks: list[tuple[str, list[tuple[str, str]]]] = [
        (
            edition.word("数据性质", "Kinds of data"),
            [(kind_text(k, lang), kind_warning(k, lang)) for k in kinds],
        ),
        (edition.word("符号", "Symbols"), list(fmt.symbols(lang).items())),
        (
            edition.word("观测状态", "Observation status"),
            list((fmt.STATUS_EN if lang == "en" else fmt.STATUS_ZH).items()),
        ),
        (edition.word("编制说明", "General notes"), [("", note) for note in general]),
        (edition.word("各表说明", "Notes on datasets"), _dataset_notes(edition)),
    ]
    row = 3
    for heading, lines in blocks:
        book.text(sheet, row, 0, heading, bold=True, font_size=12, bottom=1)
        for key, text in lines:
            row += 1
            book.paragraph(sheet, row, {0: (key, 26), 1: (text, 84)})
        row += 2
    sheet.set_column(0, 0, 26)
    sheet.set_column(1, 1, 84)


def _dataset_notes(edition: _Edition) -> list[tuple[str, str]]:
    lines = []
    for dataset in edition.release.datasets():
        given = dataset.notes_en if edition.lang == "en" else dataset.notes_zh
        lines += [(edition.word(dataset.title_zh, dataset.title_en), note) for note in given]
    return lines


def build_yearbook(release: Release, year: int, lang: str = "zh") -> bytes:
    """The yearbook of a year as XLSX bytes; the same release, year and language give the same bytes.

    Raises
    ------
    YearbookError
        If the release has no figures for the year; names the years there are.
    """
    check_year(release, year)
    plan, info = load_plan(), release.info
    title = pick(lang, f"{plan.title_zh} {year}", f"{plan.title_en} {year}")
    subject = kind_text(release_kind(info), lang)
    book = Book(title=title, subject=subject, vintage=info.vintage, comments=info.release_id)
    edition = _Edition(release, plan, year, lang, book, tuple(book_tables(release, plan, year, lang)))
    _cover(edition)
    _contents(edition)
    _notes(edition)
    for table in edition.tables:
        write_table(book, edition.sheet(table.number, kind=table.kind), table, info, lang)
    write_data(book, edition.sheet(edition.word("数据", "Data")), release, plan, year, lang)
    write_metadata(book, edition.sheet(edition.word("元数据", "Metadata")), release, lang)
    return book.close()


def write_yearbook(release: Release, year: int, path: Path, lang: str = "zh") -> None:
    """Write the yearbook to ``path``; a crash leaves the old file or the new one, never half of it.

    Raises
    ------
    YearbookError
        If the release has no figures for the year; names the years there are.
    """
    content = build_yearbook(release, year, lang)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)
