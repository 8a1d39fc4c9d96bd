"""``python -m aistat``."""

import sys

from aistat.cli import main

sys.exit(main())
