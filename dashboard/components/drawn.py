"""Markup sent as data and drawn by assets/drawn.js: one component for the renderer instead of one for each element.

The renderer's work grows with the square of the number of components of a page; a table of files, or the foots of a
page of figures, are hundreds of them.
"""

import json
from typing import Any

from dash import html
from dash.development.base_component import Component

ATTRIBUTES = {
    "className": "class",
    "href": "href",
    "id": "id",
    "title": "title",
    "download": "download",
    "tabIndex": "tabindex",
}


def node(thing: Any) -> Any:
    """A text, or ``[tag, attributes, children]`` of a ``dash.html`` component.

    Raises
    ------
    TypeError
        If it is another component, or has properties that are not drawn (listeners, styles).
    """
    if not isinstance(thing, Component):
        return "" if thing is None else str(thing)
    plain = thing.to_plotly_json()
    props = dict(plain["props"])
    children = props.pop("children", None)
    attributes = {ATTRIBUTES.get(k, k): v for k, v in props.items()}
    strange = [k for k in props if k not in ATTRIBUTES and not k.startswith(("aria-", "data-"))]
    if plain["namespace"] != "dash_html_components" or strange:
        raise TypeError(f"{plain['namespace']}.{plain['type']} with {strange} cannot be drawn as data")
    below = children if isinstance(children, list | tuple) else [] if children is None else [children]
    return [plain["type"].lower(), attributes, [node(child) for child in below]]


def drawn(outer: Component) -> Component:
    """The same element with all its attributes, all that is in it sent as data.

    Raises
    ------
    TypeError
        If the element or one in it cannot be drawn (:func:`node`).
    """
    _, _, children = node(outer)
    own = {k: v for k, v in outer.to_plotly_json()["props"].items() if k != "children"}
    text = json.dumps(children, ensure_ascii=False)
    kind = getattr(html, type(outer).__name__)
    made: Component = kind(**{"className": "", **own, "data-tree": text})
    return made
