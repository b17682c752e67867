"""A simulated campus, for demonstrations, load and planning: as many sessions as wanted, and nobody's.

Students follow lectures, staff keep hours, visitors come and go, things never leave. They roam between neighbouring
access points, so that many sessions are short and a third last no time; some stay associated while they are elsewhere
already.

>>> [day] = simulate(devices=50, places=12, days=1, seed=1)
>>> day.num_rows > 500
True
"""

from privacyplease.ingest.simulate.simulation import simulate

__all__ = ["simulate"]
