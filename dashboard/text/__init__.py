"""Words of the interface, one YAML file a language."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import yaml

LANGUAGES = ("zh", "en")


@cache
def words(lang: str) -> Mapping[str, str]:
    """All words of a language; a key that is missing is a KeyError, never a blank."""
    text: dict[str, str] = yaml.safe_load((Path(__file__).parent / f"{lang}.yaml").read_text(encoding="utf-8"))
    return text
