# Generated from _internal/aio/stations.py by scripts/blocking_client.py; do not edit.
"""Bike-share stations."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from privacyplease.client._internal.messages import answers, requests
from privacyplease.client.stations import Availability, StationStates

if TYPE_CHECKING:
    from privacyplease.client._internal.blocking.connection import Connection
    from privacyplease.proxy.v1.stations_service_pb2_grpc import StationsServiceStub


class StationMethods:
    """Questions about bike-share stations."""

    _connection: Connection

    def station_history(self, station: str, start: datetime, end: datetime, *, dataset: str = "bikes") -> StationStates:
        """What a bike-share station reported during the interval, ascending by time.

        Args:
            station: "CONTRACT/NUMBER"; the contract in upper or lower case.
            start: The first instant.
            end: The last instant.
            dataset: The data set to ask.
        """
        request = requests.station_history(dataset, station, start, end)
        return answers.station_states(self._connection.pages(self._stations.ListHistory, request))

    def stations_now(self, contract: str, at: datetime | None = None, *, dataset: str = "bikes") -> StationStates:
        """The last state of each station of a contract, ascending by station as text.

        Args:
            contract: In upper or lower case.
            at: Ignore reports after this time; ignore none if None.
            dataset: The data set to ask.
        """
        request = requests.stations_now(dataset, contract, at)
        return answers.station_states(self._connection.pages(self._stations.ListLatest, request))

    def availability(
        self, contract: str, start: datetime, end: datetime, step: timedelta, *, dataset: str = "bikes"
    ) -> Availability:
        """Bikes and free stands of a contract in each step of the interval, summed over its stations."""
        request = requests.availability(dataset, contract, start, end, step)
        return answers.availability(self._connection.pages(self._stations.Availability, request), step)

    @property
    def _stations(self) -> StationsServiceStub:
        from privacyplease.proxy.v1.stations_service_pb2_grpc import StationsServiceStub

        return self._connection.stub(StationsServiceStub)
