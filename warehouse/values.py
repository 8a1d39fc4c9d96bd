"""English for Chinese values that come with the data (departments, places, kinds): ``metadata/values.yaml``."""

from collections.abc import Mapping
from functools import cache

from warehouse.catalogue import load_yaml


@cache
def _values() -> Mapping[str, str]:
    return {k: str(v) for k, v in load_yaml("values").items()}


def value(text: str, lang: str) -> str:
    """A Chinese value that came with the data, in the reader's language; as received where there is no English for it."""
    return _values().get(text, text) if lang == "en" else text
