"""The time range that a page is about, and its step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

MOST_STEPS = 200
# The proxy answers from 1970 to 9999; this leaves room for earlier weeks and for the last step.
FIRST, LAST = datetime(1971, 1, 1, tzinfo=UTC), datetime(9998, 12, 31, tzinfo=UTC)
WEEK = timedelta(weeks=1)

# The ranges on offer, by their name in the address.
PRESETS = {
    "24h": ("24 hours", timedelta(hours=24)),
    "7d": ("7 days", timedelta(days=7)),
    "28d": ("4 weeks", timedelta(days=28)),
}
_STEPS = [timedelta(minutes=minutes) for minutes in (1, 5, 15, 30, 60, 180, 360, 1_440, 10_080)]


class RangeError(ValueError):
    """A range that is not valid; the message is shown to the user."""


@dataclass(frozen=True)
class ChosenRange:
    """A closed interval, and how the user chose it.

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
        """The narrowest common step that divides it into at most `MOST_STEPS`."""
        return next((step for step in _STEPS if self.width <= step * MOST_STEPS), self.width / MOST_STEPS)

    @property
    def newest(self) -> ChosenRange:
        """Its last steps, at most a week: what a page shows first, before the whole range is loaded."""
        if self.width <= WEEK:
            return self
        steps = -(-self.width // self.step)
        shown = max(1, WEEK // self.step)
        return ChosenRange(self.start + (steps - shown) * self.step, self.end)

    def earlier(self, weeks: int) -> ChosenRange:
        """The same range some weeks earlier."""
        return ChosenRange(self.start - weeks * WEEK, self.end - weeks * WEEK)


def read_range(fields: Mapping[str, str], zone: tzinfo, now: datetime, default: str = "24h") -> ChosenRange:
    """The range in a form or an address: `from` and `to`, or `range` and `to`; `to` defaults to now.

    Raises:
        RangeError: One of them is not valid.
    """
    end = read_moment(fields.get("to", ""), zone, "Until") or whole_minute(now)
    if start := read_moment(fields.get("from", ""), zone, "From"):
        if start > end:
            raise RangeError("Until: expected a time after From.")
        return ChosenRange(start, end)
    preset = fields.get("range") or default
    if preset not in PRESETS:
        raise RangeError(f"Range: expected one of {', '.join(PRESETS)}.")
    return ChosenRange(end - PRESETS[preset][1], end, preset)


def read_moment(text: str, zone: tzinfo, field: str) -> datetime | None:
    """A moment, as "2024-10-01T08:00", in `zone` unless it has a zone of its own; None if the text is empty.

    Raises:
        RangeError: It is not valid; the message begins with the name of the field.
    """
    if not text.strip():
        return None
    try:
        parsed = datetime.fromisoformat(text.strip().replace(" ", "+"))  # in an address a plus decodes to a space
        at = (parsed if parsed.tzinfo else parsed.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise RangeError(f"{field}: expected a time such as 2024-10-01T08:00.") from None
    if not FIRST <= at <= LAST:
        raise RangeError(f"{field}: expected a time from {FIRST.year} to {LAST.year}.")
    return at


def whole_minute(now: datetime) -> datetime:
    """The current minute, so that repeated questions within it are identical and can be cached."""
    return now.replace(second=0, microsecond=0)


def whole_quarter(now: datetime) -> datetime:
    """The next quarter hour, so that questions about earlier weeks within it are identical and can be cached."""
    begun = now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0)
    return begun if begun == now else begun + timedelta(minutes=15)
