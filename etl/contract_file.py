"""How files of a source are named: patterns with the reference period and the number of the correction in them."""

import re
from functools import cached_property
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

CAPTURES: Final = {
    "ref_year": r"(?P<ref_year>(?:19|20)\d{2})",
    "month": r"(?P<month>0[1-9]|1[0-2])",
    "day": r"(?P<day>0[1-9]|[12]\d|3[01])",
    "quarter": r"(?P<quarter>[1-4])",
    "revision": r"(?:_更正(?P<revision>[1-9]\d?))?",
}
EXAMPLE: Final = {"ref_year": "2025", "month": "06", "day": "14", "quarter": "2", "revision": ""}


class FileSpec(BaseModel):
    """How files of the source are named and shaped.

    ``pattern`` may hold ``{ref_year}``, ``{quarter}``, ``{month}``, ``{day}`` and ``{revision}`` (nothing, or ``_更正1``,
    ``_更正2`` …: corrected returns, whose rows replace those of the same key). ``pick: latest`` reads only the newest
    period (a full register), ``all`` every file. ``same_key`` says what happens when two files of one revision bring one key.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))

    pattern: str
    format: Literal["csv", "xlsx"]
    encoding: tuple[str, ...] = ("utf-8-sig", "gb18030")
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    sheet: str | None = None
    header_rows: int = Field(default=1, ge=1, le=3)
    header_search: int = Field(default=30, ge=1)
    footnote: tuple[str, ...] = (
        "注",
        "说明",
        "备注",
        "资料来源",
        "单位负责人",
        "统计负责人",
        "填表人",
        "报出日期",
        "制表",
    )
    pick: Literal["latest", "all"] = "all"
    same_key: Literal["first_wins", "later_wins"] = "first_wins"

    @cached_property
    def regex(self) -> re.Pattern[str]:
        """The pattern as a regular expression with its captures."""
        text = re.escape(self.pattern)
        for name, capture in CAPTURES.items():
            text = text.replace(re.escape("{" + name + "}"), capture)
        return re.compile(text, re.IGNORECASE)

    def name(self, year: int | str, *, month: int = 1, day: int = 1, quarter: int = 1, revision: int = 0) -> str:
        """The file name of a period."""
        values = {
            "ref_year": str(year), "month": f"{month:02d}", "day": f"{day:02d}", "quarter": str(quarter),
            "revision": f"_更正{revision}" if revision else "",
        }  # fmt: skip
        return self.pattern.format(**values)

    @property
    def example(self) -> str:
        """A file name that would be accepted."""
        return self.pattern.format(**EXAMPLE)

    def period(self, name: str) -> str | None:
        """SDMX period in a file name (``2025``, ``2025-Q3``, ``2025-09``, ``2025-09-14``), None where the pattern has none.

        Raises
        ------
        ValueError
            If the name does not follow the pattern.
        """
        captured = self._match(name)
        if "ref_year" not in captured:
            return None
        year = captured["ref_year"]
        if "quarter" in captured:
            return f"{year}-Q{captured['quarter']}"
        return "-".join([year, *(captured[part] for part in ("month", "day") if part in captured)])

    def revision(self, name: str) -> int:
        """Number of the correction in a file name, 0 for the first return (ValueError as :meth:`period`)."""
        return int(self._match(name).get("revision") or 0)

    def _match(self, name: str) -> dict[str, str]:
        found = self.regex.fullmatch(name)
        if found is None:
            raise ValueError(name)
        return found.groupdict()

    @model_validator(mode="after")
    def _known_captures(self) -> Self:
        unknown = set(re.findall(r"\{(\w*)\}", self.pattern)) - set(CAPTURES)
        if unknown:
            raise ValueError(f"file pattern {self.pattern}: unknown capture {sorted(unknown)}, use {list(CAPTURES)}")
        return self
