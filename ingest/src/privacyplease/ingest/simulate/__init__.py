"""Simulates a campus, for demonstrations, load tests and planning: any number of sessions, and no real person's.

Students attend lectures, staff keep office hours, visitors come and go, things never leave. Devices roam between
neighbouring access points, so many sessions are short and a third have no duration; some remain associated after the
device has moved on.

>>> [day] = simulate(devices=50, places=12, days=1, seed=1)
>>> day.num_rows > 500
True
"""

from privacyplease.ingest.simulate.simulation import simulate

__all__ = ["simulate"]
