"""A private Apache Kafka (KRaft, one broker), started for a test or a benchmark.

Example:
    with Kafka() as kafka:
        topic = kafka.create_topic(partitions=4)
        producer = Producer({"bootstrap.servers": kafka.bootstrap})
        kafka.kill()                                 # SIGKILL, as in a crash
        kafka.restart()                              # on the same data and port
"""

from __future__ import annotations

import base64
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from confluent_kafka import KafkaException

from tests.services import kafka_jars
from tests.services.topics import Topics

_START_SECONDS = 90

# Small and quick to start: the broker is mostly idle, and shares two cores with the code under test.
_JAVA = ["java", "-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dlog4j2.level=WARN"]

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
log.dirs={data}

offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1

# A replayed log is old from the start: nothing may be deleted because of its age.
log.retention.ms=-1
num.partitions=4
# Larger than the megabyte that tests send as one malformed field.
message.max.bytes=4194304
log.cleaner.dedupe.buffer.size=4194304

# The controller refuses a killed broker until its session has ended, so sessions are short.
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=400
controlled.shutdown.enable=false
group.initial.rebalance.delay.ms=0
"""


class Kafka(Topics):
    """One broker, its own controller, with its own data directory and ports.

    A message that it has acknowledged survives SIGKILL: it is in the system's page cache.

    Args:
        properties: Further lines of its `server.properties`, such as `("log.segment.bytes=1048576",)`; they take
            precedence.
        root: Where to put the data directory; by default a temporary folder, removed at the end.
    """

    def __init__(self, *, properties: tuple[str, ...] = (), root: Path | None = None) -> None:
        self._properties = properties
        self._root = root or Path(tempfile.mkdtemp(prefix="kafka-"))
        self._owned = root is None
        self._process: subprocess.Popen[bytes] | None = None
        self.port, self._controller_port = free_ports(2)
        self.log = self._root / "kafka.log"
        super().__init__(f"127.0.0.1:{self.port}")

    def __enter__(self) -> Self:
        try:
            self._prepare()
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._owned:
            shutil.rmtree(self._root, ignore_errors=True)

    @property
    def pid(self) -> int:
        """The pid of the running broker."""
        return self._running().pid

    def start(self) -> None:
        """Starts the broker and returns once it responds."""
        command = [*self._java(self._class_archive_option()), "kafka.Kafka", str(self._configuration)]
        with self.log.open("ab") as log:
            # In its own session, so that Ctrl-C in a terminal does not stop it before those that use it.
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Kafka did not start:\n{self.log.read_text(errors='replace')[-4000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stops the broker gracefully."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=_START_SECONDS)
            self._process = None
            self._keep_class_archive()

    def kill(self) -> None:
        """Kills the broker, as a crash would."""
        self._running().kill()
        self._running().wait()
        self._process = None

    def restart(self) -> None:
        """Starts the broker again on the same data and port, after `kill` or while it runs."""
        self.stop()
        self.start()

    @property
    def _configuration(self) -> Path:
        return self._root / "server.properties"

    @property
    def _new_archive(self) -> Path:
        return self._root / "classes.jsa"

    def _prepare(self) -> None:
        ports = {"port": self.port, "controller_port": self._controller_port}
        lines = [_PROPERTIES.format(data=self._root / "data", **ports), *self._properties]
        self._configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")
        if (self._root / "data" / "meta.properties").exists():
            return  # formatted by an earlier run
        # As Kafka's own IDs: 128 bits, URL-safe.
        cluster = base64.urlsafe_b64encode(uuid4().bytes).decode().rstrip("=").replace("-", "_")
        tool = ["kafka.tools.StorageTool", "format", "--cluster-id", cluster, "--config"]
        formatted = subprocess.run(
            [*self._java(), *tool, str(self._configuration)], capture_output=True, timeout=_START_SECONDS
        )
        if formatted.returncode:
            raise RuntimeError(
                f"could not format Kafka's storage:\n{formatted.stderr.decode(errors='replace')[-4000:]}"
            )

    def _java(self, *options: str) -> list[str]:
        return [*_JAVA, *options, "-cp", f"{kafka_jars.fetch()}/*"]

    def _class_archive_option(self) -> str:
        """Starts from an archive of classes, in a third of the time, or creates one at the end of the run (JEP 350)."""
        archive = kafka_jars.class_archive()
        return (
            f"-XX:SharedArchiveFile={archive}" if archive.exists() else f"-XX:ArchiveClassesAtExit={self._new_archive}"
        )

    def _keep_class_archive(self) -> None:
        if self._new_archive.exists():
            archive = kafka_jars.class_archive()
            partial = archive.with_suffix(f".{uuid4().hex}")
            shutil.move(self._new_archive, partial)
            partial.rename(archive)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("expected a running Kafka, got a stopped one")
        return self._process

    def _answers(self) -> bool:
        try:
            # First, since librdkafka would wait longer and longer between attempts while the port is closed.
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return bool(self.admin().list_topics(timeout=1).brokers)
        except (OSError, KafkaException):
            return False


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on now."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
