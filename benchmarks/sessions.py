"""The data: sessions of a simulated campus, over as many days as it takes.

1,000 devices and 80 access points make about 24,500 sessions a day, with all 15 columns of a log. How busy a device or
a place is follows Zipf's law. Ten times the sessions are ten times the days of the same campus. Each day's table is
generated when it is needed, so memory does not grow with the scale.

>>> data = CampusSessions(30_000)
>>> sum(len(table) for table in data.tables()), data.first_day.isoformat()
(30000, '2022-01-03')
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from itertools import islice

import pyarrow as pa

from privacyplease.ingest.simulate import simulate

DEVICES = 1_000
PLACES = 80
_SEED = 2024
_MOST_DAYS = 1_000_000
_RANKING_DAYS = 28


class Ranking(list[str]):
    """Names by their number of sessions, the busiest first."""

    @property
    def busiest(self) -> str:
        """The one with the most sessions."""
        return self[0]

    @property
    def quiet(self) -> str:
        """The one nine tenths of the way down: quiet, but not an outlier."""
        return self[len(self) * 9 // 10]


@dataclass(frozen=True)
class CampusSessions:
    """A number of sessions of the simulated campus.

    Attributes:
        sessions: How many.
        first_day: The first day of the campus, a Monday, UTC.
        skipped_days: How many days of the campus are skipped before the first session.
    """

    sessions: int
    first_day: date = field(default=date(2022, 1, 3))
    skipped_days: int = 0

    def middle(self, sessions: int) -> CampusSessions:
        """That many sessions from the middle of these: half of the rest is earlier, half is later."""
        whole = self.days * sessions // self.sessions
        return replace(self, sessions=sessions, skipped_days=(self.days - whole) // 2)

    def tables(self) -> Iterator[pa.Table]:
        """The sessions in order of time, one table a day, with the schema `privacyplease.ingest.wifi.SCHEMA`."""
        left = self.sessions
        campus = simulate(devices=DEVICES, places=PLACES, days=_MOST_DAYS, seed=_SEED, start=self.first_day)
        for day in islice(campus, self.skipped_days, None):
            yield day.slice(0, left)
            left -= len(day)
            if left <= 0:
                return

    @cached_property
    def days(self) -> int:
        """How many days there are; the last one may be incomplete."""
        return sum(1 for _ in self.tables())

    @property
    def start(self) -> datetime:
        """The first instant."""
        return datetime.combine(self.first_day + timedelta(days=self.skipped_days), time(), UTC)

    @property
    def noon(self) -> datetime:
        """Noon of the Wednesday in the middle of all days: half of the data is earlier, half is later."""
        middle = self.start.date() + timedelta(days=self.days // 2)
        return datetime.combine(middle + timedelta(days=2 - middle.weekday()), time(12), UTC)

    @cached_property
    def places(self) -> Ranking:
        """Places by popularity in the first weeks, which is the same in all weeks."""
        return self._ranking("ap_name")

    @cached_property
    def devices(self) -> Ranking:
        """Devices by popularity, likewise."""
        return self._ranking("client_mac")

    def _ranking(self, column: str) -> Ranking:
        counts: Counter[str] = Counter()
        for number, table in enumerate(self.tables()):
            if number == _RANKING_DAYS:
                break
            for entry in table[column].value_counts().to_pylist():
                counts[entry["values"]] += entry["counts"]
        return Ranking(name for name, _ in counts.most_common())
