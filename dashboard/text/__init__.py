"""Words of the interface: ``zh.yaml``, ``en.yaml`` and, for groups of pages, ``zh_….yaml``, ``en_….yaml``."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import yaml

LANGUAGES = ("zh", "en")


@cache
def words(lang: str) -> Mapping[str, str]:
    """All words of a language; a key that is missing is a KeyError, never a blank."""
    text: dict[str, str] = {}
    for path in sorted(Path(__file__).parent.glob(f"{lang}*.yaml")):
        text |= yaml.safe_load(path.read_text(encoding="utf-8"))
    return text
