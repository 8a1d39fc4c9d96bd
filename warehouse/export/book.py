"""A workbook with the house style: safe text, cached formats, A4 print, properties, reproducible bytes."""

import io
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import xlsxwriter

TEXT_FONT, TITLE_FONT = "宋体", "黑体"
HEAD_FILL, BAND_FILL, WARN = "#DCE6F1", "#F5F8FC", "#C00000"
LINK = {"font_color": "#0563C1", "underline": 1}
A4 = 9
WIDE = 1.9
LINE_HEIGHT = 14
OPTIONS = {
    "in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False,
    "nan_inf_to_errors": False,
}  # fmt: skip


def text_width(text: str) -> float:
    """Width of a line in Excel's units: a Chinese character takes about two."""
    return sum(WIDE if ord(c) > 0x2E7F else 1.0 for c in text)


def line_count(text: str, width: float) -> int:
    """Lines a text takes when wrapped at ``width``."""
    return max(1, -(-int(text_width(text) * 1.05) // int(width)))


class Book:
    """Thin cover of one xlsxwriter workbook; it is dated by the vintage: same release, same bytes."""

    def __init__(self, *, title: str, subject: str, vintage: str, comments: str) -> None:
        self._stream = io.BytesIO()
        self._book = xlsxwriter.Workbook(self._stream, OPTIONS)
        self._book.set_properties(
            {
                "title": title, "subject": subject, "author": "aistat", "company": "", "category": "统计",
                "comments": comments, "created": datetime.fromisoformat(vintage),
            }
        )  # fmt: skip
        self._formats: dict[tuple[tuple[str, Any], ...], Any] = {}

    def style(self, **properties: Any) -> Any:
        """A cell format; equal properties give the same one."""
        full = {"font_name": TEXT_FONT, "font_size": 10, "valign": "vcenter", **properties}
        key = tuple(sorted(full.items()))
        if key not in self._formats:
            self._formats[key] = self._book.add_format(full)
        return self._formats[key]

    def sheet(self, name: str, *, header: str, landscape: bool = True) -> Any:
        """A new sheet, set for A4 print, one page wide, with page numbers."""
        sheet = self._book.add_worksheet(name)
        if landscape:
            sheet.set_landscape()
        sheet.set_paper(A4)
        sheet.fit_to_pages(1, 0)
        sheet.set_margins(left=0.5, right=0.5, top=0.8, bottom=0.7)
        sheet.set_header(f"&C&9{header.replace('&', '&&')}")
        sheet.set_footer("&C&9&P / &N")
        sheet.hide_gridlines(2)
        return sheet

    def text(self, sheet: Any, row: int, column: int, text: str, **properties: Any) -> None:
        """Text, always typed as text: a spreadsheet never takes it for a formula or a link."""
        sheet.write_string(row, column, text, self.style(**properties))

    def paragraph(self, sheet: Any, row: int, cells: Mapping[int, tuple[str, float]], **properties: Any) -> None:
        """Wrapped texts of one row, column → (text, column width); the row is made high enough."""
        for column, (text, _) in cells.items():
            self.text(sheet, row, column, text, text_wrap=True, valign="top", **properties)
        sheet.set_row(row, LINE_HEIGHT * max(line_count(text, width) for text, width in cells.values()))

    def close(self) -> bytes:
        """The finished file."""
        self._book.close()
        return self._stream.getvalue()
