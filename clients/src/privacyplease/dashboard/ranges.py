"""Ranges of time that a page is about, and the steps that fit them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

MOST_STEPS = 200
# The proxy answers from 1970 to 9999; the weeks before and the steps behind what is asked for lie in there, too.
FIRST, LAST = datetime(1971, 1, 1, tzinfo=UTC), datetime(9998, 12, 31, tzinfo=UTC)
WEEK = timedelta(weeks=1)

# What can be chosen, by the name in the address.
PRESETS = {
    "24h": ("24 hours", timedelta(hours=24)),
    "7d": ("7 days", timedelta(days=7)),
    "28d": ("4 weeks", timedelta(days=28)),
}
_STEPS = [timedelta(minutes=minutes) for minutes in (1, 5, 15, 30, 60, 180, 360, 1_440, 10_080)]


class RangeError(ValueError):
    """A range that cannot be read; the message is for whoever entered it."""


@dataclass(frozen=True)
class Range:
    """A closed interval, and how it was chosen.

    Attributes:
        start: The first instant.
        end: The last instant.
        preset: The name in `PRESETS`; "" if both ends were entered.
    """

    start: datetime
    end: datetime
    preset: str = ""

    @property
    def width(self) -> timedelta:
        """How long it is."""
        return self.end - self.start

    @property
    def step(self) -> timedelta:
        """The narrowest step of a common width that cuts it into no more than `MOST_STEPS`."""
        return next((step for step in _STEPS if self.width <= step * MOST_STEPS), self.width / MOST_STEPS)

    @property
    def newest(self) -> Range:
        """Its last steps, of a week together at most: what is worth showing before all of it is known."""
        if self.width <= WEEK:
            return self
        steps = -(-self.width // self.step)
        shown = max(1, WEEK // self.step)
        return Range(self.start + (steps - shown) * self.step, self.end)

    def earlier(self, weeks: int) -> Range:
        """The same some weeks before."""
        return Range(self.start - weeks * WEEK, self.end - weeks * WEEK)


def read_range(given: Mapping[str, str], zone: tzinfo, now: datetime, default: str = "24h") -> Range:
    """The range that an address names: `from` and `to`, or `range` and `to`; without `to`, until now.

    Raises:
        RangeError: One of them cannot be read.
    """
    end = read_moment(given.get("to", ""), zone, "Until") or whole_minute(now)
    if start := read_moment(given.get("from", ""), zone, "From"):
        if start > end:
            raise RangeError("Until: expected a time after From; the range ends before it begins.")
        return Range(start, end)
    preset = given.get("range") or default
    if preset not in PRESETS:
        raise RangeError(f"Expected a range of {', '.join(PRESETS)}.")
    return Range(end - PRESETS[preset][1], end, preset)


def read_moment(text: str, zone: tzinfo, field: str) -> datetime | None:
    """A moment, as "2024-10-01T08:00"; in the zone if it has none of its own. None if nothing is given.

    Raises:
        RangeError: It cannot be read; `field` says where it was entered.
    """
    if not text.strip():
        return None
    try:
        found = datetime.fromisoformat(text.strip().replace(" ", "+"))  # in an address a plus may have become a blank
        at = (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise RangeError(f"{field}: expected a time as 2024-10-01T08:00.") from None
    if not FIRST <= at <= LAST:
        raise RangeError(f"{field}: expected a time from {FIRST.year} to {LAST.year}.")
    return at


def whole_minute(now: datetime) -> datetime:
    """The minute that began last: so that what is asked twice within it is the same question."""
    return now.replace(second=0, microsecond=0)


def whole_quarter(now: datetime) -> datetime:
    """The quarter of an hour that begins next, or now: so that answers about weeks ago can be used again within it."""
    begun = now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0)
    return begun if begun == now else begun + timedelta(minutes=15)
