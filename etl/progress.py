"""A quiet progress display for runs started from the command line."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

ENABLED = "AISTAT_PROGRESS"


def say(message: str) -> None:
    """One line on stderr, only when a person watches the run."""
    if os.environ.get(ENABLED):
        print(message, file=sys.stderr, flush=True)


@contextmanager
def step(name: str) -> Iterator[list[str]]:
    """Time a step; strings appended to the yielded list are shown beside its name."""
    started = time.perf_counter()
    notes: list[str] = []
    yield notes
    seconds = time.perf_counter() - started
    say(f"  {name:<46} {seconds:6.1f} s  {'; '.join(notes)}")
