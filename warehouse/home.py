"""Where the stores of one installation live (DESIGN §3)."""

import os
from pathlib import Path


def home() -> Path:
    """Absolute path of ``AISTAT_HOME`` (default ``./var``); it need not exist yet."""
    return Path(os.environ.get("AISTAT_HOME") or "var").expanduser().resolve()
