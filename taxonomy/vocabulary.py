"""What words mean: the glossary (terms with source) and the units of measure."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import yaml

FOLDER: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Term:
    """A term of the statistics or of the regulation, in both languages, with where it is from."""

    id: str
    zh: str
    en: str
    definition_zh: str
    definition_en: str
    source: str


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of measure; ``factor`` turns it into the base unit it is stored in."""

    id: str
    zh: str
    en: str
    base: str
    factor: float


@cache
def glossary() -> tuple[Term, ...]:
    """Terms in the order of the file."""
    rows = yaml.safe_load((FOLDER / "glossary.yaml").read_text(encoding="utf-8"))
    return tuple(Term(**row) for row in rows)


@cache
def units() -> tuple[Unit, ...]:
    """Units in the order of the file."""
    rows = yaml.safe_load((FOLDER / "units.yaml").read_text(encoding="utf-8"))
    return tuple(Unit(**row) for row in rows)
