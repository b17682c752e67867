"""The people and programs that load the proxy, each over a connection of its own, with mutual TLS.

They speak to the generated stubs and not through the SDK: what the SDK tries again by itself must count as a failure
here.
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

from loadtests.results import CONNECT
from loadtests.world import World
from privacyplease.client._internal.credentials import load
from privacyplease.proxy.v1.ingest_service_pb2 import IngestRequest
from privacyplease.proxy.v1.ingest_service_pb2_grpc import IngestServiceStub
from privacyplease.proxy.v1.occupancy_service_pb2 import CountByPlaceRequest, CountRequest, PeakRequest, SeriesRequest
from privacyplease.proxy.v1.occupancy_service_pb2_grpc import OccupancyServiceStub
from privacyplease.proxy.v1.presence_service_pb2 import FindSessionsRequest
from privacyplease.proxy.v1.presence_service_pb2_grpc import PresenceServiceStub
from privacyplease.proxy.v1.types_pb2 import Interval

_TIMEOUT_SECONDS = 60.0
_OPTIONS = [
    ("grpc.max_receive_message_length", 32 << 20),
    # All channels of a process would share one connection, and so its limit of streams.
    ("grpc.use_local_subchannel_pool", 1),
]

_QUARTER = Duration(seconds=900)
_HOUR = Duration(seconds=3_600)


class GrpcUser(User):
    """A user of the proxy. Each call is told to Locust with its latency, the bytes that came, and its gRPC code."""

    abstract = True
    world: ClassVar[World]

    def on_start(self) -> None:
        """Connects, so that no question waits for a handshake."""
        self.channel = grpc.secure_channel(self.world.proxy, load(self.world.certificates), _OPTIONS)
        began = time.perf_counter()
        grpc.channel_ready_future(self.channel).result(_TIMEOUT_SECONDS)
        self.told(CONNECT, time.perf_counter() - began, 0, None)
        self.presence, self.occupancy = PresenceServiceStub(self.channel), OccupancyServiceStub(self.channel)

    def on_stop(self) -> None:
        """Disconnects."""
        self.channel.close()

    def ask(self, name: str, method: Callable[..., object], request: Message) -> None:
        """Asks, and takes the answer to its end."""
        began, size, failure = time.perf_counter(), 0, None
        try:
            answer = method(request, timeout=_TIMEOUT_SECONDS)
            pages = [answer] if isinstance(answer, Message) else cast("Iterator[Message]", answer)
            size = sum(page.ByteSize() for page in pages)
        except grpc.RpcError as error:
            failure = error
        self.told(name, time.perf_counter() - began, size, failure)

    def told(self, name: str, seconds: float, size: int, failure: grpc.RpcError | None) -> None:
        """Tells Locust of a call that has ended."""
        self.environment.events.request.fire(
            request_type=type(self).__name__,
            name=name,
            response_time=seconds * 1_000,
            response_length=size,
            exception=failure,
            context={},
        )

    def past(self, width: timedelta) -> Interval:
        """An interval of a width somewhere in the data."""
        latest = self.world.end - width
        start = self.world.start + random.random() * (latest - self.world.start)
        return between_instants(start, start + width)


class Guard(GrpcUser):
    """Wants to know where a device was, within an hour."""

    weight = 4
    wait_time = between(0.5, 1.5)

    @task
    def where(self) -> None:
        """Presence of a device, 5 to 60 minutes."""
        device, minutes = random.choice(self.world.devices), random.randint(5, 60)
        request = FindSessionsRequest(
            device=device, interval=self.past(timedelta(minutes=minutes)), purpose="load test"
        )
        self.ask("presence, up to 1 h", self.presence.FindSessions, request)


class Dashboard(GrpcUser):
    """Shows the last day, and asks again every few seconds."""

    weight = 3
    wait_time = between(2, 5)

    @task(3)
    def series(self) -> None:
        """People at a place, by quarter hours."""
        request = SeriesRequest(interval=self._day(), step=_QUARTER, place=random.choice(self.world.places))
        self.ask("series of a place, 1 d", self.occupancy.Series, request)

    @task
    def now(self) -> None:
        """People at a place in the last hour."""
        hour = between_instants(self.world.end - timedelta(hours=1), self.world.end)
        request = CountRequest(interval=hour, place=random.choice(self.world.places))
        self.ask("count of a place, 1 h", self.occupancy.Count, request)

    def _day(self) -> Interval:
        return between_instants(self.world.end - timedelta(days=1), self.world.end)


class Analyst(GrpcUser):
    """Asks about long ranges and the whole building."""

    weight = 1
    wait_time = between(2, 6)

    @task(2)
    def place(self) -> None:
        """People at a place, from a day to all days, by hours."""
        days = timedelta(days=random.randint(1, self.world.days))
        request = SeriesRequest(interval=self.past(days), step=_HOUR, place=random.choice(self.world.places))
        self.ask("series of a place, 1 d to all", self.occupancy.Series, request)

    @task(2)
    def ranking(self) -> None:
        """All places, the fullest first, over a day."""
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


class Ingest(GrpcUser):
    """Streams new sessions, a batch at a time, at a steady rate. There is one, however many ask."""

    fixed_count = 1
    wait_time = between(1, 2)

    batch_seconds = 0.5
    sessions_a_batch = 100

    @task
    def stream(self) -> None:
        """Sends batches and takes their acknowledgements, for as long as the test runs."""
        sent: deque[float] = deque()
        try:
            for acknowledgement in IngestServiceStub(self.channel).Ingest(self._batches(sent)):
                self.told(
                    "ingest, batch of 100", time.perf_counter() - sent.popleft(), acknowledgement.ByteSize(), None
                )
        except grpc.RpcError as error:
            self.told("ingest, batch of 100", 0.0, 0, error)

    def _batches(self, sent: deque[float]) -> Iterator[IngestRequest]:
        for sequence in range(1 << 31):
            request = IngestRequest(
                dataset="wifi", sequence=sequence, arrow=sessions(self.world, self.sessions_a_batch)
            )
            sent.append(time.perf_counter())
            yield request
            time.sleep(self.batch_seconds)


def sessions(world: World, rows: int) -> bytes:
    """Sessions that begin now, as an Arrow IPC stream."""
    table = pa.table(
        {
            "client_mac": random.choices(world.devices, k=rows),
            "ap_name": random.choices(world.places, k=rows),
            "association_time": pa.array([datetime.now(UTC)] * rows, pa.timestamp("ms", tz="UTC")),
            "session_duration": pa.array([random.randrange(7_200_000) for _ in range(rows)], pa.duration("ms")),
        }
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def between_instants(start: datetime, end: datetime) -> Interval:
    """A closed interval as the contract has it."""
    return Interval(start=_instant(start), end=_instant(end))


def _instant(at: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(at)
    return made
