"""Responses of the contract as results of the clients' methods."""

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import chain

from privacyplease.client._internal.contract import reads_answers
from privacyplease.client._internal.times import from_unix_ms, instant
from privacyplease.client.audit import AuditEntry, AuditVerdict
from privacyplease.client.catalogue import Access, Column, Dataset
from privacyplease.client.compaction import Compacted
from privacyplease.client.explanation import ExplainedCell, Explanation
from privacyplease.client.occupancy import Count, Dwell, Occupancy, Peak, PlaceCounts, Places, Series
from privacyplease.client.presence import Presence, Sessions
from privacyplease.client.stations import Availability, StationStates, Statistics
from privacyplease.proxy.v1 import occupancy_service_pb2, stations_service_pb2
from privacyplease.proxy.v1.access_service_pb2 import Role, WhoAmIResponse
from privacyplease.proxy.v1.audit_service_pb2 import AuditEntry as AuditEntryMessage
from privacyplease.proxy.v1.audit_service_pb2 import ListEntriesResponse, VerifyLogResponse
from privacyplease.proxy.v1.compaction_service_pb2 import CompactResponse
from privacyplease.proxy.v1.explain_service_pb2 import ExplainResponse
from privacyplease.proxy.v1.occupancy_service_pb2 import (
    CountByPlaceResponse,
    CountResponse,
    DwellResponse,
    ListPlacesResponse,
    SeriesResponse,
)
from privacyplease.proxy.v1.presence_service_pb2 import FindSessionsResponse
from privacyplease.proxy.v1.query_service_pb2 import Dataset as DatasetMessage
from privacyplease.proxy.v1.query_service_pb2 import ListDatasetsResponse
from privacyplease.proxy.v1.stations_service_pb2 import AvailabilityResponse, ListHistoryResponse, ListLatestResponse


@reads_answers
def compacted(response: CompactResponse) -> Compacted:
    """A step of a compaction."""
    return Compacted(response.dataset, response.merged_cells, response.written_cells, response.removed_cells)


@reads_answers
def presence(pages: Sequence[FindSessionsResponse]) -> Presence:
    """Joins the pages of FindSessions; there is at least one."""
    places = tuple(chain.from_iterable(page.sessions.places for page in pages))
    starts = tuple(chain.from_iterable(page.sessions.starts_unix_ms for page in pages))
    ends = tuple(chain.from_iterable(page.sessions.ends_unix_ms for page in pages))
    if not len(places) == len(starts) == len(ends):
        raise ValueError("expected as many starts and ends as places")
    for extreme in (min(starts, default=0), max(starts, default=0), min(ends, default=0), max(ends, default=0)):
        from_unix_ms(extreme)  # so that none of them fails later, when sessions are iterated over
    return Presence(device=pages[0].device, present=pages[0].present, sessions=Sessions(places, starts, ends))


@reads_answers
def count(response: CountResponse) -> Count:
    """A count, and its bounds if it is an estimate."""
    return _count(response.distinct_devices, response)


@reads_answers
def place_counts(pages: Sequence[CountByPlaceResponse]) -> PlaceCounts:
    """Joins the pages of CountByPlace; there may be none."""
    return PlaceCounts(
        places=tuple(chain.from_iterable(page.places for page in pages)),
        distinct_devices=tuple(chain.from_iterable(page.distinct_devices for page in pages)),
    )


@reads_answers
def places(pages: Sequence[ListPlacesResponse]) -> Places:
    """Joins the pages of ListPlaces; there may be none."""
    return Places(
        places=tuple(chain.from_iterable(page.places for page in pages)),
        locations=tuple(chain.from_iterable(page.locations for page in pages)),
    )


@reads_answers
def dwell(response: DwellResponse, bounds: tuple[timedelta, ...]) -> Dwell:
    """How long sessions last."""
    return Dwell(
        bounds=bounds,
        sessions=tuple(response.sessions),
        median=response.median.ToTimedelta() if response.HasField("median") else None,
        returning_devices=response.returning_devices,
        new_devices=response.new_devices,
    )


@reads_answers
def explanation(response: ExplainResponse) -> Explanation:
    """What the storage server saw of a question."""
    return Explanation(
        tags=response.tags,
        first_tags=tuple(response.first_tags),
        cells=response.cells,
        bytes=response.bytes,
        first_cells=tuple(
            ExplainedCell(cell.tag, cell.head, cell.size, cell.records_opened, cell.records_kept, cell.rollup)
            for cell in response.first_cells
        ),
        records_opened=response.records_opened,
        records_kept=response.records_kept,
        records_distinct=response.records_distinct,
        answer=_count(response.answer, response),
        rollup_tags=response.rollup_tags,
        rollup_cells=response.rollup_cells,
        sketches_opened=response.sketches_opened,
        sketches_kept=response.sketches_kept,
    )


@reads_answers
def occupancy(pages: Sequence[SeriesResponse], step: timedelta) -> Occupancy:
    """Joins the pages of Series; there is at least one."""
    counts = tuple(chain.from_iterable(page.distinct_devices for page in pages))
    start = _series_start(pages[0].start_unix_ms, step, len(counts))
    return Occupancy(peak=peak(pages[0].peak), series=Series(start=start, step=step, distinct_devices=counts))


@reads_answers
def peak(message: occupancy_service_pb2.Peak) -> Peak:
    """The peak of a series."""
    return Peak(at=instant(message.at), distinct_devices=message.distinct_devices)


@reads_answers
def station_states(pages: Sequence[ListHistoryResponse] | Sequence[ListLatestResponse]) -> StationStates:
    """Joins the pages of ListHistory or ListLatest; there may be none."""
    from privacyplease.client._internal.tables.station_rows import joined

    return StationStates(joined([page.arrow for page in pages]))


@reads_answers
def availability(pages: Sequence[AvailabilityResponse], step: timedelta) -> Availability:
    """Joins the pages of Availability; there is at least one."""
    bikes, stands = (_statistics([getattr(page, name) for page in pages]) for name in ("bikes", "stands"))
    columns = [column for each in (bikes, stands) for column in (each.means, each.minima, each.maxima)]
    if len(set(map(len, columns))) > 1:
        raise ValueError("expected statistics of as many steps each")
    start = _series_start(pages[0].start_unix_ms, step, len(bikes.means))
    return Availability(start=start, step=step, bikes=bikes, stands=stands)


@reads_answers
def datasets(response: ListDatasetsResponse) -> tuple[Dataset, ...]:
    """All data sets, ascending by name."""
    return tuple(_dataset(message) for message in response.datasets)


def _series_start(start_unix_ms: int, step: timedelta, steps: int) -> datetime:
    """When a series starts; no step of it is beyond the year 9999."""
    start = from_unix_ms(start_unix_ms)
    _ = start + step * steps
    return start


def _count(devices: int, response: CountResponse | ExplainResponse) -> Count:
    if not response.HasField("estimate"):
        return Count(devices)
    return Count(devices, at_least=response.estimate.at_least, at_most=response.estimate.at_most)


@reads_answers
def access(response: WhoAmIResponse) -> Access:
    """Who the caller is to the proxy, and what the policy allows."""
    longest = response.longest_interval.ToTimedelta() if response.HasField("longest_interval") else None
    return Access(
        name=response.name,
        on_behalf_of=response.on_behalf_of,
        roles=tuple(_role(role) for role in response.roles),
        datasets=tuple(response.datasets),
        devices=tuple(response.devices),
        purposes=tuple(response.purposes),
        longest_interval=longest,
        calls_per_minute=response.calls_per_minute,
        may_act_for=tuple(response.may_act_for),
    )


def _statistics(pages: Sequence[stations_service_pb2.Statistics]) -> Statistics:
    return Statistics(
        means=tuple(_known(chain.from_iterable(page.means for page in pages))),
        minima=tuple(_whole(chain.from_iterable(page.minima for page in pages))),
        maxima=tuple(_whole(chain.from_iterable(page.maxima for page in pages))),
    )


def _known(values: Iterable[float]) -> Iterable[float | None]:
    """Replaces NaN, the contract's "unknown", by None, which equals itself and which JSON can express."""
    return (None if math.isnan(value) else value for value in values)


def _whole(values: Iterable[float]) -> Iterable[int | None]:
    return (None if value is None else int(value) for value in _known(values))


@reads_answers
def audit_entries(pages: Iterable[ListEntriesResponse]) -> tuple[AuditEntry, ...]:
    """Joins the pages of ListEntries."""
    return tuple(_audit_entry(entry) for page in pages for entry in page.entries)


@reads_answers
def audit_verdict(response: VerifyLogResponse) -> AuditVerdict:
    """Whether the log is intact."""
    return AuditVerdict(response.lines, response.remembered, tuple(response.findings), response.first)


def _audit_entry(message: AuditEntryMessage) -> AuditEntry:
    has_interval = message.HasField("interval")
    return AuditEntry(
        number=message.number,
        at=instant(message.at),
        event=message.event,
        who=message.who,
        on_behalf_of=message.on_behalf_of,
        rpc=message.rpc,
        call=message.call,
        dataset=message.dataset,
        subject=message.subject,
        start=instant(message.interval.start) if has_interval else None,
        end=instant(message.interval.end) if has_interval else None,
        purpose=message.purpose,
        reason=message.reason,
        records=message.records if message.HasField("records") else None,
        bytes=message.bytes if message.HasField("bytes") else None,
        count=message.count if message.HasField("count") else None,
        first=instant(message.first) if message.HasField("first") else None,
        last=instant(message.last) if message.HasField("last") else None,
    )


def _role(role: Role.ValueType) -> str:
    """The role's name in the policy file; its number if it is newer than this SDK."""
    return Role.Name(role).removeprefix("ROLE_").lower() if role in Role.values() else str(role)


def _dataset(message: DatasetMessage) -> Dataset:
    return Dataset(
        name=message.name,
        title=message.title,
        columns=tuple(Column(column.name, column.type) for column in message.columns),
        subject=message.subject,
        place=message.place,
        start=message.start,
        duration=message.duration,
    )
