"""The plaintext service: the proxy's contract for ingest, counting and presence, answered from a plaintext table.

    python -m benchmarks.plaintext_service --database URL --certificates DIR --address-file FILE

This lets the same client ask both sides over the same mutual TLS, and lets their answers be compared. Each worker
thread has its own connection to the database.
"""

from __future__ import annotations

import argparse
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pyarrow as pa
from google.protobuf.timestamp_pb2 import Timestamp

from benchmarks.plaintext_table import PlaintextTable, SessionRow
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
from privacyplease.transport.stop_signals import stop_on_signal

# The proxy's default.
_WORKERS = 16
_MOST_MESSAGE_BYTES = 32 * 1024 * 1024
_PAGE = 8_192

# Returns the connection of the calling thread.
Connection = Callable[[], PlaintextTable]


class PlaintextIngest(ingest_service_pb2_grpc.IngestServiceServicer):
    """Accepts batches of Arrow bytes."""

    def __init__(self, table: Connection) -> None:
        self._table = table

    def Ingest(  # noqa: N802
        self, request_iterator: Iterator[ingest_service_pb2.IngestRequest], _context: grpc.ServicerContext
    ) -> Iterator[ingest_service_pb2.IngestResponse]:
        """Writes each batch and acknowledges it; nothing is validated, because the benchmarks send no bad records."""
        for request in request_iterator:
            with pa.ipc.open_stream(request.arrow) as reader:
                batch = _with_all_columns(reader.read_all())
            self._table().insert(batch)
            yield ingest_service_pb2.IngestResponse(sequence=request.sequence, accepted=len(batch))


class PlaintextOccupancy(occupancy_service_pb2_grpc.OccupancyServiceServicer):
    """Counts distinct devices."""

    def __init__(self, table: Connection) -> None:
        self._table = table

    def Count(  # noqa: N802
        self, request: occupancy_service_pb2.CountRequest, _context: grpc.ServicerContext
    ) -> occupancy_service_pb2.CountResponse:
        """Counts the devices in an interval."""
        devices = self._table().count(*_millis(request.interval), request.place)
        return occupancy_service_pb2.CountResponse(distinct_devices=devices)

    def CountByPlace(  # noqa: N802
        self, request: occupancy_service_pb2.CountByPlaceRequest, _context: grpc.ServicerContext
    ) -> Iterator[occupancy_service_pb2.CountByPlaceResponse]:
        """Counts the devices at each place, in one page: there are fewer places than a page holds."""
        counts = self._table().count_by_place(*_millis(request.interval))
        yield occupancy_service_pb2.CountByPlaceResponse(
            places=[place for place, _ in counts], distinct_devices=[devices for _, devices in counts]
        )

    def Series(  # noqa: N802
        self, request: occupancy_service_pb2.SeriesRequest, _context: grpc.ServicerContext
    ) -> Iterator[occupancy_service_pb2.SeriesResponse]:
        """Counts the devices in each step, and finds the peak."""
        start, end = _millis(request.interval)
        step = request.step.seconds * 1_000 + request.step.nanos // 1_000_000
        counts = series(self._table().visits(start, end, request.place), start, end, step)
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


class PlaintextPresence(presence_service_pb2_grpc.PresenceServiceServicer):
    """Finds the sessions of a device."""

    def __init__(self, table: Connection) -> None:
        self._table = table

    def FindSessions(  # noqa: N802
        self, request: presence_service_pb2.FindSessionsRequest, _context: grpc.ServicerContext
    ) -> Iterator[presence_service_pb2.FindSessionsResponse]:
        """Finds the sessions of a device, in pages."""
        rows = self._table().presence(request.device, *_millis(request.interval))
        for begin in range(0, max(len(rows), 1), _PAGE):
            places, starts, ends = zip(*rows[begin : begin + _PAGE], strict=True) if rows else ((), (), ())
            yield presence_service_pb2.FindSessionsResponse(
                device=request.device,
                present=bool(rows),
                sessions=presence_service_pb2.Sessions(places=places, starts_unix_ms=starts, ends_unix_ms=ends),
            )


def series(visits: list[SessionRow], start: int, end: int, step: int) -> np.ndarray:
    """Distinct devices of each step: int64[steps]. Each pair of device and step is encoded as one number.

    >>> series([("a", 0, 25), ("a", 12, 13), ("b", 19, 19)], 0, 30, 10).tolist()
    [1, 2, 1]
    """
    steps = max(1, -(-(end - start) // step))
    if not visits:
        return np.zeros(steps, np.int64)
    names, begins, ends = zip(*visits, strict=True)
    devices = np.unique(names, return_inverse=True)[1]
    first, last = (np.clip((np.array(times) - start) // step, 0, steps - 1) for times in (begins, ends))
    lengths = last - first + 1
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    pairs = np.unique(np.repeat(devices * steps + first, lengths) + within)
    return np.bincount(pairs % steps, minlength=steps)


def main() -> None:
    """Serves until SIGTERM."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.plaintext_service", description="Serve the proxy's contract from a plaintext table."
    )
    parser.add_argument("--database", required=True, help="URL of the database")
    parser.add_argument("--certificates", type=Path, required=True, help="folder of the server certificate")
    parser.add_argument("--address-file", type=Path, required=True, help="file to write the address to")
    flags = parser.parse_args()
    server = _server(flags.database)
    port = server.add_secure_port("127.0.0.1:0", server_credentials(flags.certificates, ConfigurationError))
    with stop_on_signal() as stop:
        server.start()
        partial = flags.address_file.with_suffix(".partial")
        partial.write_text(f"127.0.0.1:{port}\n")
        partial.replace(flags.address_file)
        stop.wait()
    server.stop(1).wait()


def _server(url: str) -> grpc.Server:
    local = threading.local()

    def table() -> PlaintextTable:
        if not hasattr(local, "table"):
            local.table = PlaintextTable(url)
        connected: PlaintextTable = local.table
        return connected

    options = [("grpc.max_receive_message_length", _MOST_MESSAGE_BYTES)]
    server = grpc.server(ThreadPoolExecutor(_WORKERS), options=options)
    ingest_service_pb2_grpc.add_IngestServiceServicer_to_server(PlaintextIngest(table), server)
    occupancy_service_pb2_grpc.add_OccupancyServiceServicer_to_server(PlaintextOccupancy(table), server)
    presence_service_pb2_grpc.add_PresenceServiceServicer_to_server(PlaintextPresence(table), server)
    return server


def _millis(interval: types_pb2.Interval) -> tuple[int, int]:
    return interval.start.ToMilliseconds(), interval.end.ToMilliseconds()


def _with_all_columns(batch: pa.Table) -> pa.Table:
    """The batch with all columns of the data set; those that the sender left out are null."""
    sent = set(batch.column_names)
    columns = [batch[field.name] if field.name in sent else pa.nulls(len(batch), field.type) for field in SCHEMA]
    return pa.table(columns, schema=SCHEMA)


if __name__ == "__main__":
    main()
