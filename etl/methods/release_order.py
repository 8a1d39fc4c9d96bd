"""The order in which releases were made, from what they are called: numbers, dates, days after the period."""

import re
from collections.abc import Sequence
from typing import Final

Key = tuple[int, ...]
WHAT_TO_DO: Final = "write when each was published (2024-09-30) or its number (1, 2, 3), all in one way; names such as preliminary and final have no order"
_NUMBER = re.compile(r"\d+")
_ROUNDED = re.compile(r"^(\d+)\.0+$")
_BEFORE = re.compile(r"(?:t\s*)?[-−].*")
"""Counted backwards: ``T-30``."""
_LONG_DATE = 6
"""Digits from which a number may be a date without separators, which only orders with others of as many."""


def release_keys(names: Sequence[str]) -> list[Key]:
    """Sortable keys of the names of releases, equal for one release in two spellings (``2024-9``, ``2024-09``).

    All names must be alike but for their numbers: one number (``9``, ``v10``, ``T+100``, ``20240930``), a date that begins with the
    year (``2024-9-30``, ``2024/10``, ``2024-Q3``, ``2024年9月``, with or without a time), or ``30.09.2024``. A single name needs no order.

    Raises
    ------
    ValueError
        If they are not, with two of the names and what to do.
    """
    texts = [_ROUNDED.sub(r"\1", name.strip().lower()) for name in names]
    if len(set(texts)) <= 1:
        return [()] * len(texts)
    shapes = [_NUMBER.sub("#", text) for text in texts]
    other = next((i for i, shape in enumerate(shapes) if shape != shapes[0]), None)
    if other is not None:
        raise ValueError(f"{names[0]!r} and {names[other]!r} cannot be put in order; {WHAT_TO_DO}")
    digits = [_NUMBER.findall(text) for text in texts]
    for name, parts in zip(names, digits, strict=True):
        if not _known(shapes[0], parts, digits[0]):
            other_name = next(n for n in names if n != name)
            raise ValueError(f"{name!r} and {other_name!r} cannot be put in order; {WHAT_TO_DO}")
    backwards = _day_first(shapes[0], digits[0])
    return [tuple(int(d) for d in (reversed(parts) if backwards else parts)) for parts in digits]


def _day_first(shape: str, parts: Sequence[str]) -> bool:
    return shape == "#.#.#" and len(parts[0]) <= 2


def _known(shape: str, parts: Sequence[str], first: Sequence[str]) -> bool:
    """Whether numbers in this shape are in order when their parts are, as far as one name and the first of all can tell."""
    if len(parts) == 1:
        long = max(len(parts[0]), len(first[0])) >= _LONG_DATE
        return not _BEFORE.fullmatch(shape) and (not long or len(parts[0]) == len(first[0]))
    if _day_first(shape, first):
        return len(parts[0]) <= 2 and 1 <= int(parts[0]) <= 31 and 1 <= int(parts[1]) <= 12 and len(parts[2]) == 4
    return len(parts) > 1 and len(parts[0]) == 4
