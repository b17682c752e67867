"""The commands that this distribution adds to `privacyplease`.

Cheap to import, because `privacyplease --help` does; the commands themselves are imported when they are called.
"""

from privacyplease.cli.lazy_command import LazyCommand

__all__ = ["INGEST", "SIMULATE"]

INGEST = LazyCommand("privacyplease.ingest.cli:app", "Send records to the proxy.")
SIMULATE = LazyCommand("privacyplease.ingest.cli:simulate", "Generate a WiFi session log of a simulated campus.")
