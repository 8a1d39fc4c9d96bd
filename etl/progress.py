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


def _cpu() -> float:
    """Seconds of this process and of the programs it has run."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


@contextmanager
def step(name: str) -> Iterator[list[str]]:
    """Time a step, by the clock and of the processors; strings appended to the yielded list are shown beside its name."""
    started, worked = time.perf_counter(), _cpu()
    notes: list[str] = []
    yield notes
    seconds, cpu = time.perf_counter() - started, _cpu() - worked
    say(f"  {name:<46} {seconds:6.1f} s {cpu:6.1f} CPU s  {'; '.join(notes)}")
