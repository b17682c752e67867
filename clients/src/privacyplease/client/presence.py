"""Where one device was, and when.

>>> sessions = Sessions(places=("ap-17",), starts_ms=(1_727_769_600_000,), ends_ms=(1_727_769_645_000,))
>>> for session in sessions:
...     print(session.place, session.start.isoformat(), session.end - session.start)
ap-17 2024-10-01T08:00:00+00:00 0:00:45
>>> sessions.to_arrow().column_names
['place', 'start', 'end']
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from privacyplease.client._internal.tables.tabular import Tabular
from privacyplease.client._internal.times import from_unix_ms

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Session:
    """A device was at a place during the closed interval [start, end], in UTC."""

    place: str
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Sessions(Tabular):
    """Sessions of one device, column by column, ascending by (start, place).

    Attributes:
        places: str[n], where.
        starts_ms: int64[n], first instants in ms since the epoch, UTC.
        ends_ms: int64[n], last instants in ms since the epoch, UTC.
    """

    places: tuple[str, ...]
    starts_ms: tuple[int, ...]
    ends_ms: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[Session]:
        for place, start, end in zip(self.places, self.starts_ms, self.ends_ms, strict=True):
            yield Session(place, from_unix_ms(start), from_unix_ms(end))

    def to_arrow(self) -> pa.Table:
        """The sessions as a table of place: string, start and end: timestamp[ms, UTC]."""
        from privacyplease.client._internal.tables.columns import instants, table, texts

        return table({"place": texts(self.places), "start": instants(self.starts_ms), "end": instants(self.ends_ms)})


@dataclass(frozen=True)
class Presence:
    """Whether a device was present, and its sessions.

    Attributes:
        device: The device in canonical notation, e.g. "aa:bb:cc:dd:ee:ff".
        present: Whether any session was found.
        sessions: The sessions that overlap the interval asked for.
    """

    device: str
    present: bool
    sessions: Sessions
