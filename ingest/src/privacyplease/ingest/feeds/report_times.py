"""Decides since when a station has been as it is: since the feed's own time, if that can be believed, or the poll.

Feeds write placeholders (0, -1, 86400), times in another unit, times in the future, and times that stand still for
months while the counts go on. Such a time would put a state where nobody saw it, over what was seen there.
"""

from dataclasses import dataclass, replace

from privacyplease.ingest.feeds.station import Station

__all__ = ["ReportTimes"]

_EARLIEST = 1_104_537_600_000
"""2005-01-01 in ms: before the first of the systems that publish such feeds."""

_AHEAD_MS = 5 * 60_000


@dataclass(frozen=True)
class _Decided:
    """What a station reported last, and the time that was decided for it.

    Attributes:
        reported: The feed's time.
        station: The rest, with the time decided.
    """

    reported: int | None
    station: Station


class ReportTimes:
    """Remembers what each station reported last."""

    def __init__(self) -> None:
        self._decided: dict[str, _Decided] = {}

    def settle(self, station: Station) -> Station:
        """The station with a time that can be believed, or none: then its state begins at the poll."""
        before = self._decided.get(station.key)
        reported = station.last_update
        believed = reported if reported is not None and _is_believable(reported, station.polled_at) else None
        if before is not None and reported == before.reported:
            same = replace(station, last_update=before.station.last_update)
            # Counts that change under a time that stands still begin a new state.
            believed = same.last_update if same == before.station else None
        settled = replace(station, last_update=believed)
        self._decided[station.key] = _Decided(reported, settled)
        return settled

    def forget(self, key: str) -> None:
        """Forgets a station that is gone."""
        self._decided.pop(key, None)


def _is_believable(reported: int, polled_at: int) -> bool:
    return _EARLIEST <= reported <= polled_at + _AHEAD_MS
