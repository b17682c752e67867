"""Places, and the locations that they lie in, as "campus > building > floor"."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from privacyplease.client import Places
from privacyplease.dashboard.asking import Asker

SEPARATOR = " > "
_KNOWN_FOR = timedelta(days=7)
_HOUR = timedelta(hours=1)


def places_before(asker: Asker, end: datetime) -> Places:
    """The places that had a session in the week before; to the hour, so that the answer can be kept."""
    hour = end.astimezone(UTC).replace(minute=0, second=0, microsecond=0) + _HOUR
    found: Places = asker.kept("list_places", hour - _KNOWN_FOR, hour, old=True)
    return found


def locations(places: Places) -> list[str]:
    """Every location of the places and what it lies in, ascending."""
    paths = {place.location for place in places if place.location}
    parts = {SEPARATOR.join(path.split(SEPARATOR)[:depth]) for path in paths for depth in range(1, path.count(">") + 2)}
    return sorted(parts)


def meant(asker: Asker, name: str, end: datetime) -> str | list[str] | None:
    """The places that a name stands for: a place, all places of a location, or None for anywhere."""
    if not name:
        return None
    known = places_before(asker, end) if SEPARATOR in name else ()
    inside = [place.place for place in known if f"{place.location}{SEPARATOR}".startswith(f"{name}{SEPARATOR}")]
    return inside or name
