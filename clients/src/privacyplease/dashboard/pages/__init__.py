"""The pages, in the order in which they are listed."""

from privacyplease.dashboard.pages import bikes, dwell, now, occupancy, presence, server, system
from privacyplease.dashboard.pages.page import Page

PAGES: tuple[Page, ...] = (now.PAGE, occupancy.PAGE, dwell.PAGE, presence.PAGE, bikes.PAGE, server.PAGE, system.PAGE)
