"""XLSX, tidy: one accessible table with one header row; notes, source and vintage on a sheet of their own."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from warehouse import format as fmt
from warehouse.catalogue import Dataset
from warehouse.export.book import HEAD_FILL, WARN, Book, text_width
from warehouse.export.registry import exporter
from warehouse.export.tidy import Extract
from warehouse.export.words import kind_text, pick, stored_unit

HEAD_ROW = 3
HINT = (
    "数值为原始计量单位，未舍入；说明、来源见“说明”页。",
    "Values in stored units, unrounded; notes and source on the sheet Notes.",
)
NUMBERS = {"value": "#,##0.00", "yoy_ratio": "0.0000", "model_share": "0.0000"}


HEADS = {
    "period": ("时期", "Period"),
    "indicator": ("指标代码", "Indicator code"),
    "indicator_label": ("指标", "Indicator"),
    "value": ("数值", "Value"),
    "unit": ("单位代码", "Unit code"),
    "unit_label": ("计量单位", "Unit"),
    "symbol": ("符号", "Symbol"),
    "obs_status": ("观测状态", "Observation status"),
    "conf_status": ("保密状态", "Confidentiality"),
    "yoy_ratio": ("同比（比率）", "Change on a year (ratio)"),
    "yoy_note": ("同比说明", "Note on change"),
    "model_share": ("推算占比", "Model share"),
    "revision_stage": ("数据阶段代码", "Stage code"),
    "revision_stage_label": ("数据阶段", "Stage"),
    "vintage": ("数据时点", "Vintage"),
    "release_id": ("发布批次", "Release"),
    "data_kind": ("数据性质", "Kind of data"),
}


def headings(datasets: Iterable[Dataset], lang: str) -> dict[str, str]:
    """Column → heading for people, each different: the datasets' dimensions, then the cell's columns."""
    heads = {}
    for dimension in (d for dataset in datasets for d in dataset.dimensions):
        name = pick(lang, dimension.name_zh, dimension.name_en)
        heads[dimension.id] = name + pick(lang, "代码", " code")
        heads[f"{dimension.id}_label"] = name
    return heads | {key: pick(lang, zh, en) for key, (zh, en) in HEADS.items()}


def units_text(data: Extract) -> str:
    """Units of the indicators, each once: 元、人、家."""
    return pick(data.lang, "、", ", ").join(dict.fromkeys(stored_unit(i, data.lang) for i in data.cube.indicators))


def _table(book: Book, data: Extract) -> None:
    sheet = book.sheet(pick(data.lang, "数据", "Data"), header=data.title)
    warning = {"font_color": WARN} if data.kind == "simulated" else {}
    book.text(sheet, 0, 0, data.title, font_name="黑体", font_size=14, **warning)
    unit = pick(data.lang, f"计量单位：{units_text(data)}", f"Unit: {units_text(data)}")
    book.text(sheet, 1, 0, f"{unit}　{kind_text(data.kind, data.lang)}")
    book.text(sheet, 2, 0, pick(data.lang, *HINT))
    heads = headings([data.dataset], data.lang)
    widths = {}
    for column, name in enumerate(data.columns):
        book.text(sheet, HEAD_ROW, column, heads[name], bold=True, bg_color=HEAD_FILL, border=1, text_wrap=True)
        widths[column] = text_width(heads[name]) + 3
    last = HEAD_ROW
    for last, row in enumerate(data.rows(), HEAD_ROW + 1):
        for column, (name, cell) in enumerate(zip(data.columns, row, strict=True)):
            widths[column] = max(widths[column], write_cell(book, sheet, last, column, name, cell) + 2)
    for column, width in widths.items():
        sheet.set_column(column, column, min(width, 42))
    sheet.freeze_panes(HEAD_ROW + 1, 0)
    sheet.autofilter(HEAD_ROW, 0, last, len(data.columns) - 1)
    sheet.repeat_rows(HEAD_ROW)


def write_cell(book: Book, sheet: Any, row: int, column: int, name: str, cell: str | Decimal | float | None) -> float:
    """One tidy cell: numbers as numbers, text as text, nothing as blank; returns its width."""
    if cell is None:
        sheet.write_blank(row, column, None, book.style())
        return 0
    if isinstance(cell, str):
        book.text(sheet, row, column, cell)
        return text_width(cell)
    sheet.write_number(row, column, float(cell), book.style(num_format=NUMBERS[name]))
    return len(f"{cell:,.2f}")


def about_lines(data: Extract) -> list[tuple[str, str]]:
    """(heading, text) of everything that must stand beside the figures."""
    lang, cube = data.lang, data.cube
    symbols = pick(lang, "；", "; ").join(f"{k} {v}" for k, v in fmt.symbols(lang).items())
    lines = [
        (pick(lang, "标题", "Title"), data.title),
        (pick(lang, "数据性质", "Kind of data"), kind_text(data.kind, lang)),
        (pick(lang, "计量单位", "Unit"), units_text(data)),
        (pick(lang, "符号", "Symbols"), symbols),
        *((pick(lang, "说明", "Note"), note) for note in data.notes),
        (pick(lang, "资料来源", "Source"), data.source),
        (pick(lang, "法律依据", "Legal basis"), data.dataset.legal_basis),
        (pick(lang, "数据时点", "Vintage"), cube.vintage),
        (pick(lang, "发布批次", "Release"), cube.release_id),
        *([(pick(lang, "数据阶段", "Stage"), stages)] if (stages := cube.stage_text()) else []),
    ]
    for card in cube.indicators:
        words = (card.name_zh, card.definition_zh) if lang != "en" else (card.name_en, card.definition_en)
        lines.append((pick(lang, f"指标：{words[0]}", f"Indicator: {words[0]}"), words[1]))
    return lines


def _about(book: Book, data: Extract) -> None:
    sheet = book.sheet(pick(data.lang, "说明", "Notes"), header=data.title)
    book.text(sheet, 0, 0, data.title, font_name="黑体", font_size=14)
    for row, (heading, text) in enumerate(about_lines(data), 2):
        book.paragraph(sheet, row, {0: (heading, 30), 1: (text, 100)})
    sheet.set_column(0, 0, 30)
    sheet.set_column(1, 1, 100)


@exporter(
    "xlsx",
    media_type="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    extension="xlsx",
    name_zh="Excel 规范表",
    name_en="Excel, tidy",
)
def write_xlsx(data: Extract) -> bytes:
    """Sheets 数据 and 说明; numbers in the stored unit, withheld and missing ones blank with a symbol."""
    book = Book(
        title=data.title,
        subject=kind_text(data.kind, data.lang),
        vintage=data.cube.vintage,
        comments=data.cube.release_id,
    )
    _table(book, data)
    _about(book, data)
    return book.close()
