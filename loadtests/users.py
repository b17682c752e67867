"""The users that load the proxy, each over its own connection, with mutual TLS.

They call the generated stubs instead of the SDK, so that a call that the SDK would retry counts as a failure.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import ClassVar, cast

import grpc
import pyarrow as pa
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from locust import User, between, task

from loadtests.load_target import LoadTarget
from loadtests.results import CONNECT
from privacyplease.client.errors import CertificateError
from privacyplease.proxy.v1.ingest_service_pb2 import IngestRequest
from privacyplease.proxy.v1.ingest_service_pb2_grpc import IngestServiceStub
from privacyplease.proxy.v1.occupancy_service_pb2 import CountByPlaceRequest, CountRequest, PeakRequest, SeriesRequest
from privacyplease.proxy.v1.occupancy_service_pb2_grpc import OccupancyServiceStub
from privacyplease.proxy.v1.presence_service_pb2 import FindSessionsRequest
from privacyplease.proxy.v1.presence_service_pb2_grpc import PresenceServiceStub
from privacyplease.proxy.v1.types_pb2 import Interval
from privacyplease.transport.credentials import load

_TIMEOUT_SECONDS = 60.0
_OPTIONS = [
    ("grpc.max_receive_message_length", 32 << 20),
    # Otherwise all channels of a process share one connection, and its limit of concurrent streams.
    ("grpc.use_local_subchannel_pool", 1),
]

_QUARTER = Duration(seconds=900)
_HOUR = Duration(seconds=3_600)


class GrpcUser(User):
    """A user of the proxy. Each call is reported to Locust with its latency, the bytes received, and its gRPC code."""

    abstract = True
    target: ClassVar[LoadTarget]

    def on_start(self) -> None:
        """Connects, so that no question waits for a handshake."""
        credentials = load(self.target.certificates, CertificateError).channel()
        self.channel = grpc.secure_channel(self.target.proxy, credentials, _OPTIONS)
        began = time.perf_counter()
        grpc.channel_ready_future(self.channel).result(_TIMEOUT_SECONDS)
        self.report(CONNECT, time.perf_counter() - began, 0, None)
        self.presence, self.occupancy = PresenceServiceStub(self.channel), OccupancyServiceStub(self.channel)

    def on_stop(self) -> None:
        """Disconnects."""
        self.channel.close()

    def ask(self, name: str, method: Callable[..., object], request: Message) -> None:
        """Asks, and reads the whole answer."""
        began, size, failure = time.perf_counter(), 0, None
        try:
            answer = method(request, timeout=_TIMEOUT_SECONDS)
            pages = [answer] if isinstance(answer, Message) else cast("Iterator[Message]", answer)
            size = sum(page.ByteSize() for page in pages)
        except grpc.RpcError as error:
            failure = error
        self.report(name, time.perf_counter() - began, size, failure)

    def report(self, name: str, seconds: float, size: int, failure: grpc.RpcError | None) -> None:
        """Reports a call that has ended to Locust."""
        self.environment.events.request.fire(
            request_type=type(self).__name__,
            name=name,
            response_time=seconds * 1_000,
            response_length=size,
            exception=failure,
            context={},
        )

    def past(self, width: timedelta) -> Interval:
        """A random interval of a given width within the data."""
        latest = self.target.end - width
        start = self.target.start + random.random() * (latest - self.target.start)
        return between_instants(start, start + width)


class SecurityGuard(GrpcUser):
    """Asks where a device was, within an hour."""

    weight = 4
    wait_time = between(0.5, 1.5)

    @task
    def presence_of_a_device(self) -> None:
        """Presence of a device over 5 to 60 minutes."""
        device, minutes = random.choice(self.target.devices), random.randint(5, 60)
        request = FindSessionsRequest(
            device=device, interval=self.past(timedelta(minutes=minutes)), purpose="load test"
        )
        self.ask("presence, up to 1 h", self.presence.FindSessions, request)


class Dashboard(GrpcUser):
    """Shows the last day, and refreshes every few seconds."""

    weight = 3
    wait_time = between(2, 5)

    @task(3)
    def series(self) -> None:
        """People at a place, per quarter hour."""
        request = SeriesRequest(interval=self._day(), step=_QUARTER, place=random.choice(self.target.places))
        self.ask("series of a place, 1 d", self.occupancy.Series, request)

    @task
    def now(self) -> None:
        """People at a place in the last hour."""
        hour = between_instants(self.target.end - timedelta(hours=1), self.target.end)
        request = CountRequest(interval=hour, place=random.choice(self.target.places))
        self.ask("count of a place, 1 h", self.occupancy.Count, request)

    def _day(self) -> Interval:
        return between_instants(self.target.end - timedelta(days=1), self.target.end)


class Analyst(GrpcUser):
    """Asks about long ranges and the whole building."""

    weight = 1
    wait_time = between(2, 6)

    @task(2)
    def place(self) -> None:
        """People at a place, from one day to all days, per hour."""
        days = timedelta(days=random.randint(1, self.target.days))
        request = SeriesRequest(interval=self.past(days), step=_HOUR, place=random.choice(self.target.places))
        self.ask("series of a place, 1 d to all", self.occupancy.Series, request)

    @task(2)
    def ranking(self) -> None:
        """All places over a day, the fullest first."""
        self.ask("ranking of places, 1 d", self.occupancy.CountByPlace, self._day(CountByPlaceRequest()))

    @task
    def building(self) -> None:
        """People anywhere, over a day."""
        self.ask("count of the building, 1 d", self.occupancy.Count, self._day(CountRequest()))

    @task
    def peak(self) -> None:
        """The fullest hour of a day, anywhere."""
        self.ask("peak of the building, 1 d", self.occupancy.Peak, self._day(PeakRequest(step=_HOUR)))

    def _day(self, request: CountRequest | CountByPlaceRequest | PeakRequest) -> Message:
        request.interval.CopyFrom(self.past(timedelta(days=1)))
        return request


class IngestStream(GrpcUser):
    """Streams new sessions in batches at a steady rate. There is one, however many users ask."""

    fixed_count = 1
    wait_time = between(1, 2)

    batch_seconds = 0.5
    sessions_a_batch = 100

    @task
    def stream(self) -> None:
        """Sends batches and reads their acknowledgements for as long as the test runs."""
        sent: deque[float] = deque()
        try:
            for acknowledgement in IngestServiceStub(self.channel).Ingest(self._batches(sent)):
                self.report(
                    "ingest, batch of 100", time.perf_counter() - sent.popleft(), acknowledgement.ByteSize(), None
                )
        except grpc.RpcError as error:
            self.report("ingest, batch of 100", 0.0, 0, error)

    def _batches(self, sent: deque[float]) -> Iterator[IngestRequest]:
        for sequence in range(1 << 31):
            request = IngestRequest(
                dataset="wifi", sequence=sequence, arrow=sessions(self.target, self.sessions_a_batch)
            )
            sent.append(time.perf_counter())
            yield request
            time.sleep(self.batch_seconds)


def sessions(target: LoadTarget, rows: int) -> bytes:
    """Sessions that begin now, as an Arrow IPC stream."""
    table = pa.table(
        {
            "client_mac": random.choices(target.devices, k=rows),
            "ap_name": random.choices(target.places, k=rows),
            "association_time": pa.array([datetime.now(UTC)] * rows, pa.timestamp("ms", tz="UTC")),
            "session_duration": pa.array([random.randrange(7_200_000) for _ in range(rows)], pa.duration("ms")),
        }
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def between_instants(start: datetime, end: datetime) -> Interval:
    """A closed interval as a message."""
    return Interval(start=_instant(start), end=_instant(end))


def _instant(at: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(at)
    return timestamp
