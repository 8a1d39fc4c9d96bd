"""The command line."""

import os

# Threads of linear algebra spin on matrices as small as ours: one is several times faster. Read when numpy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from warehouse.version import VERSION as __version__

__all__ = ["__version__"]
