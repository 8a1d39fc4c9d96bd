"""A pattern that holds beside earlier releases: what changed and would give a figure away is hidden as well."""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from etl.methods.disclosure.ledger import key_text
from etl.methods.disclosure.problem import Problem

BoolArray = NDArray[np.bool_]
#: Given the variables of the new release that are hidden: the cells, by key, that all releases together expose.
Exposed = Callable[[BoolArray], Sequence[str]]
ROUNDS: Final = 60


def above(problem: Problem, key: str) -> list[str]:
    """The cells that contain a cell, and itself, finest first."""
    codes = dict(part.split("=", 1) for part in key.split("|")) if key != "total" else {}
    names, totals = [d.name for d in problem.dims], [d.codes[0] for d in problem.dims]
    lines = []
    for dim in problem.dims:
        number = dim.index.get(codes.get(dim.name, dim.codes[0]), 0)
        line = [i for i in dim.lineage[number].tolist() if i >= 0]
        lines.append([(steps, dim.codes[i]) for steps, i in enumerate(line)])
    cells = sorted(product(*lines), key=lambda cell: sum(steps for steps, _ in cell))
    return [key_text(names, totals, [code for _, code in cell]) for cell in cells]


def harden(
    problem: Problem, hidden: BoolArray, variables: dict[str, int], same: BoolArray, exposed: Exposed
) -> tuple[BoolArray, list[str]]:
    """Hide revised cells above exposed ones, finest first, until nothing is exposed; and what still is.

    A revised total beside unrevised parts tells what one part changed by; an unrevised one is known already and hiding
    it does not help.

    Parameters
    ----------
    hidden, same
        Variables of the new release: hidden so far; shown before with the same value.
    """
    hidden = hidden.copy()
    for _ in range(ROUNDS):
        found = exposed(hidden)
        if not found:
            return hidden, []
        more = False
        for key in found:
            for cell in above(problem, key):
                variable = variables.get(cell, -1)
                if variable >= 0 and not hidden[variable] and not same[variable]:
                    hidden[variable] = more = True
                    break
        if not more:
            return hidden, list(found)
    return hidden, list(exposed(hidden))
