"""Errors meant for the person at the keyboard."""


class UserError(Exception):
    """Bad arguments or unreadable input: one line saying what, where, what was expected and what to do (exit 2)."""


class CheckFailed(Exception):
    """The work ran but a check failed (exit 1)."""
