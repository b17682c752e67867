"""The pages, in the order of the navigation."""

from privacyplease.dashboard.pages import bikes, dwell, now, occupancy, presence, server, system
from privacyplease.dashboard.pages.page import DashboardPage

PAGES: tuple[DashboardPage, ...] = (
    now.PAGE,
    occupancy.PAGE,
    dwell.PAGE,
    presence.PAGE,
    bikes.PAGE,
    server.PAGE,
    system.PAGE,
)
