"""Sheets of the yearbook: a printed table, every cell of the year, the indicators' cards."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from warehouse import format as fmt
from warehouse.catalogue import Indicator
from warehouse.cube import Cell, Periods, Selection, read_cube
from warehouse.export.book import HEAD_FILL, LINE_HEIGHT, TITLE_FONT, WARN, Book, line_count, text_width
from warehouse.export.tidy import CELL_COLUMNS, Extract, extract
from warehouse.export.words import kind_of, kind_text, kind_warning, pick, stored_unit
from warehouse.export.xlsx import headings, write_cell
from warehouse.export.yearbook_tables import BookTable, Plan, periods_for
from warehouse.read import Info, Release

TITLE_ROW, UNIT_ROW, TOP = 1, 2, 3
NARROW, BROAD, MANY = 13, 22, 4
HEAD = {"bold": True, "bg_color": HEAD_FILL, "align": "center", "text_wrap": True, "left": 1, "right": 1}

__all__ = ["write_data", "write_metadata", "write_table"]


def write_table(book: Book, sheet: Any, table: BookTable, info: Info, lang: str) -> None:
    """One printed table: number and title, kind of data, unit, heads, rows, notes, source, vintage."""
    last, width = len(table.columns), _width(table)
    title = f"{pick(lang, '表', 'Table ')}{table.number}　{table.title}"
    style = book.style(font_name=TITLE_FONT, font_size=14, bold=True, align="center", text_wrap=True)
    sheet.merge_range(TITLE_ROW, 0, TITLE_ROW, last, title, style)
    sheet.set_row(TITLE_ROW, 28 if text_width(title) < last * width + 30 else 44)
    warning = {"font_color": WARN, "bold": True} if table.kind == "simulated" else {}
    book.text(sheet, UNIT_ROW, 0, kind_text(table.kind, lang), **warning)
    if table.unit:
        book.text(sheet, UNIT_ROW, last, f"{pick(lang, '单位：', 'Unit: ')}{table.unit}", align="right")
    first = _heads(book, sheet, table)
    for row, (label, depth, cells) in enumerate(table.rows, first):
        edge = {"bottom": 2} if row == first + len(table.rows) - 1 else {}
        bold = {"bold": True} if depth == 0 else {}
        book.text(sheet, row, 0, label, indent=depth, **bold, **edge)
        for n, (cell, column) in enumerate(zip(cells, table.columns, strict=True), 1):
            _cell(book, sheet, row, n, cell, column.decimals, {**bold, **edge})
    _foot(book, sheet, table, info, first + len(table.rows), lang)
    label_width = max(text_width(label) + 2 * depth for label, depth, _ in table.rows)
    sheet.set_column(0, 0, min(max(label_width + 2, 18), 46))
    sheet.set_column(1, last, width)
    sheet.freeze_panes(first, 1)
    sheet.repeat_rows(TITLE_ROW, first - 1)


def _width(table: BookTable) -> int:
    """Width of the value columns: broader where there are few."""
    return NARROW if len(table.columns) > MANY else BROAD


def _heads(book: Book, sheet: Any, table: BookTable) -> int:
    """One head row, or two where columns stand in groups; returns the first row of the body."""
    grouped = any(c.group for c in table.columns)
    bottom = TOP + 1 if grouped else TOP
    if grouped:
        sheet.merge_range(TOP, 0, bottom, 0, table.row_head, book.style(top=2, bottom=1, **HEAD))
        start = 1
        for group, members in groupby(table.columns, key=lambda c: c.group):
            end = start + len(list(members)) - 1
            sheet.merge_range(TOP, start, TOP, end, group, book.style(top=2, bottom=4, **HEAD))
            start = end + 1
        sheet.set_row(TOP, 30)
    else:
        book.text(sheet, TOP, 0, table.row_head, top=2, bottom=1, **HEAD)
    edge = {"bottom": 1} if grouped else {"top": 2, "bottom": 1}
    for n, column in enumerate(table.columns, 1):
        book.text(sheet, bottom, n, column.head, **edge, **HEAD)
    sheet.set_row(bottom, 6 + LINE_HEIGHT * max(line_count(c.head, _width(table) - 1) for c in table.columns))
    return bottom + 1


def _cell(book: Book, sheet: Any, row: int, column: int, cell: Cell, decimals: int, style: dict[str, Any]) -> None:
    """A number with the indicator's places, or a symbol; never a blank."""
    if cell.value is None or cell.text == fmt.TOO_SMALL:
        book.text(sheet, row, column, cell.text, align="right", **style)
    else:
        form = f"0.{'0' * decimals}" if decimals and cell.text != "0" else "0"
        sheet.write_number(row, column, float(cell.value), book.style(num_format=form, align="right", **style))


def _foot(book: Book, sheet: Any, table: BookTable, info: Info, row: int, lang: str) -> None:
    symbols = "　".join(f"{k} {v}" for k, v in fmt.symbols(lang).items())
    notes = [kind_warning(table.kind, lang), *table.notes, f"{pick(lang, '符号：', 'Symbols: ')}{symbols}"]
    lines = [f"{pick(lang, '注', 'Note ')}{n}{pick(lang, '：', ': ')}{note}" for n, note in enumerate(notes, 1)]
    lines.append(f"{pick(lang, '资料来源：', 'Source: ')}{table.source}")
    words = ("数据时点 {}，发布批次 {}", "Vintage {}, release {}")
    lines.append(pick(lang, *words).format(info.vintage, info.release_id))
    last = len(table.columns)
    room = 30 + last * _width(table)
    for n, line in enumerate(lines, row):
        sheet.merge_range(n, 0, n, last, line, book.style(font_size=9, text_wrap=True, valign="top"))
        sheet.set_row(n, 13 * line_count(line, room))


def _extracts(release: Release, plan: Plan, year: int, lang: str) -> list[Extract]:
    """Every cell of the year, dataset by dataset, and of the periods shown in tables of the newest data."""
    found = {}
    for item in (t for chapter in plan.chapters for t in chapter.tables):
        if item.dataset in {d.id for d in release.datasets()} and (periods := periods_for(release, item, year)):
            selection = Selection(item.dataset, periods=Periods("fixed", values=tuple(periods)), lang=lang)
            found[item.dataset] = extract(release, read_cube(release, selection))
    return list(found.values())


def write_data(book: Book, sheet: Any, release: Release, plan: Plan, year: int, lang: str) -> None:
    """The long sheet: one line per cell, exact values in stored units, statuses; `—` = no such dimension."""
    extracts = _extracts(release, plan, year, lang)
    heads = headings([e.dataset for e in extracts], lang)
    dimensions = [name for name in heads if name not in CELL_COLUMNS]
    columns = ["dataset", *dimensions, *CELL_COLUMNS]
    heads["dataset"] = pick(lang, "数据集", "Dataset")
    title = pick(lang, f"{year}年全部单元格（原始计量单位，未舍入）", f"Every cell of {year} (stored units, unrounded)")
    _title(book, sheet, title, release, lang)
    for n, name in enumerate(columns):
        book.text(sheet, TOP, n, heads[name], bold=True, bg_color=HEAD_FILL, border=1, text_wrap=True)
    row = TOP
    for data in extracts:
        own = set(data.columns)
        for cells in data.rows():
            row += 1
            line = {"dataset": data.dataset.id, **dict(zip(data.columns, cells, strict=True))}
            for n, name in enumerate(columns):
                known = name == "dataset" or name in own
                write_cell(book, sheet, row, n, name, line[name] if known else fmt.NOT_APPLICABLE)
    widths = {"dataset": 22, "value": 20, "indicator_label": 34, "release_id": 20, "data_kind": 14}
    for n, name in enumerate(columns):
        sheet.set_column(n, n, widths.get(name, 22 if name.endswith("_label") else 12))
    sheet.freeze_panes(TOP + 1, 1)
    sheet.autofilter(TOP, 0, max(row, TOP), len(columns) - 1)
    sheet.repeat_rows(TOP)


def _title(book: Book, sheet: Any, title: str, release: Release, lang: str) -> None:
    book.text(sheet, TITLE_ROW, 0, title, font_name=TITLE_FONT, font_size=14, bold=True)
    if release.info.is_synthetic:
        words = ("含模拟数据，逐行见“数据性质”。", "Holds simulated data; see the column Kind of data.")
        book.text(sheet, UNIT_ROW, 0, pick(lang, *words), font_color=WARN, bold=True)


def _card(card: Indicator, lang: str) -> list[str]:
    return [
        card.id,
        card.name_zh,
        card.name_en,
        pick(lang, card.definition_zh, card.definition_en),
        f"{fmt.unit(card, lang)} / {stored_unit(card, lang)}",
        pick(lang, *VIEWS[card.view]),
        pick(lang, card.method_zh, card.method_en),
        ", ".join(card.sources),
        card.legal_basis,
        pick(lang, "是", "yes") if card.additive else pick(lang, "否", "no"),
        pick(lang, card.note_zh, card.note_en),
    ]


CARD_HEADS = (
    ("代码", "Code"), ("中文名称", "Chinese name"), ("英文名称", "English name"), ("定义", "Definition"),
    ("单位（显示/存储）", "Unit (shown / stored)"), ("口径", "View"), ("方法", "Method"), ("来源", "Sources"),
    ("法律依据", "Legal basis"), ("可加", "Additive"), ("说明", "Note"),
)  # fmt: skip
VIEWS = {
    "enterprise": ("企业口径", "enterprise"),
    "activity": ("活动口径", "activity"),
    "public": ("公开名单", "public list"),
    "source": ("来源汇总", "aggregate of a source"),
}
CARD_WIDTHS = (20, 26, 26, 50, 16, 10, 22, 22, 22, 8, 46)
DATASET_HEADS = (
    ("代码", "Code"), ("标题", "Title"), ("数据性质", "Kind of data"), ("来源", "Source"),
    ("法律依据", "Legal basis"),
)  # fmt: skip


def write_metadata(book: Book, sheet: Any, release: Release, lang: str) -> None:
    """Cards of the indicators and of the datasets."""
    _title(book, sheet, pick(lang, "指标与数据集说明", "Indicators and datasets"), release, lang)
    row = _grid(book, sheet, TOP, CARD_HEADS, [_card(i, lang) for i in release.indicators()], lang)
    datasets = [
        [
            d.id,
            pick(lang, d.title_zh, d.title_en),
            kind_text(kind_of(release, d), lang),
            pick(lang, d.source_zh, d.source_en),
            d.legal_basis,
        ]
        for d in release.datasets()
    ]
    _grid(book, sheet, row + 1, DATASET_HEADS, datasets, lang)
    for n, width in enumerate(CARD_WIDTHS):
        sheet.set_column(n, n, width)
    sheet.freeze_panes(TOP + 1, 1)
    sheet.repeat_rows(TOP)


def _grid(
    book: Book,
    sheet: Any,
    row: int,
    heads: Sequence[tuple[str, str]],
    lines: Sequence[Sequence[str]],
    lang: str,
) -> int:
    for n, (zh, en) in enumerate(heads):
        book.text(sheet, row, n, pick(lang, zh, en), bold=True, bg_color=HEAD_FILL, border=1, text_wrap=True)
    for line in lines:
        row += 1
        book.paragraph(sheet, row, {n: (text, CARD_WIDTHS[n]) for n, text in enumerate(line)}, border=4)
    return row + 1
