"""Register of statistical methods: one function per method, found by its identifier."""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])
_METHODS: dict[str, Callable[..., Any]] = {}


def method(identifier: str) -> Callable[[Function], Function]:
    """Register the decorated function under ``identifier`` (unchanged otherwise).

    Raises
    ------
    ValueError
        If another function already carries the identifier.
    """

    def register(function: Function) -> Function:
        known = _METHODS.get(identifier)
        if known is not None and known.__qualname__ != function.__qualname__:
            raise ValueError(
                f"method {identifier!r} is already registered by {known.__module__}.{known.__qualname__}; "
                f"give {function.__module__}.{function.__qualname__} another identifier"
            )
        _METHODS[identifier] = function
        return function

    return register


def methods() -> Mapping[str, Callable[..., Any]]:
    """Every registered method by identifier, sorted; imports all modules beside this one first."""
    package = __name__.rpartition(".")[0]
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        importlib.import_module(module.name)
    return MappingProxyType(dict(sorted(_METHODS.items())))
