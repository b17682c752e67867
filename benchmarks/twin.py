"""The plaintext twin: the proxy's contract for ingest, counting and presence, answered from a plaintext table.

    python -m benchmarks.twin --database URL --certificates DIR --address-file FILE

So the same client asks both sides, over the same mutual TLS, and answers can be compared. Each worker thread has a
connection of its own to the database.
"""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pyarrow as pa
from google.protobuf.timestamp_pb2 import Timestamp

from benchmarks.table import Row, Sessions
from privacyplease.ingest.wifi import SCHEMA
from privacyplease.proxy.errors import ConfigurationError
from privacyplease.proxy.v1 import (
    ingest_service_pb2,
    ingest_service_pb2_grpc,
    occupancy_service_pb2,
    occupancy_service_pb2_grpc,
    presence_service_pb2,
    presence_service_pb2_grpc,
    types_pb2,
)
from privacyplease.transport.credentials import server_credentials

# As the proxy has by default.
_WORKERS = 16
_MOST_MESSAGE_BYTES = 32 * 1024 * 1024
_PAGE = 8_192

Connected = Callable[[], Sessions]


class Ingest(ingest_service_pb2_grpc.IngestServiceServicer):
    """Takes batches of Arrow bytes."""

    def __init__(self, sessions: Connected) -> None:
        self._sessions = sessions

    def Ingest(  # noqa: N802
        self, request_iterator: Iterator[ingest_service_pb2.IngestRequest], _context: grpc.ServicerContext
    ) -> Iterator[ingest_service_pb2.IngestResponse]:
        """See the contract; nothing is checked, as nothing is wrong."""
        for request in request_iterator:
            with pa.ipc.open_stream(request.arrow) as reader:
                batch = _whole(reader.read_all())
            self._sessions().insert(batch)
            yield ingest_service_pb2.IngestResponse(sequence=request.sequence, accepted=len(batch))


class Occupancy(occupancy_service_pb2_grpc.OccupancyServiceServicer):
    """Counts people."""

    def __init__(self, sessions: Connected) -> None:
        self._sessions = sessions

    def Count(  # noqa: N802
        self, request: occupancy_service_pb2.CountRequest, _context: grpc.ServicerContext
    ) -> occupancy_service_pb2.CountResponse:
        """See the contract."""
        devices = self._sessions().count(*_millis(request.interval), request.place)
        return occupancy_service_pb2.CountResponse(distinct_devices=devices)

    def CountByPlace(  # noqa: N802
        self, request: occupancy_service_pb2.CountByPlaceRequest, _context: grpc.ServicerContext
    ) -> Iterator[occupancy_service_pb2.CountByPlaceResponse]:
        """See the contract; there are fewer places than a page holds."""
        counts = self._sessions().count_by_place(*_millis(request.interval))
        yield occupancy_service_pb2.CountByPlaceResponse(
            places=[place for place, _ in counts], distinct_devices=[devices for _, devices in counts]
        )

    def Series(  # noqa: N802
        self, request: occupancy_service_pb2.SeriesRequest, _context: grpc.ServicerContext
    ) -> Iterator[occupancy_service_pb2.SeriesResponse]:
        """See the contract."""
        start, end = _millis(request.interval)
        step = request.step.seconds * 1_000 + request.step.nanos // 1_000_000
        counts = series(self._sessions().visits(start, end, request.place), start, end, step)
        best = int(counts.argmax())
        at = Timestamp()
        at.FromMilliseconds(start + best * step)
        peak = occupancy_service_pb2.Peak(at=at, distinct_devices=int(counts[best]))
        for begin in range(0, len(counts), _PAGE):
            yield occupancy_service_pb2.SeriesResponse(
                start_unix_ms=start + begin * step,
                distinct_devices=counts[begin : begin + _PAGE].tolist(),
                peak=peak,
            )


class Presence(presence_service_pb2_grpc.PresenceServiceServicer):
    """Finds the sessions of a device."""

    def __init__(self, sessions: Connected) -> None:
        self._sessions = sessions

    def FindSessions(  # noqa: N802
        self, request: presence_service_pb2.FindSessionsRequest, _context: grpc.ServicerContext
    ) -> Iterator[presence_service_pb2.FindSessionsResponse]:
        """See the contract."""
        found = self._sessions().presence(request.device, *_millis(request.interval))
        for begin in range(0, max(len(found), 1), _PAGE):
            places, starts, ends = zip(*found[begin : begin + _PAGE], strict=True) if found else ((), (), ())
            yield presence_service_pb2.FindSessionsResponse(
                device=request.device,
                present=bool(found),
                sessions=presence_service_pb2.Sessions(places=places, starts_unix_ms=starts, ends_unix_ms=ends),
            )


def series(visits: list[Row], start: int, end: int, step: int) -> np.ndarray:
    """Distinct devices of each step: int64[steps]. Each device and step that belong together are one number.

    >>> series([("a", 0, 25), ("a", 12, 13), ("b", 19, 19)], 0, 30, 10).tolist()
    [1, 2, 1]
    """
    steps = max(1, -(-(end - start) // step))
    if not visits:
        return np.zeros(steps, np.int64)
    names, begins, ends = zip(*visits, strict=True)
    devices = np.unique(names, return_inverse=True)[1]
    first, last = (np.clip((np.array(each) - start) // step, 0, steps - 1) for each in (begins, ends))
    lengths = last - first + 1
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    pairs = np.unique(np.repeat(devices * steps + first, lengths) + within)
    return np.bincount(pairs % steps, minlength=steps)


def main() -> None:
    """Serves until SIGTERM."""
    parser = argparse.ArgumentParser(description="The plaintext twin.")
    parser.add_argument("--database", required=True)
    parser.add_argument("--certificates", type=Path, required=True)
    parser.add_argument("--address-file", type=Path, required=True)
    flags = parser.parse_args()
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    server = _server(flags.database)
    port = server.add_secure_port("127.0.0.1:0", server_credentials(flags.certificates, ConfigurationError))
    server.start()
    partial = flags.address_file.with_suffix(".partial")
    partial.write_text(f"127.0.0.1:{port}\n")
    partial.replace(flags.address_file)
    over.wait()
    server.stop(1).wait()


def _server(url: str) -> grpc.Server:
    local = threading.local()

    def sessions() -> Sessions:
        if not hasattr(local, "sessions"):
            local.sessions = Sessions(url)
        connected: Sessions = local.sessions
        return connected

    options = [("grpc.max_receive_message_length", _MOST_MESSAGE_BYTES)]
    server = grpc.server(ThreadPoolExecutor(_WORKERS), options=options)
    ingest_service_pb2_grpc.add_IngestServiceServicer_to_server(Ingest(sessions), server)
    occupancy_service_pb2_grpc.add_OccupancyServiceServicer_to_server(Occupancy(sessions), server)
    presence_service_pb2_grpc.add_PresenceServiceServicer_to_server(Presence(sessions), server)
    return server


def _millis(interval: types_pb2.Interval) -> tuple[int, int]:
    return interval.start.ToMilliseconds(), interval.end.ToMilliseconds()


def _whole(batch: pa.Table) -> pa.Table:
    """All columns of the data set; those that a sender leaves out are null."""
    has = set(batch.column_names)
    columns = [batch[each.name] if each.name in has else pa.nulls(len(batch), each.type) for each in SCHEMA]
    return pa.table(columns, schema=SCHEMA)


if __name__ == "__main__":
    main()
