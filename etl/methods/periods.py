"""Periods of year, quarter and month as whole numbers, so that lags and gaps are plain arithmetic."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

Frequency = Literal[1, 4, 12]
_FORMS: tuple[tuple[Frequency, re.Pattern[str]], ...] = (
    (1, re.compile(r"(\d{4})")),
    (4, re.compile(r"(\d{4})-?Q([1-4])", re.I)),
    (12, re.compile(r"(\d{4})-?(0[1-9]|1[0-2])")),
)


@dataclass(frozen=True, order=True)
class Period:
    """``frequency`` periods a year; ``ordinal`` counts them from year 0, so the next period is one more."""

    frequency: Frequency
    ordinal: int

    @property
    def year(self) -> int:
        """Calendar year."""
        return self.ordinal // self.frequency

    @property
    def within(self) -> int:
        """Position in the year, from 1."""
        return self.ordinal % self.frequency + 1

    @property
    def end(self) -> date:
        """Last day of the year, quarter or month."""
        months = 12 // self.frequency
        after = self.year * 12 + self.within * months
        return date(after // 12, after % 12 + 1, 1) - timedelta(days=1)

    def shift(self, steps: int) -> "Period":
        """The period ``steps`` later (earlier if negative)."""
        return Period(self.frequency, self.ordinal + steps)

    def __str__(self) -> str:
        if self.frequency == 1:
            return f"{self.year}"
        return f"{self.year}-Q{self.within}" if self.frequency == 4 else f"{self.year}-{self.within:02d}"


def parse(text: str) -> Period:
    """``2025``, ``2025-Q3``, ``2025-09`` or ``202509``.

    Raises
    ------
    ValueError
        If the text is none of these.
    """
    for frequency, form in _FORMS:
        found = form.fullmatch(text.strip())
        if found:
            position = int(found[2]) - 1 if frequency > 1 else 0
            return Period(frequency, int(found[1]) * frequency + position)
    raise ValueError(f"{text!r} is not a period (2025, 2025-Q3, 2025-09, 202509)")


def edge(text: str, frequency: Frequency, *, last: bool) -> Period:
    """A year, quarter, month or date as the first (``last``: the last) period of a range of the frequency.

    Raises
    ------
    ValueError
        If the text is none of these, or a day that no month has.
    """
    day = re.fullmatch(r"(\d{4}-\d{2})-\d{2}", text.strip())
    if day:
        try:
            date.fromisoformat(text.strip())
        except ValueError:
            raise ValueError(f"{text!r} is not a day of the calendar; give one, or a month such as 2020-02") from None
    given = parse(day[1] if day else text)
    if given.frequency == frequency:
        return given
    steps = frequency / given.frequency
    return Period(frequency, int((given.ordinal + last) * steps) - last if steps > 1 else int(given.ordinal * steps))


def of(frequency: Frequency, year: int, within: int = 1) -> Period:
    """Period number ``within`` (from 1) of a year."""
    return Period(frequency, year * frequency + within - 1)


def series(texts: Sequence[str]) -> list[Period]:
    """Periods of one series: one frequency, no period twice.

    Raises
    ------
    ValueError
        If the frequencies differ or a period stands twice; says which.
    """
    found = [parse(t) for t in texts]
    if len({p.frequency for p in found}) > 1:
        raise ValueError(f"periods of different frequency in one series: {found[0]} and others; keep one frequency")
    seen: set[Period] = set()
    for period in found:
        if period in seen:
            raise ValueError(f"period {period} stands twice; keep one row a period")
        seen.add(period)
    return found


def gaps(found: Sequence[Period]) -> list[Period]:
    """Periods missing between the first and the last of a series."""
    have = set(found)
    if not have:
        return []
    first, last = min(have), max(have)
    return [p for i in range(first.ordinal, last.ordinal) if (p := Period(first.frequency, i)) not in have]
