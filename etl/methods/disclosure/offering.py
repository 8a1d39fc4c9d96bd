"""Cells that are in no publication, and codes of those who left an item blank: what of a problem is on offer."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from etl.methods.disclosure.dimension import shown_levels
from etl.methods.disclosure.problem import Problem

Codes = Mapping[str, Collection[str]]


def offering(problem: Problem, tables: Mapping[str, Sequence[str]], offers: Codes, unanswered: Codes) -> Problem:
    """The problem with ``offered``, ``silent`` and ``depth`` as its tables are published.

    Parameters
    ----------
    tables
        Those the problem was built with.
    offers
        By dimension, the codes (the total's too) that are published where a table shows the dimension; cells of its other
        codes are protected where they are unsafe and never published. For dimensions that split a figure into parts (a
        share's numerator): they count as no detail.
    unanswered
        By dimension, codes of those who left the item blank: nothing anybody said can be learned from such a cell, so
        that it is not unsafe by itself (a cell of the same contributions under another code still is).
    """
    if not offers and not unanswered:
        return problem
    names = [d.name for d in problem.dims]
    cells, variable = problem.cells, problem.cells["variable"].to_numpy()
    offered, depth = np.ones(cells.height, np.bool_), cells["depth"].to_numpy().copy()
    of_table = cells["table"].to_numpy()
    for dim in (d for d in problem.dims if d.name in offers):
        code = cells[dim.name]
        steps = dim.depth[code.replace_strict(list(dim.codes), range(len(dim.codes)), return_dtype=pl.Int64).to_numpy()]
        shows = np.isin(of_table, [t for t, items in tables.items() if dim.name in shown_levels(items, names)])
        offered &= ~shows | code.is_in(list(offers[dim.name])).to_numpy()
        depth -= np.where(shows, steps, 0)
    blank = [cells[d].is_in(list(codes)).to_numpy() for d, codes in unanswered.items() if d in names]
    spoken = ~np.any(blank, axis=0) if blank else np.ones(cells.height, np.bool_)
    at = problem.size
    some_offered, some_spoken = np.zeros(at, np.bool_), np.zeros(at, np.bool_)
    some_offered[variable[offered & (variable >= 0)]] = True
    some_spoken[variable[spoken & (variable >= 0)]] = True
    least = np.full(at, np.iinfo(np.int64).max)
    counted = offered & (variable >= 0)
    np.minimum.at(least, variable[counted], depth[counted])
    least = np.where(some_offered, least, problem.depth)
    return replace(problem, offered=some_offered, silent=~some_spoken, depth=least)
