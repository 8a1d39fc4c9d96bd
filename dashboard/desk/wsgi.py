"""Entry of the desk's web server: ``AISTAT_HOME`` and ``AISTAT_EVIDENCE`` say what it serves."""

import os
from pathlib import Path

from dashboard.desk.app import create_desk
from warehouse.home import home

server = create_desk(home(), Path(os.environ["AISTAT_EVIDENCE"]))
