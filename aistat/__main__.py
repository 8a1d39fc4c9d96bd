"""``python -m aistat``."""

import sys

from aistat.cli import main

if __name__ == "__main__":  # processes of `classify --jobs` import this module
    sys.exit(main())
