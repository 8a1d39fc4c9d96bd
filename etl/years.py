"""A year's figures rest on that year and those before it: later returns never move an earlier year (GSBPM 5-6).

Strata that hold too few respondents in their own year borrow from others; were these later ones, every corrected return of
today would move the figures of all years. They are earlier ones alone, so that what is final stays final, and a night
computes only the years from the first that changed.
"""

from collections.abc import Callable, Sequence

import polars as pl

from etl.remember import digest, remembered

YEAR = "ref_year"


def years_of(frame: pl.DataFrame) -> list[int]:
    """Reference years of a frame, ascending."""
    return sorted(frame[YEAR].unique().to_list())


def by_year(
    kind: str,
    units: pl.DataFrame,
    make: Callable[[pl.DataFrame, int], pl.DataFrame],
    parts: Callable[[int], Sequence[object]] = lambda _: (),
    columns: Sequence[str] = (),
) -> pl.DataFrame:
    """``make(units up to and with the year, year)`` for every reference year, one below the other.

    Parameters
    ----------
    kind
        Of the results that are kept (:mod:`etl.remember`).
    units
        Rows with ``ref_year``.
    make
        Returns the rows of the year alone; depends on nothing but its arguments and ``parts``.
    parts
        What else the rows of a year are made from.
    columns
        Those of ``units`` that ``make`` is handed (all unless some are named): a change of the others makes nothing anew.
    """
    units = units.select(columns) if columns else units
    known: list[str] = []
    found = []
    for year in years_of(units):
        known.append(digest(units.filter(pl.col(YEAR) == year)))

        def rows(year: int = year) -> dict[str, pl.DataFrame]:
            return {"rows": make(units.filter(pl.col(YEAR) <= year), year)}

        found.append(remembered(kind, (year, *known, *parts(year)), rows)["rows"])
    return pl.concat(found) if found else make(units, 0)
