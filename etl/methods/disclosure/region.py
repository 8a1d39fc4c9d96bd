"""Parts of the relations of a table, cut out and pruned for small linear programmes (compiled)."""

from typing import Any

import numba
import numpy as np

Arrays = tuple[Any, ...]


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def cut(
    row_start: Any, row_index: Any, row_value: Any, column_start: Any, column_index: Any, nodes: Any, fixed: Any
) -> Arrays:
    """Relations among ``nodes`` when all others stand still, without nodes that a relation then holds still.

    Returns (nodes kept, start, index, value): rows of the local system with places in the nodes kept. ``fixed``: work
    space of -1, shape ``(nodes of the table,)``, handed back as found.
    """
    for k in range(nodes.size):
        fixed[nodes[k]] = k
    rows = np.zeros(row_start.size - 1, dtype=np.int32)
    touched = np.empty(row_start.size - 1, dtype=np.int64)
    many, entries = 0, 0
    for node in nodes:
        for place in range(column_start[node], column_start[node + 1]):
            row = column_index[place]
            if rows[row] == 0:
                touched[many] = row
                many += 1
            rows[row] += 1
            entries += 1
    alive = np.ones(nodes.size, dtype=np.bool_)
    stack = np.empty(many, dtype=np.int64)
    top = 0
    for k in range(many):
        if rows[touched[k]] == 1:
            stack[top] = touched[k]
            top += 1
    while top:
        top -= 1
        row = stack[top]
        if rows[row] != 1:
            continue
        for entry in range(row_start[row], row_start[row + 1]):
            k = fixed[row_index[entry]]
            if k >= 0 and alive[k]:
                alive[k] = False
                node = nodes[k]
                for place in range(column_start[node], column_start[node + 1]):
                    other = column_index[place]
                    rows[other] -= 1
                    if rows[other] == 1:
                        stack[top] = other
                        top += 1
    kept = nodes[alive]
    for node in nodes:
        fixed[node] = -1
    for k in range(kept.size):
        fixed[kept[k]] = k
    start, index = np.empty(many + 1, dtype=np.int32), np.empty(entries, dtype=np.int32)
    value, size, out = np.empty(entries, dtype=np.float64), 0, 0
    start[0] = 0
    for k in range(many):
        row = touched[k]
        if rows[row] < 2:
            continue
        for entry in range(row_start[row], row_start[row + 1]):
            place = fixed[row_index[entry]]
            if place >= 0:
                index[out], value[out] = place, row_value[entry]
                out += 1
        size += 1
        start[size] = out
    for node in kept:
        fixed[node] = -1
    return kept, start[: size + 1], index[:out], value[:out]
