"""SIGTERM in the middle of work: what was acknowledged is there, what was asked is answered, the rest goes on."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pyarrow as pa
import pytest
from confluent_kafka import Producer
from grpc_health.v1 import health_pb2, health_pb2_grpc

from privacyplease.client import Ack, Client
from privacyplease.proxy.v1 import ingest_service_pb2_grpc
from privacyplease.proxy.v1.ingest_service_pb2 import IngestRequest
from tests.services.cells import channel_to, refusal
from tests.services.consumer import ConsumerProcess, Progress
from tests.services.daemon import Daemon
from tests.services.kafka import Kafka, free_ports
from tests.services.polling import eventually
from tests.services.proxy import arrow_batch
from tests.services.storage import StorageProcess

DAY = datetime(2024, 10, 1, tzinfo=UTC), datetime(2024, 10, 2, tzinfo=UTC)


def batch(number: int) -> pa.Table:
    """One record, of a device that no other batch has."""
    return pa.table(
        {
            "client_mac": [f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}"],
            "ap_name": ["north door"],
            "association_time": ["2024-10-01T08:00:00Z"],
            "session_duration": ["60"],
        }
    )


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[StorageProcess]:
    with StorageProcess(f"sqlite:///{tmp_path}/cells.db") as server:
        yield server


@pytest.fixture
def proxy(tmp_path: Path, storage: StorageProcess) -> Iterator[tuple[Daemon, str]]:
    address = f"127.0.0.1:{free_ports(1)[0]}"
    flags = ["--insecure", "--listen", address, "--storage-server", storage.address, "--home", str(tmp_path / "home")]
    with Daemon("proxy", ["-m", "privacyplease.proxy", *flags, "--lame-duck-seconds=0.5"], tmp_path) as running:
        assert eventually(lambda: serves(address), 60), running.log
        yield running, address


def serves(address: str) -> bool:
    with channel_to(address) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
        except grpc.RpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def test_an_ingest_goes_on_where_it_was_when_its_proxy_is_stopped_and_started(proxy: tuple[Daemon, str]) -> None:
    running, address = proxy
    half, back = threading.Event(), threading.Event()

    def batches() -> Iterator[pa.Table]:
        for number in range(200):
            if number == 100:
                half.set()
                back.wait(60)
            yield batch(number)

    acknowledged: list[Ack] = []
    questions: list[object] = []

    def ask(client: Client) -> None:
        while not back.is_set():
            try:
                questions.append(client.count(*DAY))
            except Exception as error:  # judged below
                questions.append(error)
                return

    with Client(address, insecure=True) as client:
        sender = threading.Thread(target=lambda: acknowledged.extend(client.ingest("wifi", batches())))
        asker = threading.Thread(target=ask, args=(client,))
        sender.start()
        asker.start()
        assert half.wait(60)
        assert running.stop() == 0
        running.start()
        assert eventually(lambda: serves(address), 60)
        back.set()
        sender.join(60)
        asker.join(60)
        assert sum(ack.accepted for ack in acknowledged) == 200
        assert client.count(*DAY) == 200
    assert "internal fault" not in running.log
    assert "Traceback" not in running.log
    assert all(isinstance(answer, int) or "InternalError" not in type(answer).__name__ for answer in questions)


def test_a_consumer_goes_on_when_its_proxy_is_stopped_and_started(
    proxy: tuple[Daemon, str], kafka: Kafka, tmp_path: Path
) -> None:
    running, address = proxy
    topic, flags = kafka.create_topic(), ("--flush-records", "10")
    progress = Progress(kafka.bootstrap, topic)
    producer = Producer({"bootstrap.servers": kafka.bootstrap})

    def send(numbers: range) -> None:
        for number in numbers:
            producer.produce(topic, session(number), partition=0)
        assert producer.flush(30) == 0

    send(range(200))
    with (
        ConsumerProcess(tmp_path, address, kafka.bootstrap, topic, *flags) as consumer,
        Client(address, insecure=True) as client,
    ):
        assert eventually(lambda: client.count(*DAY) > 0, 60)
        send(range(200, 400))
        assert running.stop() == 0
        send(range(400, 600))
        os.kill(consumer.pid, signal.SIGSTOP)  # so that what is committed stays comparable with what is stored
        committed = 600 - progress.behind()
        running.start()
        assert eventually(lambda: serves(address), 60)
        assert committed <= client.count(*DAY) <= 400
        os.kill(consumer.pid, signal.SIGCONT)
        # Forty flushes and commits, and perhaps a rebalance after the pause: on a busy machine that takes minutes.
        assert eventually(progress.caught_up, 300)
        assert client.count(*DAY) == 600
        assert consumer.stop() == 0
    assert "Traceback" not in consumer.log + running.log
    kafka.delete_topic(topic)


def session(number: int) -> bytes:
    """A line of the stream form, of a device that no other has."""
    fields = ["", f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}", "2024-10-01T08:00:00Z", "", "north door"]
    return "\t".join([*fields, *[""] * 6, "60", "", ""]).encode()


def test_a_stream_is_told_that_the_proxy_stops_after_all_that_was_read_is_acknowledged(
    proxy: tuple[Daemon, str],
) -> None:
    running, address = proxy
    over = threading.Event()

    def requests() -> Iterator[IngestRequest]:
        for number in range(20):
            yield arrow_batch("wifi", number, batch(number))
        over.wait(60)

    with channel_to(address) as channel:
        watched = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watched).status == health_pb2.HealthCheckResponse.SERVING
        stream = ingest_service_pb2_grpc.IngestServiceStub(channel).Ingest(requests())
        assert next(iter(stream)).sequence == 0
        stopping = threading.Thread(target=running.stop)
        stopping.start()
        try:
            assert next(watched).status == health_pb2.HealthCheckResponse.NOT_SERVING
            with pytest.raises(grpc.RpcError) as caught:
                list(stream)
        finally:
            over.set()
            stopping.join()
    code, info, _ = refusal(caught.value)
    assert (code, info.reason) == (grpc.StatusCode.UNAVAILABLE, "ERROR_REASON_STOPPING")


def test_a_second_signal_ends_it_at_once(tmp_path: Path, storage: StorageProcess) -> None:
    address = f"127.0.0.1:{free_ports(1)[0]}"
    flags = ["--insecure", "--listen", address, "--storage-server", storage.address, "--home", str(tmp_path / "home")]
    with Daemon("proxy", ["-m", "privacyplease.proxy", *flags, "--lame-duck-seconds=600"], tmp_path) as running:
        assert eventually(lambda: serves(address), 60)
        os.kill(running.pid, signal.SIGTERM)
        assert eventually(lambda: "stopping" in running.log, 10)
        assert running.stop() == -signal.SIGTERM
