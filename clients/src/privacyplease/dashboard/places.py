"""Places, and the locations that contain them, as "campus > building > floor"."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from privacyplease.client import Places
from privacyplease.dashboard.proxy_queries import ProxyQueries

SEPARATOR = " > "
_RECENT = timedelta(days=7)
_HOUR = timedelta(hours=1)


def recent_places(queries: ProxyQueries, end: datetime) -> Places:
    """The places that had a session in the week before; rounded to the hour, so that the answer can be cached."""
    hour = end.astimezone(UTC).replace(minute=0, second=0, microsecond=0) + _HOUR
    places: Places = queries.cached("list_places", hour - _RECENT, hour, stable=True)
    return places


def locations(places: Places) -> list[str]:
    """Every location of the places and every location that contains it, ascending."""
    paths = {place.location for place in places if place.location}
    parts = {SEPARATOR.join(path.split(SEPARATOR)[:depth]) for path in paths for depth in range(1, path.count(">") + 2)}
    return sorted(parts)


def resolve_place(queries: ProxyQueries, name: str, end: datetime) -> str | list[str] | None:
    """The places that a name refers to: a place, all places in a location, or None for anywhere."""
    if not name:
        return None
    known = recent_places(queries, end) if SEPARATOR in name else ()
    inside = [place.place for place in known if f"{place.location}{SEPARATOR}".startswith(f"{name}{SEPARATOR}")]
    return inside or name
