"""YAML by libyaml's parser where it is there: there is a file a source and an indicator, and the pure one takes seconds."""

from typing import Any, Final

import yaml

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse_yaml(text: str) -> Any:
    """As ``yaml.safe_load``; ``yaml.YAMLError`` where it is none."""
    return yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe loader either way
