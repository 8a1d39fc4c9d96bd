"""Compiled elimination of sparse columns modulo a prime; nothing is compiled at import."""

from typing import Any

import numba
import numpy as np

Arrays = tuple[Any, ...]


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def inverse(value: int, prime: int) -> int:
    """``value ** -1`` modulo the prime."""
    result, base, power = 1, value % prime, prime - 2
    while power:
        if power & 1:
            result = result * base % prime
        base = base * base % prime
        power >>= 1
    return result


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def find(index: Any, start: int, size: int, row: int) -> int:
    """Place of ``row`` in a sorted stretch of ``index``, or -1."""
    low, high = start, start + size
    while low < high:
        middle = (low + high) // 2
        if index[middle] < row:
            low = middle + 1
        else:
            high = middle
    return low if low < start + size and index[low] == row else -1


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def subtract(
    index: Any, value: Any, a: int, a_size: int, b: int, b_size: int, factor: int, prime: int, top: int
) -> int:
    """Write column ``b - factor * a`` at ``top``; both sorted by row; returns its size."""
    i, j, out = a, b, top
    a_end, b_end = a + a_size, b + b_size
    while i < a_end or j < b_end:
        if j == b_end or (i < a_end and index[i] < index[j]):
            index[out] = index[i]
            value[out] = prime - factor * value[i] % prime
            i += 1
            out += 1
        elif i == a_end or index[j] < index[i]:
            index[out] = index[j]
            value[out] = value[j]
            j += 1
            out += 1
        else:
            left = (value[j] - factor * value[i]) % prime
            if left != 0:
                index[out] = index[i]
                value[out] = left
                out += 1
            i += 1
            j += 1
    return out - top


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def compact(index: Any, value: Any, start: Any, size: Any, active: Any, room: int) -> Arrays:
    """Columns still needed moved to the front of arrays with ``room`` entries to spare."""
    live = 0
    for column in range(start.size):
        if active[column]:
            live += size[column]
    fresh = np.empty(2 * live + room, dtype=np.int32)
    figures = np.empty(2 * live + room, dtype=np.int64)
    top = 0
    for column in range(start.size):
        if active[column]:
            s, n = start[column], size[column]
            fresh[top : top + n] = index[s : s + n]
            figures[top : top + n] = value[s : s + n]
            start[column] = top
            top += n
    return fresh, figures, top


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def lists(index: Any, start: Any, size: Any, active: Any, rows: int) -> Arrays:
    """Linked lists of the active columns of every row: first link, next link, column, count, links used."""
    live = 0
    for column in range(start.size):
        if active[column]:
            live += size[column]
    head, count = np.full(rows, -1, dtype=np.int64), np.zeros(rows, dtype=np.int64)
    follow, owner = np.empty(2 * live + 1024, dtype=np.int64), np.empty(2 * live + 1024, dtype=np.int32)
    used = 0
    for column in range(start.size):
        if active[column]:
            for place in range(start[column], start[column] + size[column]):
                row = index[place]
                follow[used], owner[used] = head[row], column
                head[row] = used
                count[row] += 1
                used += 1
    return head, follow, owner, count, used


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def pairs_clash(seen: Any, ratio: Any, fresh: Any, group: Any, touched: Any, many: int, watched: Any) -> bool:
    """Move the watched columns to their new ratios unless two of different groups meet; undone if they do.

    ``seen``: ratio → (group, how many).
    """
    for k in range(many):
        if watched[touched[k]]:
            release(seen, ratio[touched[k]])
    for k in range(many):
        column = touched[k]
        if watched[column] and not enter(seen, fresh[k], group[column]):
            for back in range(k):
                if watched[touched[back]]:
                    release(seen, fresh[back])
            for again in range(many):
                if watched[touched[again]]:
                    enter(seen, ratio[touched[again]], group[touched[again]])
            return True
    for k in range(many):
        if watched[touched[k]]:
            ratio[touched[k]] = fresh[k]
    return False


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def enter(seen: Any, key: int, group: int) -> bool:
    """Note a column of the group under the ratio; False (and nothing noted) if another group stands there."""
    if key in seen:
        held, times = seen[key]
        if held != group:
            return False
        seen[key] = (held, times + 1)
    else:
        seen[key] = (np.int64(group), np.int64(1))
    return True


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def release(seen: Any, key: int) -> None:
    """Take a column away from its ratio."""
    held, times = seen[key]
    if times == 1:
        del seen[key]
    else:
        seen[key] = (held, times - 1)


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def rarest(index: Any, start: int, size: int, count: Any) -> int:
    """Place of the row of a column that fewest active columns have."""
    best = start
    for place in range(start, start + size):
        if count[index[place]] < count[index[best]]:
            best = place
    return best


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def scan(
    link: int, follow: Any, owner: Any, active: Any, stamp: Any, turn: int, index: Any, value: Any, start: Any,
    size: Any, row: int, scale: int, column: int, prints: Any, hidden: Any, watched: Any, touched: Any, factors: Any,
    fresh: Any, ratios: Any, prime: int,
) -> int:  # fmt: skip
    """Columns that publishing ``column`` changes, with factors and new functionals; -1 if a hidden one vanishes."""
    many = 0
    while link >= 0:
        other = owner[link]
        link = follow[link]
        if not active[other] or stamp[other] == turn:
            continue
        stamp[other] = turn
        place = find(index, start[other], size[other], row)
        if place < 0:
            continue
        factor = value[place] * scale % prime
        first = (prints[other, 0] - factor * prints[column, 0]) % prime
        second = (prints[other, 1] - factor * prints[column, 1]) % prime
        if hidden[other] and first == 0 and second == 0:
            return -1
        if watched[other]:
            ratios[many] = first * inverse(second, prime) % prime
        touched[many], factors[many] = other, factor
        fresh[many, 0], fresh[many, 1] = first, second
        many += 1
    return many


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def recount(
    index: Any, old: int, old_size: int, new: int, new_size: int, column: int, count: Any, head: Any, follow: Any,
    owner: Any, used: int,
) -> int:  # fmt: skip
    """Bring counts and lists of rows up to date with a column's new entries; returns the links used."""
    i, j = old, new
    while i < old + old_size or j < new + new_size:
        if j == new + new_size or (i < old + old_size and index[i] < index[j]):
            count[index[i]] -= 1
            i += 1
        elif i == old + old_size or index[j] < index[i]:
            count[index[j]] += 1
            follow[used], owner[used] = head[index[j]], column
            head[index[j]] = used
            used += 1
            j += 1
        else:
            i += 1
            j += 1
    return used


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def room_for(touched: Any, many: int, size: Any, each: int) -> int:
    """Entries the changed columns may need."""
    need = 0
    for k in range(many):
        need += each + size[touched[k]]
    return need


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def ratios_of(prints: Any, watched: Any, group: Any, prime: int) -> Arrays:
    """Ratio of the functionals of every watched column, and the table of ratios in use."""
    ratio = np.zeros(watched.size, dtype=np.int64)
    seen = {np.int64(-1): (np.int64(-1), np.int64(1))}
    for column in range(watched.size):
        if watched[column]:
            ratio[column] = prints[column, 0] * inverse(prints[column, 1], prime) % prime
            enter(seen, ratio[column], group[column])
    return ratio, seen


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def eliminate(
    indptr: Any, indices: Any, data: Any, rows: int, order: Any, hidden: Any, watched: Any, group: Any, prints: Any,
    prime: int,
) -> Arrays:  # fmt: skip
    """Publish columns in ``order`` unless a hidden one would follow; returns flags and the reduced columns.

    ``prints``: two random linear functionals of every column, shape ``(columns, 2)``, changed in place. ``hidden``
    columns must not become zero; no two ``watched`` ones of different ``group`` may become proportional.
    Returns (published, start, size, index, value).
    """
    columns = indptr.size - 1
    active = hidden.copy()
    active[order] = True
    start, size = indptr[:-1].copy(), indptr[1:] - indptr[:-1]
    index, value, top = compact(indices, data, start, size, active, 1 << 16)
    head, follow, owner, count, used = lists(index, start, size, active, rows)
    published = np.zeros(columns, dtype=np.bool_)
    stamp, turn = np.full(columns, -1, dtype=np.int64), 0
    touched, factors = np.empty(columns, dtype=np.int64), np.empty(columns, dtype=np.int64)
    fresh, ratios = np.empty((columns, 2), dtype=np.int64), np.zeros(columns, dtype=np.int64)
    ratio, seen = ratios_of(prints, watched, group, prime)
    for column in order:
        active[column] = False
        a, n = start[column], size[column]
        for place in range(a, a + n):
            count[index[place]] -= 1
        if n == 0:
            published[column] = True
            continue
        best = rarest(index, a, n, count)
        row, scale, turn = index[best], inverse(value[best], prime), turn + 1
        many = scan(
            head[row], follow, owner, active, stamp, turn, index, value, start, size, row, scale, column, prints, hidden,
            watched, touched, factors, fresh, ratios, prime,
        )  # fmt: skip
        if many < 0 or pairs_clash(seen, ratio, ratios, group, touched, many, watched):
            continue
        published[column] = True
        need = room_for(touched, many, size, n)
        if top + need > index.size or used + many * n > follow.size:
            active[column] = True
            index, value, top = compact(index, value, start, size, active, need + many * n + (1 << 16))
            active[column] = False
            head, follow, owner, count, used = lists(index, start, size, active, rows)
            follow = np.concatenate((follow, np.empty(many * n, dtype=np.int64)))
            owner = np.concatenate((owner, np.empty(many * n, dtype=np.int32)))
            a = start[column]
        for k in range(many):
            other = touched[k]
            made = subtract(index, value, a, n, start[other], size[other], factors[k], prime, top)
            used = recount(index, start[other], size[other], top, made, other, count, head, follow, owner, used)
            start[other], size[other], top = top, made, top + made
            prints[other, 0], prints[other, 1] = fresh[k, 0], fresh[k, 1]
    return published, start, size, index, value
