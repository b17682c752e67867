"""The commands, a file each, and the table by which `privacyplease` finds them.

The line of help that a command has here is the first sentence of its own help; a test compares them.
"""

from privacyplease.cli.lazy_command import LazyCommand

__all__ = ["COMMANDS"]

_HERE = "privacyplease.cli.commands"

COMMANDS = {
    "presence": LazyCommand(f"{_HERE}.presence:presence", "Where a device was, and when."),
    "count": LazyCommand(f"{_HERE}.count:count", "How many distinct devices there were, at a place or anywhere."),
    "occupancy": LazyCommand(f"{_HERE}.occupancy:occupancy", "How many distinct devices over time, as a chart."),
    "places": LazyCommand(f"{_HERE}.places:places", "How many distinct devices at each place, fullest first."),
    "floors": LazyCommand(f"{_HERE}.floors:floors", "How many distinct devices on each floor, fullest first."),
    "locations": LazyCommand(f"{_HERE}.locations:locations", "Which places had devices, and where each place is."),
    "dwell": LazyCommand(f"{_HERE}.dwell:dwell", "How long sessions last, and how many devices came back."),
    "watch": LazyCommand(f"{_HERE}.watch:watch", "How many devices are on each floor and at each place, live."),
    "stations": LazyCommand(f"{_HERE}.stations:app", "What bike-share stations have and had."),
    "query": LazyCommand(f"{_HERE}.query:query", "Whole records of a data set, as CSV, JSON lines or Arrow."),
    "explain": LazyCommand(f"{_HERE}.explain:explain", "What the storage server sees of a question."),
    "up": LazyCommand(f"{_HERE}.up:up", "Start both servers on this machine, on loopback."),
    "status": LazyCommand(f"{_HERE}.status:status", "Show the state of both servers, the store and the keys."),
    "verify": LazyCommand(f"{_HERE}.verify:verify", "Check the store for missing or damaged cells."),
    "compact": LazyCommand(f"{_HERE}.compact:compact", "Merge recent small segments into large ones."),
    "keys": LazyCommand(f"{_HERE}.keys:app", "List, renew, export and destroy keys."),
    "backup": LazyCommand(f"{_HERE}.backup:backup", "Back up what the proxy must not lose."),
    "restore": LazyCommand(f"{_HERE}.backup:restore", "Restore the proxy's home from a backup."),
    "down": LazyCommand(f"{_HERE}.down:down", "Stop what `up` started."),
    "certs": LazyCommand(f"{_HERE}.certs:app", "Make, renew and show certificates."),
    "whoami": LazyCommand(f"{_HERE}.whoami:whoami", "Show who the proxy says you are, and what you may ask."),
    "dashboard": LazyCommand(f"{_HERE}.dashboard:app", "Serve the dashboard."),
    "approvals": LazyCommand(f"{_HERE}.approvals:app", "Grant or deny what others ask for."),
    "audit": LazyCommand(f"{_HERE}.audit:app", "Show and verify the audit log: who asked what, and why."),
    "plan": LazyCommand(f"{_HERE}.plan:plan", "Estimate storage, fetched bytes, memory and cover traffic."),
}
