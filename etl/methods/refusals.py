"""Turn refusals of the mathematics into the one line a user of a runnable method sees."""

from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl

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


def refuse_duplicates(method: str, frame: pl.DataFrame, *key: str) -> None:
    """BadInput naming the first key that stands in more than one row."""
    twice = frame.filter(frame.select(key).is_duplicated())
    if twice.height:
        first = ", ".join(f"{k} {twice[k][0]}" for k in key)
        raise BadInput(f"{method}: {first} is there {twice.filter(pl.col(key[0]) == twice[key[0]][0]).height} times; "
                       f"one row for each {' and '.join(key)} is expected")  # fmt: skip


def refuse_below(method: str, frame: pl.DataFrame, key: str, column: str, least: float) -> None:
    """BadInput naming the first row (by its ``key``) whose number in ``column`` is below ``least``."""
    low = frame.filter(pl.col(column) < least)
    if low.height:
        raise BadInput(f"{method}: {key} {low[key][0]}: {column} {low[column][0]:g}; {least:g} or more is expected "
                       f"({low.height} such rows)")  # fmt: skip
