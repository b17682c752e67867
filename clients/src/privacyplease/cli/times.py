"""Instants and widths of time as people write and read them.

>>> from datetime import UTC, datetime
>>> now = datetime(2024, 10, 1, 12, tzinfo=UTC)
>>> print(parse_instant("-2h", now, UTC))
2024-10-01 10:00:00+00:00
>>> print(iso(parse_instant("2024-10-01T08:00+09:00", now, UTC)))
2024-09-30T23:00:00Z
>>> humanised(parse_width("90m"))
'1 h 30 min'
"""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_WIDTH = re.compile(r"(\d{1,9})([smhd])")


def parse_instant(text: str, now: datetime, zone: tzinfo) -> datetime:
    """Reads ISO 8601, `now`, or a time before now as `-2h`.

    A date alone is its midnight. What has no zone of its own is local time of `zone`.

    Raises:
        ValueError: `text` is nothing of that, or names no instant or two, where clocks change.
    """
    if text == "now":
        return now
    if text.startswith("-"):
        return now - parse_width(text[1:])
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"expected 2024-10-01, 2024-10-01T08:00+09:00, -2h or now, got {text!r}") from None
    return instant if instant.tzinfo else _local(instant, zone)


def parse_width(text: str) -> timedelta:
    """Reads a width of time, as `30s`, `15m`, `1h` or `1d`.

    Raises:
        ValueError: `text` is none.
    """
    match = _WIDTH.fullmatch(text)
    if match is None:
        raise ValueError(f"expected a number and s, m, h or d, as 15m, got {text!r}")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def parse_zone(name: str) -> tzinfo:
    """Reads the name of a time zone, as `Europe/Berlin`.

    Raises:
        ValueError: There is no such zone.
    """
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"expected a time zone as Europe/Berlin, got {name!r}") from None


def iso(instant: datetime, zone: tzinfo = UTC) -> str:
    """ISO 8601 in a zone; milliseconds only where there are any, and Z for UTC."""
    local = instant.astimezone(zone)
    text = local.isoformat(timespec="milliseconds" if local.microsecond else "seconds")
    return text.replace("+00:00", "Z") if zone is UTC else text


def humanised(width: timedelta) -> str:
    """The two largest units that are not zero, as `2 d 3 h`."""
    seconds = int(width.total_seconds())
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, seconds = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")]
    return " ".join([f"{number:,} {unit}" for number, unit in parts if number][:2]) or "0 s"


def seconds(width: timedelta) -> float:
    """Seconds as JSON has them: whole where they are.

    >>> seconds(timedelta(minutes=1)), seconds(timedelta(milliseconds=1500))
    (60, 1.5)
    """
    whole, rest = divmod(width, timedelta(seconds=1))
    return width.total_seconds() if rest else whole


def _local(wall: datetime, zone: tzinfo) -> datetime:
    first, second = (wall.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() != second.utcoffset():
        raise ValueError(f"clocks change at {wall.isoformat()}: write the offset, as {first.isoformat()}")
    return first
