"""All pages, in the order of the navigation. Adding a page is adding it here."""

from dashboard.pages import (
    admin,
    catalogue,
    climate,
    demography,
    district,
    editing,
    exports,
    filings,
    help,
    impact,
    overview,
    quality,
    revisions,
    structure,
    theme,
)
from dashboard.pages.base import Page

PAGES: tuple[Page, ...] = (
    overview.PAGE,
    structure.PAGE,
    district.PAGE,
    demography.PAGE,
    climate.PAGE,
    *theme.PAGES,
    filings.PAGE,
    catalogue.PAGE,
    quality.PAGE,
    revisions.PAGE,
    editing.PAGE,
    impact.PAGE,
    exports.PAGE,
    help.PAGE,
    admin.PAGE,
)
BY_PATH = {page.path: page for page in PAGES}
GROUPS = ("nav_monitor", "nav_themes", "nav_basis", "nav_output", "nav_manage")
