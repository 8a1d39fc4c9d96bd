"""All pages, in the order of the navigation. Adding a page is adding it here."""

from dashboard.pages import (
    admin,
    catalogue,
    district,
    editing,
    exports,
    filings,
    help,
    impact,
    overview,
    quality,
    structure,
)
from dashboard.pages.base import Page

PAGES: tuple[Page, ...] = (
    overview.PAGE,
    structure.PAGE,
    district.PAGE,
    filings.PAGE,
    catalogue.PAGE,
    quality.PAGE,
    editing.PAGE,
    impact.PAGE,
    exports.PAGE,
    help.PAGE,
    admin.PAGE,
)
BY_PATH = {page.path: page for page in PAGES}
GROUPS = ("nav_monitor", "nav_basis", "nav_output", "nav_manage")
