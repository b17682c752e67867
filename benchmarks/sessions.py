"""The data: sessions of a simulated campus, as many days of it as it takes.

1,000 devices and 80 access points make about 24,500 sessions a day, in all 15 columns of a log, by Zipf's law busy and
quiet. Ten times the sessions are ten times the days of the same campus. A table a day is made when it is asked for, so
that memory does not grow with the scale.

>>> data = Data(30_000)
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


class Popularity(list[str]):
    """Names by how many sessions they have, the busiest first."""

    @property
    def busiest(self) -> str:
        """The one with the most sessions."""
        return self[0]

    @property
    def quiet(self) -> str:
        """One at nine tenths of the way down: quiet, and not a curiosity."""
        return self[len(self) * 9 // 10]


@dataclass(frozen=True)
class Data:
    """So many sessions.

    Attributes:
        sessions: How many.
        first_day: The first day of the campus, a Monday, UTC.
        left_out: How many of its days are left out before the first session.
    """

    sessions: int
    first_day: date = field(default=date(2022, 1, 3))
    left_out: int = 0

    def middle(self, sessions: int) -> Data:
        """So many of these sessions, half of the others before them and half behind."""
        whole = self.days * sessions // self.sessions
        return replace(self, sessions=sessions, left_out=(self.days - whole) // 2)

    def tables(self) -> Iterator[pa.Table]:
        """The sessions in the order of time, a table a day, of the schema `privacyplease.ingest.wifi.SCHEMA`."""
        left = self.sessions
        campus = simulate(devices=DEVICES, places=PLACES, days=_MOST_DAYS, seed=_SEED, start=self.first_day)
        for day in islice(campus, self.left_out, None):
            yield day.slice(0, left)
            left -= len(day)
            if left <= 0:
                return

    @cached_property
    def days(self) -> int:
        """How many days there are, the last one perhaps in part."""
        return sum(1 for _ in self.tables())

    @property
    def start(self) -> datetime:
        """The first instant."""
        return datetime.combine(self.first_day + timedelta(days=self.left_out), time(), UTC)

    @property
    def noon(self) -> datetime:
        """Noon of the Wednesday in the middle of all days: half of the data lies before it, and half behind."""
        middle = self.start.date() + timedelta(days=self.days // 2)
        return datetime.combine(middle + timedelta(days=2 - middle.weekday()), time(12), UTC)

    @cached_property
    def places(self) -> Popularity:
        """Places by popularity in the first weeks, which is that of all weeks."""
        return self._popularity("ap_name")

    @cached_property
    def devices(self) -> Popularity:
        """Devices likewise."""
        return self._popularity("client_mac")

    def _popularity(self, column: str) -> Popularity:
        counts: Counter[str] = Counter()
        for number, table in enumerate(self.tables()):
            if number == _WEEKS * 7:
                break
            for entry in table[column].value_counts().to_pylist():
                counts[entry["values"]] += entry["counts"]
        return Popularity(name for name, _ in counts.most_common())


_WEEKS = 4
