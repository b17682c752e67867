"""The whole pipeline while its parts are killed: a log streams in, and in the end every record must be stored once.

Example:
    with Pipeline(folder) as pipeline:
        outcome = Crashes(pipeline, log, kills=10, seed=7).run()
        assert not outcome.faults
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol, Self

import pyarrow as pa

from privacyplease.client import Client
from privacyplease.ingest import wifi
from privacyplease.ingest.errors import IngestError
from privacyplease.ingest.kafka.producer import Producer
from privacyplease.ingest.kafka.replay import Replay
from tests.integration.known_answers import wrong_answers
from tests.services.consumer import ConsumerProcess, Progress
from tests.services.daemon import Daemon
from tests.services.kafka import Kafka, free_ports
from tests.services.mariadb import MariaDB
from tests.services.polling import eventually
from tests.services.sessions import longest

PARTS = ("consumer", "proxy", "server", "mariadb", "kafka")

# How long the stream takes per kill: the time that a part is down, its restart, and a while in which everything runs.
_SECONDS_A_KILL = 3.0
_PIECES_A_KILL = 10
_SETTLE_SECONDS = 150
_EVERYTHING = datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 12, 31, tzinfo=UTC)


class PipelinePart(Protocol):
    """A part that can be killed and started again."""

    def kill(self) -> None: ...
    def start(self) -> None: ...


class Pipeline:
    """Kafka, two consumers of one group, proxy, storage server and MariaDB, each a process of its own.

    Args:
        folder: Where logs and the proxy's home are put.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._running.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    def part(self, name: str, chance: random.Random) -> PipelinePart:
        """The part with a name; for "consumer", either of the two."""
        return chance.choice(self.consumers) if name == "consumer" else self._parts[name]

    @property
    def logs(self) -> str:
        """Everything that consumers, proxy and server have logged."""
        return "\n".join(file.read_text(errors="replace") for file in self._folder.glob("*.log"))

    def _start(self) -> None:
        enter = self._running.enter_context
        kafka, mariadb = enter(Kafka()), enter(MariaDB())
        self.bootstrap, self.topic = kafka.bootstrap, kafka.create_topic()
        storage, self.proxy = (f"127.0.0.1:{port}" for port in free_ports(2))
        server = enter(self._server(storage, mariadb.create_database("crashes")))
        proxy = enter(self._proxy(storage))
        self.client = enter(Client(self.proxy, insecure=True))
        if not eventually(self._serves, 60):
            raise RuntimeError(f"the proxy did not start:\n{proxy.log}")
        self.consumers = [enter(self._consumer(name)) for name in ("consumer-1", "consumer-2")]
        self._parts: dict[str, PipelinePart] = {"proxy": proxy, "server": server, "mariadb": mariadb, "kafka": kafka}

    def _server(self, address: str, url: str) -> Daemon:
        arguments = ["-m", "privacyplease.server", "--insecure", "--listen", address]
        return Daemon("server", arguments, self._folder, PRIVACYPLEASE_STORAGE=url)

    def _proxy(self, storage: str) -> Daemon:
        home = ["--home", str(self._folder / "home"), "--storage-server", storage]
        return Daemon("proxy", ["-m", "privacyplease.proxy", "--insecure", "--listen", self.proxy, *home], self._folder)

    def _consumer(self, name: str) -> ConsumerProcess:
        return ConsumerProcess(self._folder, self.proxy, self.bootstrap, self.topic, name=name)

    def _serves(self) -> bool:
        try:
            return self.client.status().storage.reachable
        except Exception:
            return False


class CrashOutcome(NamedTuple):
    """The outcome of a run.

    Attributes:
        killed: How often each part was killed.
        messages: How many messages were delivered to Kafka.
        faults: What is wrong; empty if nothing is.
    """

    killed: dict[str, int]
    messages: int
    faults: list[str]


class PipelineCrashes:
    """Kills parts at random times while a log streams in, and checks the answers at the end.

    Args:
        pipeline: The pipeline, running and empty.
        log: The log.
        kills: How many kills there are; each part gets an equal share.
        seed: The same seed kills the same parts after the same waits.
        say: Called with what happens.
    """

    def __init__(
        self, pipeline: Pipeline, log: Path, *, kills: int, seed: int, say: Callable[[str], object] = print
    ) -> None:
        self._pipeline = pipeline
        self._table = pa.concat_tables(block.table for block in wifi.read(log)).sort_by("association_time")
        self._kills = kills
        self._chance = random.Random(seed)
        self._say = say
        self._began = time.monotonic()
        self._over = threading.Event()
        self._passes = 0  # over the whole log
        self._sent = 0
        say(f"seed {seed}, {kills} kills, {len(self._table):,} sessions")

    def run(self) -> CrashOutcome:
        """Streams the log, kills parts, and checks what is stored."""
        stream = threading.Thread(target=self._stream, name="stream")
        stream.start()
        killed = dict.fromkeys(PARTS, 0)
        try:
            for name in self._victims():
                self._kill(name)
                killed[name] += 1
        finally:
            self._over.set()
            stream.join()
        return CrashOutcome(killed, self._sent, self._faults())

    def _victims(self) -> list[str]:
        share, rest = divmod(self._kills, len(PARTS))
        victims = [*PARTS * share, *self._chance.sample(PARTS, rest)]
        self._chance.shuffle(victims)
        return victims

    def _kill(self, name: str) -> None:
        time.sleep(self._chance.uniform(0.3, 2.5))
        part, down = self._pipeline.part(name, self._chance), self._chance.uniform(0, 1.5)
        part.kill()
        self._tell(f"{getattr(part, 'name', name)} killed, back in {down:.1f} s; {self._sent:,} messages sent")
        time.sleep(down)
        part.start()

    def _stream(self) -> None:
        """Streams the log, and again as long as parts are still being killed when it ends."""
        settings: dict[str, str | int] = {"bootstrap.servers": self._pipeline.bootstrap, "log_level": 0}
        while not (self._passes and self._over.is_set()):
            try:
                with Producer(self._pipeline.topic, settings) as producer:
                    self._pass(producer)
                self._passes += 1
            except IngestError as error:  # as a user would: repeating the stream changes no answer
                self._tell(f"the stream was interrupted and starts again: {error}")

    def _pass(self, producer: Producer) -> None:
        """Sends the log piece by piece at an even rate, and as fast as possible once nothing is killed any more."""
        pieces = self._kills * _PIECES_A_KILL
        size = -(-len(self._table) // pieces)
        for begin in range(0, len(self._table), size):
            piece = self._table.slice(begin, size)
            Replay([piece]).send(producer)
            self._sent += len(piece)
            if self._over.wait(_SECONDS_A_KILL / _PIECES_A_KILL) and self._passes:
                return

    def _faults(self) -> list[str]:
        progress = Progress(self._pipeline.bootstrap, self._pipeline.topic)
        if not eventually(progress.caught_up, _SETTLE_SECONDS):
            return [f"the consumers did not catch up: {progress.behind():,} messages behind"]
        self._tell(f"caught up with {self._sent:,} messages")
        codes = [consumer.stop() for consumer in self._pipeline.consumers]
        wrong = wrong_answers(self._pipeline.client)
        stored = self._pipeline.client.query("wifi", *_EVERYTHING, purpose="test").to_arrow()
        expected, found = longest(self._table), longest(stored)
        faults = {
            f"{len(wrong)} of 80 answers are wrong": bool(wrong),
            f"{len(expected - found):,} sessions are lost": bool(expected - found),
            f"{len(found - expected):,} sessions are not of the log": bool(found - expected),
            f"{len(stored) - len(found):,} sessions are there twice": len(stored) != len(found),
            "good sessions became dead letters": "made for dead letters" in self._pipeline.logs,
            f"the consumers ended with {codes}": any(codes),
        }
        return [fault for fault, holds in faults.items() if holds]

    def _tell(self, what: str) -> None:
        self._say(f"{time.monotonic() - self._began:6.1f} s  {what}")
