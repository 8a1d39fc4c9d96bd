"""Templates: the fixed words of a report, linted to hold no quantity, and named by a hash."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from warehouse.report.numerals import literal_quantities

TEMPLATES = Path(__file__).parent / "templates"
LANGUAGES = ("zh", "en")
CALL = re.compile(r"⟦(level|growth|share|model|period):([a-z_0-9]+)((?:\|[a-z_]+=[A-Za-z0-9_-]+)*)⟧")


class TemplateError(ValueError):
    """The template holds a number of its own or a call that does not parse; says where."""


@lru_cache(maxsize=4)
def load_template(name: str, lang: str) -> dict[str, Any]:
    """A template by report and language; ``template["hash"]`` names its exact text.

    Raises
    ------
    TemplateError
        If a text of the template contains a quantity written out, or a call that does not parse.
    """
    path = TEMPLATES / f"{name}.{lang}.yaml"
    content = path.read_bytes()
    template: dict[str, Any] = yaml.safe_load(content.decode("utf-8"))
    for text in _texts(template):
        _lint(path.name, text)
    template["hash"] = hashlib.sha256(content).hexdigest()[:12]
    return template


def _lint(where: str, text: str) -> None:
    rest = CALL.sub("", text)
    if "⟦" in rest or "⟧" in rest:
        raise TemplateError(f"templates/{where}: {text[:60]!r}: a ⟦…⟧ call does not parse")
    found = literal_quantities(rest.replace("{year}", ""))
    if found:
        raise TemplateError(f"templates/{where}: {text[:40]!r} holds {found[0]!r}; use a ⟦…⟧ call instead")


def _texts(node: object) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, Mapping):
        for value in node.values():
            yield from _texts(value)
    elif isinstance(node, Sequence):
        for value in node:
            yield from _texts(value)
