"""The evidence ladder (证据阶梯) of the AI share as data: ``rules/evidence_ladder.yaml``."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import yaml

FILE: Final = Path(__file__).parent / "rules" / "evidence_ladder.yaml"


class LadderError(ValueError):
    """The ladder cannot be used: which rung, and what was expected."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One rung, 1 being the best. ``confirms``: may decide membership; ``source``: what feeds it today, empty if nothing."""

    rung: int
    id: str
    zh: str
    en: str
    confirms: bool
    source: str


@cache
def load_ladder() -> tuple[Rung, ...]:
    """The rungs from best to last.

    Raises
    ------
    LadderError
        If the rungs are not numbered 1, 2, 3 …, an id stands twice, or the last one, which stands for no evidence, confirms.
    """
    rungs = tuple(Rung(**row) for row in yaml.safe_load(FILE.read_text(encoding="utf-8"))["rungs"])
    if [r.rung for r in rungs] != list(range(1, len(rungs) + 1)):
        raise LadderError(
            f"{FILE.name}: rungs are numbered {[r.rung for r in rungs]}; expected 1, 2, 3 … without a gap"
        )
    if len({r.id for r in rungs}) != len(rungs) or rungs[-1].confirms:
        raise LadderError(f"{FILE.name}: ids must differ, and the last rung (no evidence) cannot confirm")
    return rungs


def rung_number(rung_id: str) -> int:
    """Number of the rung with an id (KeyError with the known ids)."""
    for rung in load_ladder():
        if rung.id == rung_id:
            return rung.rung
    raise KeyError(f"no rung {rung_id!r}; known: {', '.join(r.id for r in load_ladder())}")
