"""The dashboard: a web server that asks the proxy for whoever is logged in, and shows the answers.

It holds no key and no data: what it is told stays in memory for seconds. See `clients/DESIGN.md`.
"""

from privacyplease.dashboard.app import create_app
from privacyplease.dashboard.settings import Settings

__all__ = ["Settings", "create_app"]
