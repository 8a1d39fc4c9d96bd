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


@cache
def _values() -> Mapping[str, str]:
    return dict(yaml.safe_load((Path(__file__).parent / "values.yaml").read_text(encoding="utf-8")))


def value(text: str, lang: str) -> str:
    """A Chinese value that came with the data, in the reader's language; as received where there is no English for it."""
    return _values().get(text, text) if lang == "en" else text
