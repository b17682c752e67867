"""The dashboard: a web server that asks the proxy on behalf of the user who is logged in, and shows the answers.

It holds no key and stores no data; counts stay in memory for seconds or minutes. See `clients/DESIGN.md`.
"""

from privacyplease.dashboard.app import create_app
from privacyplease.dashboard.settings import DashboardSettings

__all__ = ["DashboardSettings", "create_app"]
