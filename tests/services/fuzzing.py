"""Both servers under fire: what nobody would send goes to every rpc and to both ports, and nothing may come of it.

Example:
    with targets(folder) as fired_at:
        assert not Fuzz(fired_at, seed=7).run(calls=1_000, connections=100).faults
"""

from __future__ import annotations

import random
import re
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Container, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pyarrow as pa
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from grpc.experimental import ChannelOptions
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from privacyplease.client import Client
from privacyplease.proxy.assembly.contracts import CONTRACTS
from privacyplease.proxy.v1 import keys_service_pb2
from privacyplease.storage.v1 import storage_service_pb2
from privacyplease.storage.v1.storage_service_pb2_grpc import StorageServiceStub
from tests.services.cells import append, ascending, cell, channel_to, select
from tests.services.certificates import Made
from tests.services.daemon import Daemon
from tests.services.polling import eventually
from tests.services.random_messages import AT, Messages
from tests.services.storage import StorageProcess

THREADS = 4
CHUNK = 200
_HONEST = "aa:bb:cc:dd:ee:ff"
_CALL_SECONDS = 60.0
_HEALTH_SECONDS = 15.0

# What no status may hold: a stack, a path, a repr, a word of a library; or what gRPC says of one that is too long.
_INSIDES = re.compile(
    r"Traceback|File \"|\.py\b|/usr/|/home/|/work|object at 0x|<class|Exception|b'\\x|sqlalchemy|pymysql|metadata size"
)
# What no line of a log should say.
_FAULT = re.compile("Traceback|internal fault|unexpected ")

# Argon2id takes half a second. All but a few of the requests that would come so far name something that is not there.
_DEAR = {
    "RotateMaster": keys_service_pb2.RotateMasterRequest(master_key="nobody").SerializeToString(),
    "ExportKeyring": keys_service_pb2.ExportKeyringRequest(dataset="none").SerializeToString(),
}
_DEAR_SHARE = 0.02

# Nothing that a client sends makes the servers fail; and both are up.
_FAULTY = {
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DATA_LOSS,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
}


class Target(NamedTuple):
    """A server under fire."""

    name: str
    address: str
    pid: int
    services: list[ServiceDescriptor]
    tls: bool
    home: Path | None = None


class Targets(NamedTuple):
    """All servers, and what they must still answer afterwards."""

    all: list[Target]
    answers: Callable[[], list[str]]
    logs: Callable[[], str]


@dataclass
class Outcome:
    """What came of it.

    Attributes:
        statuses: How often each service answered with each status.
        faults: What must not be.
        lines: Figures of each chunk, for people.
    """

    statuses: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


@contextmanager
def targets(folder: Path) -> Iterator[Targets]:
    """A storage server, a proxy over another one, and the two once more over TLS, with a few honest records."""
    reflection = reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"]
    standard = [health_pb2.DESCRIPTOR.services_by_name["Health"], reflection]
    storage_services = [storage_service_pb2.DESCRIPTOR.services_by_name["StorageService"], *standard]
    services = [service for file in CONTRACTS for service in file.services_by_name.values()]
    destroying = [service for service in services if service.name == "KeysService"]
    proxy_services = [service for service in services if service not in destroying]
    made = Made(folder)
    with ExitStack() as running:
        enter = running.enter_context
        thrown_away = enter(StorageProcess(f"sqlite:///{folder}/thrown_away.db"))
        behind = enter(StorageProcess(f"sqlite:///{folder}/behind.db"))
        secret = enter(StorageProcess(f"sqlite:///{folder}/tls.db", certificates=made["storage"]))
        proxy, address = _proxy(running, folder, "proxy", "--storage-server", behind.address, "--insecure")
        lost, lost_at = _proxy(running, folder, "lost-proxy", "--storage-server", thrown_away.address, "--insecure")
        shown = ["--certificates", str(made["proxy"]), "--storage-certificates", str(made["proxy-to-storage"])]
        guarded, guarded_at = _proxy(running, folder, "tls-proxy", "--storage-server", secret.address, *shown)
        cells = [cell() for _ in range(50)]
        channel = enter(channel_to(thrown_away.address))
        append(StorageServiceStub(channel), *cells)
        client = enter(Client(address, insecure=True))
        list(client.ingest("wifi", [_honest()]))

        def answers() -> list[str]:
            wrong = []
            if select(StorageServiceStub(channel), *[one.tag for one in cells]) != ascending(cells):
                wrong.append("the storage server's cells are not those that were stored")
            presence = client.presence(
                _HONEST, datetime.fromtimestamp(AT, UTC), datetime.fromtimestamp(AT + 900, UTC), purpose="fuzzing"
            )
            if list(presence.sessions.places) != ["north door"]:
                wrong.append("the proxy's answer is not that of the records")
            return wrong

        yield Targets(
            [
                Target("storage", thrown_away.address, thrown_away.pid, storage_services, tls=False),
                Target("proxy", address, proxy.pid, proxy_services, tls=False, home=folder / "proxy-home"),
                Target("proxy without records", lost_at, lost.pid, destroying, tls=False),
                Target("storage over TLS", secret.address, secret.pid, [], tls=True),
                Target("proxy over TLS", guarded_at, guarded.pid, [], tls=True),
            ],
            answers,
            lambda: "\n".join([thrown_away.log, behind.log, secret.log, proxy.log, lost.log, guarded.log]),
        )


def _proxy(running: ExitStack, folder: Path, name: str, *flags: str) -> tuple[Daemon, str]:
    file = folder / f"{name}.address"
    arguments = ["-m", "privacyplease.proxy", "--listen", "127.0.0.1:0", "--home", str(folder / f"{name}-home")]
    proxy = running.enter_context(Daemon(name, [*arguments, "--address-file", str(file), *flags], folder))
    if not eventually(file.exists, 60):
        raise RuntimeError(f"the proxy did not start:\n{proxy.log}")
    return proxy, file.read_text().strip()


def _honest() -> pa.Table:
    start = datetime.fromtimestamp(AT + 60, UTC).isoformat()
    return pa.table(
        {
            "client_mac": [_HONEST],
            "ap_name": ["north door"],
            "association_time": [start],
            "session_duration": ["60"],
        }
    )


class Fuzz:
    """Fires."""

    def __init__(self, at: Targets, seed: int, say: Callable[[str], object] = lambda _: None) -> None:
        self._targets = at
        self._seed = seed
        self._say = say
        self._lock = threading.Lock()
        self._outcome = Outcome()

    def run(self, calls: int, connections: int, only: Container[str] = ()) -> Outcome:
        """Sends `calls` to each service, then opens `connections` to each port, then asks the honest questions.

        Args:
            calls: To each service.
            connections: Of noise, to each port.
            only: Names of the services to call, as "KeysService"; all by default.
        """
        before = {target.name: Footprint.of(target.pid) for target in self._targets.all}
        for target in self._targets.all:
            for service in target.services:
                if not only or service.name in only:
                    self._service(target, service, calls)
        for target in self._targets.all:
            self._connections(target, connections)
        self._outcome.faults += self._targets.answers()
        self._outcome.faults += [f"a log: {line}" for line in self._targets.logs().splitlines() if _FAULT.search(line)]
        for target in self._targets.all:
            self._footprint(target, before[target.name])
        return self._outcome

    def _service(self, target: Target, service: ServiceDescriptor, calls: int) -> None:
        began = time.monotonic()
        with ThreadPoolExecutor(THREADS) as threads:
            for begin in range(0, calls, CHUNK):
                size = min(CHUNK, calls - begin)
                parts = [(size + part) // THREADS for part in range(THREADS)]
                jobs = [
                    threads.submit(self._calls, target, service, f"{self._seed} {service.full_name} {begin} {n}", part)
                    for n, part in enumerate(parts)
                ]
                for job in jobs:
                    job.result()
                self._healthy(target, f"{service.name} call {begin + size:,}")
                _forget_log(target)
        seconds = time.monotonic() - began
        self._say(
            f"{service.name}: {calls:,} calls in {seconds:.0f} s ({calls / seconds:,.0f}/s); {self._told(service)}"
        )
        self._say(f"  {target.name}: {Footprint.of(target.pid)}")

    def _told(self, service: ServiceDescriptor) -> str:
        counts = {status: times for (name, status), times in self._outcome.statuses.items() if name == service.name}
        return ", ".join(f"{status} {times:,}" for status, times in sorted(counts.items()))

    def _calls(self, target: Target, service: ServiceDescriptor, seed: str, calls: int) -> None:
        chance = random.Random(seed)
        messages = Messages(chance)
        methods = list(service.methods)
        options = [
            ("grpc.max_receive_message_length", -1),
            ("grpc.enable_retries", 0),
            (ChannelOptions.SingleThreadedUnaryStream, 1),
        ]
        with grpc.insecure_channel(target.address, options) as channel:
            for number in range(calls):
                method = chance.choice(methods)
                code, details, trailers = _call(channel, service, method, messages, chance)
                with self._lock:
                    self._outcome.statuses[service.name, code.name] += 1
                    if code in _FAULTY or _INSIDES.search(details) or _INSIDES.search(trailers):
                        self._outcome.faults.append(f"{method.full_name}, {seed}, {number}: {code.name} {details}")

    def _connections(self, target: Target, connections: int) -> None:
        chance = random.Random(f"{self._seed} {target.name}")
        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(lambda n: _noise(target, random.Random(f"{self._seed} {n}")), range(connections)))
        with ExitStack() as open_:
            for _ in range(min(connections, 200)):  # half open, and left so while others ask
                connection = open_.enter_context(socket.create_connection(_where(target)))
                connection.sendall(_PREFACE[: chance.randrange(len(_PREFACE))])
            if not target.tls:
                open_.enter_context(_slow(target, chance))
            self._healthy(target, "half-open connections")
        self._healthy(target, f"{connections:,} connections")
        self._say(f"{target.name}: {connections:,} connections of noise; {Footprint.of(target.pid)}")

    def _healthy(self, target: Target, after: str) -> None:
        if target.tls:
            healthy = _accepts(target)
        else:
            with channel_to(target.address) as channel:
                healthy = _serves(channel)
        if not healthy:
            with self._lock:
                self._outcome.faults.append(f"{target.name} is not well after {after}")

    def _footprint(self, target: Target, before: Footprint) -> None:
        eventually(lambda: Footprint.of(target.pid).files <= before.files + 20, 10)
        after = Footprint.of(target.pid)
        self._outcome.lines.append(f"{target.name}: {before} before, {after} after")
        grown = after.files > before.files + 20, after.threads > before.threads + 150, after.mebibytes > 1_000
        if any(grown):
            self._outcome.faults.append(f"{target.name} has grown: {before} before, {after} after")


class Footprint(NamedTuple):
    """What a process takes."""

    mebibytes: int
    threads: int
    files: int

    @classmethod
    def of(cls, pid: int) -> Footprint:
        """That of a process of ours."""
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        if "VmRSS" not in status:
            raise RuntimeError("a server has crashed")
        return cls(
            int(status["VmRSS"].split()[0]) >> 10, int(status["Threads"]), len(list(Path(f"/proc/{pid}/fd").iterdir()))
        )

    def __str__(self) -> str:
        return f"{self.mebibytes:,} MiB, {self.threads} threads, {self.files} files"


def _call(
    channel: grpc.Channel, service: ServiceDescriptor, method: MethodDescriptor, make: Messages, chance: random.Random
) -> tuple[grpc.StatusCode, str, str]:
    path = f"/{service.full_name}/{method.name}"
    if chance.random() < 0.01:
        path += chance.choice(["x", "/..", "\u00e5", "/" * 50])
    metadata = [(f"x-{n}", chance.choice(["", "a" * 500, "1"])) for n in range(chance.choice([0, 0, 0, 0, 1, 5]))]
    several = chance.randrange(1, 6) if method.client_streaming else chance.choice([1] * 30 + [0, 2])
    octets = [make.bytes_for(method.input_type) for _ in range(several)]
    if method.name in _DEAR and chance.random() > _DEAR_SHARE:
        octets = [sent + _DEAR[method.name] for sent in octets]
    # Whatever the method's own shape: so that none, or two, can be sent where one is expected. One by itself takes a
    # third of the time, for gRPC starts two threads for each stream of requests.
    one = len(octets) == 1
    shape: Any
    asked, shape = (octets[0], channel.unary_stream) if one else (iter(octets), channel.stream_stream)
    call: Any = shape(path)(asked, timeout=_CALL_SECONDS, metadata=metadata)
    try:
        watching = method.name == "Watch"
        for _ in call:
            if watching:
                return grpc.StatusCode.OK, "", ""
        return grpc.StatusCode.OK, "", ""
    except grpc.RpcError:
        values = [value for _, value in call.trailing_metadata() or ()]
        trailers = " ".join(value if isinstance(value, str) else value.decode("latin-1") for value in values)
        return call.code(), call.details() or "", trailers
    finally:
        call.cancel()


def _forget_log(target: Target) -> None:
    """Deletes the audit log, which AuditService reads from its beginning each time."""
    for file in (target.home / "audit").glob("*.jsonl") if target.home else ():
        file.unlink()


_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def _where(target: Target) -> tuple[str, int]:
    host, _, port = target.address.rpartition(":")
    return host, int(port)


def _noise(target: Target, chance: random.Random) -> None:
    """One connection: bytes, frames, or the beginning of TLS; then it is closed, or reset."""
    with socket.create_connection(_where(target), timeout=5) as connection:
        try:
            connection.sendall(chance.choice([_bytes, _frames, _frames, _hello, _http])(chance))
            connection.settimeout(0.02)
            connection.recv(4_096)
        except OSError:
            pass  # the server may close at any time
        if chance.random() < 0.3:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # closes with a reset


def _bytes(chance: random.Random) -> bytes:
    return chance.randbytes(chance.choice([1, 10, 1_000, 50_000]))


def _http(_: random.Random) -> bytes:
    return b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n"


def _frames(chance: random.Random) -> bytes:
    """The preface, SETTINGS, and frames of any type (RFC 9113, section 6) whose lengths may lie."""
    sent = _PREFACE + b"\0\0\0\x04\0\0\0\0\0"
    for _ in range(chance.randrange(1, 20)):
        payload = chance.randbytes(chance.randrange(0, 60))
        length = len(payload) if chance.random() < 0.8 else chance.randrange(1 << 24)
        head = length.to_bytes(3, "big") + bytes([chance.randrange(12), chance.randrange(256)])
        sent += head + chance.choice([0, 1, 3, 5, (1 << 31) - 1]).to_bytes(4, "big") + payload
    return sent


def _hello(chance: random.Random) -> bytes:
    """A ClientHello, whole or damaged."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    hello = bytearray(outgoing.read())
    for _ in range(chance.choice([0, 1, 20])):
        hello[chance.randrange(len(hello))] = chance.randrange(256)
    return bytes(hello[: chance.randrange(1, len(hello) + 1)])


@contextmanager
def _slow(target: Target, chance: random.Random) -> Iterator[None]:
    """Calls that are begun and never sent a message: more than a pool of any sensible size would stand."""
    over = threading.Event()

    def nothing() -> Iterator[bytes]:
        over.wait()
        yield from ()

    methods = [f"/{service.full_name}/{method.name}" for service in target.services for method in service.methods]
    with channel_to(target.address) as channel:
        calls = [channel.stream_stream(chance.choice(methods), None, None)(nothing()) for _ in range(100)]
        try:
            yield
        finally:
            over.set()
            for call in calls:
                call.cancel()


def _serves(channel: grpc.Channel) -> bool:
    stub = health_pb2_grpc.HealthStub(channel)
    deadline = time.monotonic() + _HEALTH_SECONDS
    while time.monotonic() < deadline:
        try:
            answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=_HEALTH_SECONDS)
        except grpc.RpcError:
            time.sleep(0.1)
        else:
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
    return False


def _accepts(target: Target) -> bool:
    """Whether it still speaks TLS; which certificates it accepts is tested elsewhere."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        with (
            socket.create_connection(_where(target), timeout=_HEALTH_SECONDS) as plain,
            context.wrap_socket(plain) as connection,
        ):
            return connection.version() == "TLSv1.3"
    except OSError:
        return False
