# Generated from _internal/aio/occupancy.py by scripts/blocking_client.py; do not edit.
"""How many devices there were, when, where and for how long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from privacyplease.client._internal.messages import answers, requests
from privacyplease.client._internal.messages.requests import Where
from privacyplease.client.occupancy import Count, Dwell, Occupancy, Peak, PlaceCounts, Places

if TYPE_CHECKING:
    from privacyplease.client._internal.blocking.connection import Connection
    from privacyplease.proxy.v1.occupancy_service_pb2_grpc import OccupancyServiceStub


class OccupancyMethods:
    """Counts of distinct devices; no answer names a device."""

    _connection: Connection

    def count(
        self, start: datetime, end: datetime, *, place: Where = None, exact: bool = False, dataset: str = "wifi"
    ) -> Count:
        """How many distinct devices there were: at a place, at any of several, or anywhere.

        >>> client.count(*day)
        420
        >>> client.count(*day, place=["ap-01-5", "ap-01-6"])
        300

        Args:
            start: The first instant.
            end: The last instant.
            place: One place or several; anywhere if None.
            exact: Never estimate, whatever the cost. Otherwise the number may be an estimate, and says so, if there
                were more than 65,536 devices and the proxy counts them from roll-ups.
            dataset: The data set to ask.
        """
        request = requests.count(dataset, start, end, place, exact=exact)
        return answers.count(self._connection.answer(self._occupancy.Count, request))

    def count_by_place(
        self,
        start: datetime,
        end: datetime,
        *,
        groups: Mapping[str, Sequence[str]] | None = None,
        dataset: str = "wifi",
    ) -> PlaceCounts:
        """How many distinct devices there were at each place.

        >>> places = client.list_places(*day)
        >>> counts = client.count_by_place(*day, groups=places.groups(depth=2))
        >>> for count in list(counts)[:2]:
        ...     print(count.place, count.distinct_devices)
        Campus > Lecture hall 1 319
        Campus > Canteen 3 283

        Args:
            start: The first instant.
            end: The last instant.
            groups: Places to count as one, by the group's name, e.g. {"ground floor": ["ap-1", "ap-2"]}. A device
                counts once in each group in which it was. Places in no group are counted individually.
            dataset: The data set to ask.
        """
        request = requests.count_by_place(dataset, start, end, groups)
        return answers.place_counts(self._connection.pages(self._occupancy.CountByPlace, request))

    def occupancy(
        self, start: datetime, end: datetime, step: timedelta, *, place: Where = None, dataset: str = "wifi"
    ) -> Occupancy:
        """How many distinct devices there were in each step of the interval, and the peak.

        >>> occupancy = client.occupancy(*day, timedelta(hours=1))
        >>> print(occupancy.peak.at, occupancy.peak.distinct_devices)
        2024-10-01 11:00:00+00:00 396
        >>> occupancy.to_pandas().shape
        (24, 2)
        """
        request = requests.series(dataset, start, end, step, place)
        return answers.occupancy(self._connection.pages(self._occupancy.Series, request), step)

    def peak(
        self, start: datetime, end: datetime, step: timedelta, *, place: Where = None, dataset: str = "wifi"
    ) -> Peak:
        """The step with the most distinct devices: the peak of `occupancy`, without the series."""
        request = requests.peak(dataset, start, end, step, place)
        response = self._connection.answer(self._occupancy.Peak, request)
        return answers.peak(response.peak)

    def list_places(self, start: datetime, end: datetime, *, dataset: str = "wifi") -> Places:
        """The places that had a session during the interval, each with its location.

        Every column of the interval's records is read. A short interval is enough to find busy places.
        """
        request = requests.list_places(dataset, start, end)
        return answers.places(self._connection.pages(self._occupancy.ListPlaces, request))

    def dwell(
        self,
        start: datetime,
        end: datetime,
        *,
        bounds: Sequence[timedelta] = (),
        look_back: timedelta = timedelta(0),
        place: Where = None,
        dataset: str = "wifi",
    ) -> Dwell:
        """How long the sessions last that overlap the interval, and how many of their devices were there before.

        >>> dwell = client.dwell(*day, bounds=[timedelta(minutes=5), timedelta(hours=1)])
        >>> print(dwell.median, dwell.sessions)
        0:01:14 (11301, 3694, 509)

        Args:
            start: The first instant.
            end: The last instant.
            bounds: The bounds between classes of length, positive and ascending; the first class begins at zero.
            look_back: How far before the interval to look for earlier sessions of the devices; not at all if zero.
            place: One place or several; anywhere if None.
            dataset: The data set to ask.
        """
        request = requests.dwell(dataset, start, end, bounds, look_back, place)
        return answers.dwell(self._connection.answer(self._occupancy.Dwell, request), tuple(bounds))

    @property
    def _occupancy(self) -> OccupancyServiceStub:
        from privacyplease.proxy.v1.occupancy_service_pb2_grpc import OccupancyServiceStub

        return self._connection.stub(OccupancyServiceStub)
