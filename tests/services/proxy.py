"""The trusted proxy inside the test's process: real gRPC in front of it, a real storage server behind it.

Example:
    with serving(f"sqlite:///{folder}/cells.db") as storage, proxying(folder / "home", storage.address) as proxy:
        proxy.ingest("wifi", [{"client_mac": "aa:bb:cc:dd:ee:ff", ...}])
        proxy.presence.FindSessions(...)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pyarrow as pa
from google.protobuf.timestamp_pb2 import Timestamp

from privacyplease.proxy.assembly.proxy import Proxy
from privacyplease.proxy.assembly.settings import ProxySettings
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.telemetry.metrics import Metrics
from privacyplease.proxy.v1 import (
    admin_service_pb2_grpc,
    compaction_service_pb2,
    compaction_service_pb2_grpc,
    dead_letter_service_pb2_grpc,
    ingest_service_pb2,
    ingest_service_pb2_grpc,
    keys_service_pb2_grpc,
    occupancy_service_pb2_grpc,
    presence_service_pb2_grpc,
    query_service_pb2,
    query_service_pb2_grpc,
    stations_service_pb2_grpc,
    types_pb2,
    verification_service_pb2_grpc,
)
from tests.services.cells import channel_to

PASSPHRASE = "correct horse battery staple"

# Short, since tests send many small batches one after the other.
FLUSH_SECONDS = 0.01


class Proxied(NamedTuple):
    """A proxy in this process, and stubs of its services."""

    address: str
    channel: grpc.Channel
    home: Home
    admin: admin_service_pb2_grpc.AdminServiceStub
    ingestion: ingest_service_pb2_grpc.IngestServiceStub
    occupancy: occupancy_service_pb2_grpc.OccupancyServiceStub
    presence: presence_service_pb2_grpc.PresenceServiceStub
    queries: query_service_pb2_grpc.QueryServiceStub
    stations: stations_service_pb2_grpc.StationsServiceStub
    letters: dead_letter_service_pb2_grpc.DeadLetterServiceStub
    compaction: compaction_service_pb2_grpc.CompactionServiceStub
    keys: keys_service_pb2_grpc.KeysServiceStub
    verification: verification_service_pb2_grpc.VerificationServiceStub
    metrics: Metrics

    def compact(self, dataset: str = "", *, include_open: bool = False) -> list[compaction_service_pb2.CompactResponse]:
        """Compacts and returns what was done."""
        request = compaction_service_pb2.CompactRequest(dataset=dataset, include_open=include_open)
        return list(self.compaction.Compact(request))

    def ingest(
        self, dataset: str, *batches: pa.Table | Sequence[dict[str, Any]]
    ) -> list[ingest_service_pb2.IngestResponse]:
        """Sends batches and returns their acknowledgements, in order."""
        requests = [arrow_batch(dataset, number, batch) for number, batch in enumerate(batches)]
        return list(self.ingestion.Ingest(iter(requests)))

    def records(self, dataset: str, start: int, end: int, **more: Any) -> pa.Table:
        """The answer of `Query` as a table."""
        request = query_service_pb2.QueryRequest(dataset=dataset, interval=interval(start, end), purpose="test", **more)
        stream = b"".join(page.arrow for page in self.queries.Query(request))
        return pa.ipc.open_stream(stream).read_all()


@contextmanager
def proxying(
    home: Path,
    storage: str,
    *,
    passphrase: str | None = PASSPHRASE,
    most_tags: int | None = None,
    trusted_store: str | None = None,
    keyring: Path | None = None,
    cache_bytes: int | None = None,
    witnesses: Sequence[str] = (),
    compacts: bool = True,
    reserve_bytes: int = 1024 * 1024,
) -> Iterator[Proxied]:
    """Runs a proxy in this process for as long as the block lasts.

    Args:
        home: Its home; keys are made on first use.
        storage: The storage server's address.
        passphrase: The passphrase of the master key; None for one that the proxy generates.
        most_tags: How many tags a question may touch.
        trusted_store: The URL of a trusted store that it shares.
        keyring: An exported keyring to run on; the home is then an empty folder.
        cache_bytes: The size of the cell cache; None for the default.
        witnesses: Other places that keep the head of the manifest.
        compacts: Whether it compacts in the background.
        reserve_bytes: How much room on the disk of its home it keeps for administrators.
    """
    limits: dict[str, Any] = {"most_tags": most_tags, "cache_bytes": cache_bytes}
    settings = ProxySettings(
        Home(home),
        storage,
        passphrase,
        trusted_store=trusted_store,
        keyring=keyring,
        witnesses=tuple(witnesses),
        compacts=compacts,
        reserve_bytes=reserve_bytes,
        flush_seconds=FLUSH_SECONDS,
        **{name: value for name, value in limits.items() if value is not None},
    )
    proxy = Proxy(settings)
    address = f"127.0.0.1:{proxy.bind('127.0.0.1:0')}"
    proxy.start()
    try:
        with channel_to(address) as channel:
            yield Proxied(
                address,
                channel,
                Home(home),
                admin_service_pb2_grpc.AdminServiceStub(channel),
                ingest_service_pb2_grpc.IngestServiceStub(channel),
                occupancy_service_pb2_grpc.OccupancyServiceStub(channel),
                presence_service_pb2_grpc.PresenceServiceStub(channel),
                query_service_pb2_grpc.QueryServiceStub(channel),
                stations_service_pb2_grpc.StationsServiceStub(channel),
                dead_letter_service_pb2_grpc.DeadLetterServiceStub(channel),
                compaction_service_pb2_grpc.CompactionServiceStub(channel),
                keys_service_pb2_grpc.KeysServiceStub(channel),
                verification_service_pb2_grpc.VerificationServiceStub(channel),
                proxy.metrics,
            )
    finally:
        proxy.stop(0)


def arrow_batch(
    dataset: str, sequence: int, records: pa.Table | Sequence[dict[str, Any]]
) -> ingest_service_pb2.IngestRequest:
    """A batch as it goes over the wire."""
    table = records if isinstance(records, pa.Table) else pa.Table.from_pylist(list(records))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return ingest_service_pb2.IngestRequest(dataset=dataset, sequence=sequence, arrow=sink.getvalue().to_pybytes())


def instant(millis: int) -> Timestamp:
    """An instant, from milliseconds since the epoch."""
    return Timestamp(seconds=millis // 1_000, nanos=millis % 1_000 * 1_000_000)


def interval(start: int, end: int) -> types_pb2.Interval:
    """A closed interval, from milliseconds since the epoch."""
    return types_pb2.Interval(start=instant(start), end=instant(end))
