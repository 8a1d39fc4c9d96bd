"""Entry of the web server: the app of ``AISTAT_HOME``."""

from dashboard.app import create_app
from warehouse.home import home

app = create_app(home())
server = app.server
