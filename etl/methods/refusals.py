"""Turn refusals of the mathematics into the one line a user of a runnable method sees."""

from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl

from etl.methods.periods import parse
from etl.methods.tabular import BadInput


@contextmanager
def refused(method: str) -> Iterator[None]:
    """Inside it a ``ValueError`` becomes a :class:`BadInput` that begins with the method's identifier."""
    try:
        yield
    except BadInput:
        raise
    except ValueError as error:
        raise BadInput(f"{method}: {error}") from None


def refuse_row(method: str, frame: pl.DataFrame, bad: pl.Series, what: str, *key: str) -> None:
    """BadInput naming line and ``key`` of the first row that is ``bad`` (null is not), ``what`` is wrong with it, how many are."""
    at = bad.fill_null(False).arg_true()
    if at.len():
        named = "".join(f", {k} {frame[k][at[0]]}" for k in key)
        raise BadInput(f"{method}: line {at[0] + 2}{named}: {what} ({at.len()} such rows)")


def refuse_duplicates(method: str, frame: pl.DataFrame, *key: str) -> None:
    """BadInput naming the first key that stands in more than one row."""
    twice = frame.filter(frame.select(key).is_duplicated())
    if twice.height:
        first = ", ".join(f"{k} {twice[k][0]}" for k in key)
        times = twice.join(twice.head(1).select(key), on=key, how="semi").height
        raise BadInput(f"{method}: {first} is there {times} times; one row for each {' and '.join(key)} is expected")


def one_spelling(method: str, frame: pl.DataFrame) -> pl.DataFrame:
    """``frame`` with ``period`` in one spelling (``202201`` as ``2022-01``), all of one length.

    Raises
    ------
    BadInput
        If years, quarters and months stand in one column; names the first of another length.
    """
    found = [parse(text) for text in frame["period"]]
    other = pl.Series([p.frequency != found[0].frequency for p in found], dtype=pl.Boolean)
    said = f"is of another length than {found[0]}; years, quarters and months do not go together, keep one of them"
    refuse_row(method, frame, other, said, "period")
    return frame.with_columns(period=pl.Series([str(p) for p in found], dtype=pl.String))
