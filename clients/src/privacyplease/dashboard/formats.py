"""How numbers and times are written on the pages."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo

from flask import Flask, current_app
from markupsafe import Markup

MIB = 1024 * 1024


def register(app: Flask) -> None:
    """Adds the formats as template filters."""
    times = moment, day, weekday, clock, age, iso, machine
    formats: list[Callable[..., str]] = [*times, number, change, decimal, mebibytes, humanised, milliseconds, breakable]
    for template_filter in formats:
        app.add_template_filter(template_filter)


def zone() -> tzinfo:
    """The time zone in which times are shown and entered."""
    configured: tzinfo = current_app.extensions["zone"]
    return configured


def now() -> datetime:
    """The time that the dashboard treats as now, in UTC."""
    current: datetime = current_app.extensions["clock"]()
    return current


def refresh() -> timedelta:
    """How often live data is refreshed."""
    interval: timedelta = current_app.extensions["refresh"]
    return interval


def number(count: float) -> str:
    """With thousands separators.

    >>> number(178570), number(2.5)
    ('178,570', '2.5')
    """
    return f"{count:,.0f}" if float(count).is_integer() else f"{count:,.1f}"


def change(count: float, before: float) -> str:
    """The change from an earlier count, which must not be zero, in percent.

    >>> change(150, 200), change(1250, 1000), change(998, 1000)
    ('−25 %', '+25 %', '0 %')
    """
    percent = round(100 * (count - before) / before)
    return f"{percent:+,d} %".replace("-", "−") if percent else "0 %"


def decimal(value: float) -> str:
    """With one decimal.

    >>> decimal(2.25)
    '2.2'
    """
    return f"{value:,.1f}"


def mebibytes(size: int) -> str:
    """Bytes in MiB.

    >>> mebibytes(47_500_000)
    '45.3 MiB'
    """
    return f"{size / MIB:,.1f} MiB"


def moment(at: datetime) -> str:
    """The date and time, as "Tue 1 Oct 2024, 14:30"."""
    local = at.astimezone(zone())
    return f"{local:%a} {local.day} {local:%b %Y, %H:%M}"


def clock(at: datetime) -> str:
    """The time of day, to the second."""
    return f"{at.astimezone(zone()):%H:%M:%S}"


def day(at: datetime) -> str:
    """The day, as "1 Oct"."""
    local = at.astimezone(zone())
    return f"{local.day} {local:%b}"


def weekday(at: datetime) -> str:
    """The weekday, as "Tuesday"."""
    return f"{at.astimezone(zone()):%A}"


def breakable(name: str) -> Markup:
    """A name that a narrow column may break after "_" and "/".

    >>> breakable("Oyama_shrine > <hall>")
    Markup('Oyama_<wbr>shrine &gt; &lt;hall&gt;')
    """
    return Markup("<wbr>").join(re.split(r"(?<=[_/])(?=.)", name))


def iso(at: datetime) -> str:
    """ISO 8601 with the zone."""
    return at.astimezone(zone()).isoformat(timespec="seconds")


def machine(at: datetime) -> str:
    """In the form that an input of type datetime-local uses."""
    return at.astimezone(zone()).strftime("%Y-%m-%dT%H:%M")


def humanised(width: timedelta) -> str:
    """The two largest units that are not zero.

    >>> humanised(timedelta(days=2, hours=3, seconds=5)), humanised(timedelta(seconds=0.25))
    ('2 d 3 h', '250 ms')
    """
    if width and width < timedelta(seconds=1):
        return f"{width / timedelta(milliseconds=1):,.0f} ms"
    days, rest = divmod(int(width.total_seconds()), 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, seconds = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")]
    return " ".join([f"{count:,} {unit}" for count, unit in parts if count][:2]) or "0 s"


def milliseconds(width: timedelta) -> str:
    """In ms, whatever the length, so that the values of a column are easy to compare.

    >>> milliseconds(timedelta(seconds=1.25))
    '1,250 ms'
    """
    return f"{width / timedelta(milliseconds=1):,.0f} ms"


def age(at: datetime, now: datetime) -> str:
    """How long ago it was, or how far ahead it is, to the minute.

    >>> noon = datetime(2024, 10, 1, 12)
    >>> age(noon - timedelta(minutes=90, seconds=5), noon), age(noon, noon), age(noon + timedelta(hours=2), noon)
    ('1 h 30 min ago', 'just now', 'in 2 h')
    """
    width = timedelta(minutes=round(abs(now - at) / timedelta(minutes=1)))
    if not width:
        return "just now"
    return f"{humanised(width)} ago" if at < now else f"in {humanised(width)}"
