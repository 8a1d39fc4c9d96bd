"""Where the stores of one installation live."""

from warehouse.home import home

__all__ = ["home"]
