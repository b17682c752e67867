"""Many questions to a proxy whose storage server lies in some of its answers, possibly during ingest."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import grpc
from google.protobuf.duration_pb2 import Duration

from privacyplease.proxy.v1 import admin_service_pb2, occupancy_service_pb2, presence_service_pb2, query_service_pb2
from tests.services.cells import refusal
from tests.services.lying_server import LIES, LyingServer, lying
from tests.services.proxy import Proxied, interval, proxying
from tests.services.storage import serving

BEGIN = 1_726_272_000_000  # some hours before an epoch ends
HOUR = 3_600_000
HOURS = 12


class Detections(NamedTuple):
    """How the proxy treated the answers of the storage server.

    Attributes:
        detected: Lies that were refused with DATA_LOSS, by lie and reason.
        missed: Lies that were believed, or refused for another reason.
        honest: How many honest answers were accepted.
        alarms: Honest answers that were refused, with the reason.
    """

    detected: Counter[tuple[str, str]]
    missed: list[str]
    honest: int
    alarms: list[str]


class Deception:
    """A proxy, the lying server behind it, and a client.

    Args:
        proxy: The proxy.
        liar: The server behind it.
        random: Decides what is asked and when the server lies.
    """

    def __init__(self, proxy: Proxied, liar: LyingServer, random: Random) -> None:
        self._proxy = proxy
        self._liar = liar
        self._random = random

    def fill(self, batches: int) -> None:
        """Ingests batches."""
        for _ in range(batches):
            (answer,) = self._proxy.ingest("wifi", _records(self._random, 60))
            assert answer.accepted == 60
            self._liar.acknowledge()

    def ask(self, lies: int, honest: int) -> Detections:
        """Asks questions until the server has lied, and been honest, that many times, in random order."""
        outcome = Detections(Counter(), [], 0, [])
        lied = accepted = 0
        while lied < lies or accepted < honest:
            lying = accepted >= honest or (lied < lies and self._random.random() < lies / (lies + honest))
            self._liar.lie, self._liar.lied = self._random.choice(list(LIES)) if lying else "", False
            lie = self._liar.lie
            reason = self._reason()
            if self._liar.lied:
                lied += 1
                if reason.startswith("DATA_LOSS"):
                    outcome.detected[lie, reason] += 1
                else:
                    outcome.missed.append(f"{lie}: {reason or 'believed'}")
            elif reason:
                outcome.alarms.append(reason)
            else:
                accepted += 1
        return outcome._replace(honest=accepted)

    def status(self) -> admin_service_pb2.GetStatusResponse:
        """The proxy's status."""
        return self._proxy.admin.GetStatus(admin_service_pb2.GetStatusRequest())

    @contextmanager
    def ingesting(self) -> Iterator[None]:
        """Ingests in the background, within the block."""
        stopped = threading.Event()
        random = Random(self._random.random())

        def ingest() -> None:
            while not stopped.wait(0.01):
                self._proxy.ingest("wifi", _records(random, 3))
                self._liar.acknowledge()

        thread = threading.Thread(target=ingest)
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()

    def _reason(self) -> str:
        """Asks a random question; returns why it was refused, or ""."""
        try:
            self._random.choice([self._count, self._presence, self._query, self._series])()
        except grpc.RpcError as error:
            status, info, _ = refusal(error)
            return f"{status.name} {info.reason.removeprefix('ERROR_REASON_')}"
        return ""

    def _count(self) -> None:
        self._proxy.occupancy.Count(occupancy_service_pb2.CountRequest(interval=self._interval(), place=self._place()))

    def _series(self) -> None:
        step = Duration(seconds=1_800)
        list(self._proxy.occupancy.Series(occupancy_service_pb2.SeriesRequest(interval=self._interval(), step=step)))

    def _presence(self) -> None:
        request = presence_service_pb2.FindSessionsRequest(
            device=_device(self._random), interval=self._interval(), purpose="test"
        )
        list(self._proxy.presence.FindSessions(request))

    def _query(self) -> None:
        request = query_service_pb2.QueryRequest(dataset="wifi", interval=self._interval(), purpose="test")
        list(self._proxy.queries.Query(request))

    def _interval(self) -> Any:
        start = BEGIN + self._random.randrange(HOURS) * HOUR
        return interval(start, start + self._random.randrange(HOURS * HOUR))

    def _place(self) -> str:
        return self._random.choice(["", "ap-1", "ap-2"])


@contextmanager
def deception(folder: Path, seed: int) -> Iterator[Deception]:
    """A proxy without a cache, over a lying server, over a real one with SQLite, holding some records."""
    random = Random(seed)
    with (
        serving(f"sqlite:///{folder / 'cells.db'}") as storage,
        lying(storage.stub, Random(seed + 1)) as liar,
        proxying(folder / "home", liar.address, cache_bytes=0, compacts=False) as proxy,
    ):
        deceived = Deception(proxy, liar, random)
        deceived.fill(4)
        yield deceived


def _records(random: Random, count: int) -> list[dict[str, Any]]:
    return [
        {
            "client_mac": _device(random),
            "ap_name": f"ap-{random.randrange(4)}",
            "association_time": _iso(BEGIN + random.randrange(HOURS * HOUR)),
            "session_duration": str(random.choice([0, 60, 3_600, 40_000])),
        }
        for _ in range(count)
    ]


def _iso(millis: int) -> str:
    return datetime.fromtimestamp(millis / 1_000, UTC).isoformat(timespec="milliseconds")


def _device(random: Random) -> str:
    return f"00:00:00:00:00:{random.randrange(20):02x}"
