"""A page: its address, the permission it asks for, its name and how it is drawn."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dashboard.context import Context


@dataclass(frozen=True)
class Page:
    """``render`` draws the page from the context alone; ``group`` places it in the navigation.

    ``real``: the page shows real public data only.
    """

    path: str
    permission: str
    key: str
    group: str
    render: Callable[[Context], Any]
    real: bool = False
