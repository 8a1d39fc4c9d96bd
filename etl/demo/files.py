"""Demo files in the shapes the offices use: GB18030 csv; xlsx with title lines, merged heads, a footnote."""

from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import xlsxwriter
from xlsxwriter.worksheet import Worksheet

from etl.contract import Contract
from etl.demo.scenario import LABEL

UNIT_WORDS = {"CNY_1000": "千元", "CNY_10K": "万元", "CNY": "元"}
FOOTNOTE = f"注：本表为{LABEL}，单位与数字均由程序生成，与任何实有单位无关。"


def headers(contract: Contract, frame: pl.DataFrame) -> list[str]:
    """The contract's Chinese headers of the frame's columns; KeyError for a column it does not have."""
    return [contract.column(name).header for name in frame.columns]


def write_csv(path: Path, names: list[str], columns: list[list[Any]]) -> None:
    """GB18030 with a head line and CRLF, as exported from a ministry's database."""
    frame = pl.DataFrame(
        [
            pl.Series(n, [None if v is None else str(v) for v in c], pl.String)
            for n, c in zip(names, columns, strict=True)
        ]
    )
    text = frame.write_csv(line_terminator="\r\n")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        step = 8_000_000
        for start in range(0, len(text), step):
            file.write(text[start : start + step].encode("gb18030"))


def _title_lines(contract: Contract, year: int) -> tuple[str, str]:
    title = f"{contract.title_zh}（{year}年）（{LABEL}）"
    survey = contract.survey
    if survey is None:
        return title, f"计量单位：千元　{LABEL}"
    until = f"{survey.valid_until.year}年{survey.valid_until.month}月"
    return title, (
        f"表　　号：{survey.table_no}　制定机关：{survey.issued_by}　批准机关：{survey.approved_by}　"
        f"有效期至：{until}　计量单位：千元"
    )


def _write_head(sheet: Worksheet, names: list[str], top: int, style: Any) -> int:
    """Write a one- or two-row head (``上/下`` joins the rows) with merged cells; the row after it."""
    pairs = [name.split("/", 1) for name in names]
    if all(len(pair) == 1 for pair in pairs):
        for column, name in enumerate(names):
            sheet.write_string(top, column, name, style)
        return top + 1
    column = 0
    while column < len(pairs):
        pair = pairs[column]
        if len(pair) == 1:
            sheet.merge_range(top, column, top + 1, column, pair[0], style)
            column += 1
            continue
        last = column
        while last + 1 < len(pairs) and len(pairs[last + 1]) == 2 and pairs[last + 1][0] == pair[0]:
            last += 1
        sheet.merge_range(top, column, top, last, pair[0], style)
        for place in range(column, last + 1):
            sheet.write_string(top + 1, place, pairs[place][1], style)
        column = last + 1
    return top + 2


def write_xlsx(path: Path, contract: Contract, year: int, names: list[str], columns: list[list[Any]]) -> None:
    """Two title lines, the head, the rows, a footnote; strings are written as text, never as formulas."""
    path.parent.mkdir(parents=True, exist_ok=True)
    book = xlsxwriter.Workbook(str(path), {"strings_to_formulas": False, "strings_to_urls": False})
    book.set_properties({"title": f"{contract.title_zh} {LABEL}", "created": datetime(2026, 1, 1)})
    sheet = book.add_worksheet(str(year))
    bold = book.add_format({"bold": True, "align": "center", "valign": "vcenter"})
    title, second = _title_lines(contract, year)
    sheet.merge_range(0, 0, 0, len(names) - 1, title, bold)
    sheet.merge_range(1, 0, 1, len(names) - 1, second)
    first = _write_head(sheet, names, 2, bold)
    for place, values in enumerate(columns):
        sheet.write_column(first, place, values)
    sheet.write_string(first + len(columns[0]), 0, FOOTNOTE)
    sheet.set_column(0, 0, 22)
    sheet.set_column(1, 1, 34)
    sheet.set_column(2, len(names) - 1, 16)
    book.close()
