"""Arguments of the clients' methods as requests of the contract."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from privacyplease.client._internal.times import duration, timestamp
from privacyplease.proxy.v1.audit_service_pb2 import ListEntriesRequest
from privacyplease.proxy.v1.compaction_service_pb2 import CompactRequest
from privacyplease.proxy.v1.explain_service_pb2 import ExplainRequest
from privacyplease.proxy.v1.occupancy_service_pb2 import (
    CountByPlaceRequest,
    CountRequest,
    DwellRequest,
    ListPlacesRequest,
    PeakRequest,
    PlaceGroup,
    SeriesRequest,
)
from privacyplease.proxy.v1.presence_service_pb2 import FindSessionsRequest
from privacyplease.proxy.v1.query_service_pb2 import QueryRequest
from privacyplease.proxy.v1.stations_service_pb2 import AvailabilityRequest, ListHistoryRequest, ListLatestRequest
from privacyplease.proxy.v1.types_pb2 import Interval
from privacyplease.proxy.v1.verification_service_pb2 import VerifyRequest

Where: TypeAlias = str | Sequence[str] | None
"""A place, one of several, or anywhere."""

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)


def presence(
    dataset: str, device: str, start: datetime, end: datetime, place: str | None, purpose: str
) -> FindSessionsRequest:
    """A request for the sessions of a device."""
    return FindSessionsRequest(
        dataset=dataset, device=device, interval=interval(start, end), place=place or "", purpose=purpose
    )


def count(dataset: str, start: datetime, end: datetime, place: Where, *, exact: bool) -> CountRequest:
    """A request for the number of distinct devices."""
    return CountRequest(dataset=dataset, interval=interval(start, end), exact=exact, **_where(place))


def count_by_place(
    dataset: str, start: datetime, end: datetime, groups: Mapping[str, Sequence[str]] | None
) -> CountByPlaceRequest:
    """A request for the number of distinct devices at each place, or in each group of places."""
    grouped = [PlaceGroup(name=name, places=members) for name, members in (groups or {}).items()]
    return CountByPlaceRequest(dataset=dataset, interval=interval(start, end), groups=grouped)


def series(dataset: str, start: datetime, end: datetime, step: timedelta, place: Where) -> SeriesRequest:
    """A request for the number of distinct devices in each step."""
    return SeriesRequest(dataset=dataset, interval=interval(start, end), step=duration(step), **_where(place))


def peak(dataset: str, start: datetime, end: datetime, step: timedelta, place: Where) -> PeakRequest:
    """A request for the step with the most distinct devices."""
    return PeakRequest(dataset=dataset, interval=interval(start, end), step=duration(step), **_where(place))


def list_places(dataset: str, start: datetime, end: datetime) -> ListPlacesRequest:
    """A request for the places that had a session."""
    return ListPlacesRequest(dataset=dataset, interval=interval(start, end))


def dwell(
    dataset: str, start: datetime, end: datetime, bounds: Sequence[timedelta], look_back: timedelta, place: Where
) -> DwellRequest:
    """A request for how long sessions last."""
    return DwellRequest(
        dataset=dataset,
        interval=interval(start, end),
        places=places(place),
        bounds=[duration(bound) for bound in bounds],
        look_back=duration(look_back),
    )


def explain(
    dataset: str, start: datetime, end: datetime, place: str | None, device: str | None, purpose: str
) -> ExplainRequest:
    """A request for what the storage server sees of a question."""
    return ExplainRequest(
        dataset=dataset, interval=interval(start, end), place=place or "", device=device or "", purpose=purpose
    )


def query(
    dataset: str,
    start: datetime,
    end: datetime,
    *,
    subject: str | None,
    place: str | None,
    columns: Sequence[str] | None,
    purpose: str,
) -> QueryRequest:
    """A request for whole records."""
    return QueryRequest(
        dataset=dataset,
        subject=subject or "",
        place=place or "",
        interval=interval(start, end),
        columns=columns or (),
        purpose=purpose,
    )


def station_history(dataset: str, station: str, start: datetime, end: datetime) -> ListHistoryRequest:
    """A request for what a station reported."""
    return ListHistoryRequest(dataset=dataset, station=station, interval=interval(start, end))


def stations_now(dataset: str, contract: str, at: datetime | None) -> ListLatestRequest:
    """A request for the last state of each station."""
    return ListLatestRequest(dataset=dataset, contract=contract, at=None if at is None else timestamp(at))


def availability(dataset: str, contract: str, start: datetime, end: datetime, step: timedelta) -> AvailabilityRequest:
    """A request for the bikes and stands available in each step."""
    return AvailabilityRequest(dataset=dataset, contract=contract, interval=interval(start, end), step=duration(step))


def compact(dataset: str | None, start: datetime | None, end: datetime | None, include_open: bool) -> CompactRequest:
    """A request to compact segments."""
    return CompactRequest(dataset=dataset or "", interval=_open_ended(start, end), include_open=include_open)


def verify(dataset: str | None, start: datetime | None, end: datetime | None) -> VerifyRequest:
    """A request to compare the store with the manifest."""
    return VerifyRequest(dataset=dataset or "", interval=_open_ended(start, end))


def audit_entries(
    start: datetime | None, end: datetime | None, who: str | None, rpc: str | None, device: str | None
) -> ListEntriesRequest:
    """A request for entries of the audit log."""
    ends = {"from": start, "to": end}  # `from` is a keyword of Python
    times = {name: timestamp(when) for name, when in ends.items() if when is not None}
    return ListEntriesRequest(who=who or "", rpc=rpc or "", device=device or "", **times)


def places(where: Where) -> list[str]:
    """The places that a question is about; empty for anywhere.

    Raises:
        ValueError: `where` is an empty list, which does not mean anywhere.
    """
    if where is None or isinstance(where, str):
        return [where] if where else []
    if not where:
        raise ValueError("expected at least one place, got none; omit it to ask about anywhere")
    return list(where)


def _where(place: Where) -> dict[str, Any]:
    """The fields that say where. A single place has a field of its own, which every proxy knows."""
    names = places(place)
    return {"place": names[0]} if len(names) == 1 else {"places": names}


def interval(start: datetime, end: datetime) -> Interval:
    """The closed interval [start, end].

    Raises:
        ValueError: `start` or `end` has no time zone.
    """
    return Interval(start=timestamp(start), end=timestamp(end))


def _open_ended(start: datetime | None, end: datetime | None) -> Interval | None:
    """The interval from `start`, or the earliest time, to `end`, or the latest; None if neither is given."""
    return None if start is None and end is None else interval(start or _EARLIEST, end or _LATEST)
