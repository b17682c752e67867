"""Instants and durations as people write and read them.

>>> from datetime import UTC, datetime
>>> now = datetime(2024, 10, 1, 12, tzinfo=UTC)
>>> print(parse_instant("-2h", now, UTC))
2024-10-01 10:00:00+00:00
>>> print(iso(parse_instant("2024-10-01T08:00+09:00", now, UTC)))
2024-09-30T23:00:00Z
>>> humanised(parse_duration("90m"))
'1 h 30 min'
"""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_DURATION = re.compile(r"(\d{1,9})([smhd])")


def parse_instant(text: str, now: datetime, zone: tzinfo) -> datetime:
    """Reads ISO 8601, `now`, or a time before now such as `-2h`.

    A date without a time is its midnight. A time without a zone is local time in `zone`.

    Raises:
        ValueError: `text` is none of these, or is a local time that occurs twice or not at all because clocks change.
    """
    if text == "now":
        return now
    if text.startswith("-"):
        return now - parse_duration(text[1:])
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"expected 2024-10-01, 2024-10-01T08:00+09:00, -2h or now, got {text!r}") from None
    return instant if instant.tzinfo else _local(instant, zone)


def parse_duration(text: str) -> timedelta:
    """Reads a duration: `30s`, `15m`, `1h` or `1d`.

    Raises:
        ValueError: `text` is not a duration.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"expected a duration such as 30s, 15m, 1h or 1d, got {text!r}")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def parse_zone(name: str) -> tzinfo:
    """Reads the name of a time zone, such as `Europe/Berlin`.

    Raises:
        ValueError: There is no such zone.
    """
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"expected a time zone such as Europe/Berlin, got {name!r}") from None


def iso(instant: datetime, zone: tzinfo = UTC) -> str:
    """ISO 8601 in a zone: Z for UTC, milliseconds only if they are not zero."""
    local = instant.astimezone(zone)
    text = local.isoformat(timespec="milliseconds" if local.microsecond else "seconds")
    return text.replace("+00:00", "Z") if zone is UTC else text


def humanised(duration: timedelta) -> str:
    """The two largest units that are not zero, such as `2 d 3 h`."""
    seconds = int(duration.total_seconds())
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, seconds = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")]
    return " ".join([f"{number:,} {unit}" for number, unit in parts if number][:2]) or "0 s"


def seconds(duration: timedelta) -> float:
    """Seconds for JSON: an integer if they are whole.

    >>> seconds(timedelta(minutes=1)), seconds(timedelta(milliseconds=1500))
    (60, 1.5)
    """
    whole, rest = divmod(duration, timedelta(seconds=1))
    return duration.total_seconds() if rest else whole


def _local(wall: datetime, zone: tzinfo) -> datetime:
    first, second = (wall.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() != second.utcoffset():
        raise ValueError(f"clocks change at {wall.isoformat()}: write the offset, as in {first.isoformat()}")
    return first
