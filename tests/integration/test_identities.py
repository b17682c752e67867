"""Authentication: every kind of certificate at every service of both servers."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pyarrow as pa
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, ServiceDescriptorProto
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from privacyplease.client import AsyncClient, Client
from privacyplease.client.errors import CertificateError, StorageUnavailableError
from privacyplease.proxy.assembly.proxy import Proxy
from privacyplease.proxy.assembly.settings import ProxySettings
from privacyplease.proxy.certificates.authority import Subject
from privacyplease.proxy.edge import identity
from privacyplease.proxy.errors import ConfigurationError
from privacyplease.proxy.keys.home import Home
from privacyplease.server import Limits, build_server, open_store
from privacyplease.server.errors import StartError
from tests.services.certificates import Made, channel_with
from tests.services.storage import StorageProcess

DAY = datetime(2024, 10, 1, tzinfo=UTC), datetime(2024, 10, 2, tzinfo=UTC)
PASSPHRASE = "correct horse battery staple"

ALICE = Subject("alice", "client", identity=identity.client_uri("alice"))
PROXY = Subject("proxy", "client", identity=identity.PROXY)
HOPS = {"clients": ALICE, "storage": PROXY}
OTHER = {"clients": "storage", "storage": "clients"}
GOOD = {"clients": "clients/operator", "storage": "proxy-to-storage"}

Opening = Callable[[Made, str, str], grpc.Channel]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("installation"))


@pytest.fixture(scope="module")
def addresses(made: Made) -> Iterator[dict[str, str]]:
    """Both servers, as `certs` and `up` set them up; the address of each by its hop."""
    with _both(made) as found:
        yield found


@contextmanager
def _both(made: Made) -> Iterator[dict[str, str]]:
    with StorageProcess(f"sqlite:///{made.folder / 'cells.db'}", certificates=made["storage"]) as storage:
        proxy = _proxy(made, made.folder / "home", storage.address, made["proxy-to-storage"])
        address = f"127.0.0.1:{proxy.bind('127.0.0.1:0')}"
        proxy.start()
        try:
            yield {"clients": address, "storage": storage.address}
        finally:
            proxy.stop(0)


def _proxy(made: Made, home: Path, storage: str, storage_certificates: Path) -> Proxy:
    return Proxy(
        ProxySettings(
            Home(home),
            storage,
            PASSPHRASE,
            certificates=made["proxy"],
            storage_certificates=storage_certificates,
        )
    )


@pytest.fixture(scope="module")
def rpcs(made: Made, addresses: dict[str, str]) -> dict[str, list[str]]:
    """Every rpc of every service at each port, by its own reflection service."""
    found = {}
    for hop, address in addresses.items():
        with channel_with(address, made[GOOD[hop]]) as channel:
            found[hop] = [f"/{name}/{method}" for name in _services(channel) for method in _methods(channel, name)]
    return found


def _ask(channel: grpc.Channel, **asked: str) -> reflection_pb2.ServerReflectionResponse:
    request = reflection_pb2.ServerReflectionRequest(**asked)
    return next(reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([request])))


def _services(channel: grpc.Channel) -> list[str]:
    return [service.name for service in _ask(channel, list_services="").list_services_response.service]


def _methods(channel: grpc.Channel, service: str) -> list[str]:
    answer = _ask(channel, file_containing_symbol=service).file_descriptor_response
    files = [FileDescriptorProto.FromString(file) for file in answer.file_descriptor_proto]
    found: list[ServiceDescriptorProto] = [
        each for file in files for each in file.service if f"{file.package}.{each.name}" == service
    ]
    return [method.name for each in found for method in each.method]


def _plaintext(made: Made, hop: str, address: str) -> grpc.Channel:
    return grpc.insecure_channel(address)


def _without_a_certificate(made: Made, hop: str, address: str) -> grpc.Channel:
    return grpc.secure_channel(address, made.anonymous(hop))


def _of_the_other_zone(made: Made, hop: str, address: str) -> grpc.Channel:
    """A good certificate of the other hop, by a client that would trust this hop's server."""
    folder = made[GOOD[OTHER[hop]]]
    credentials = grpc.ssl_channel_credentials(
        made.ca(hop).certificate_pem(), (folder / "tls.key").read_bytes(), (folder / "tls.crt").read_bytes()
    )
    return grpc.secure_channel(address, credentials)


def _expired(made: Made, hop: str, address: str) -> grpc.Channel:
    return channel_with(address, _once(made, f"expired-{hop}", HOPS[hop], hop, days_ago=200))


def _of_another_ca(made: Made, hop: str, address: str) -> grpc.Channel:
    return channel_with(address, _once(made, f"foreign-{hop}", HOPS[hop], hop, other_ca=True))


def _of_a_server(made: Made, hop: str, address: str) -> grpc.Channel:
    subject = Subject("proxy", "server", ("localhost",), HOPS[hop].identity)
    return channel_with(address, _once(made, f"server-{hop}", subject, hop))


def _of_somebody_else(made: Made, hop: str, address: str) -> grpc.Channel:
    """A genuine client's certificate of this hop's CA, whose identity is not one that the hop is for."""
    return channel_with(address, _once(made, f"else-{hop}", HOPS[OTHER[hop]], hop))


def _of_nobody(made: Made, hop: str, address: str) -> grpc.Channel:
    """A genuine client's certificate without an identity, as a company's CA makes them for other ends."""
    return channel_with(address, _once(made, f"nobody-{hop}", Subject("printer", "client", ("printer.local",)), hop))


def _once(made: Made, name: str, subject: Subject, hop: str, days_ago: int = 0, other_ca: bool = False) -> Path:
    folder = made.folder / name
    return folder if folder.exists() else made.forged(name, subject, hop=hop, days_ago=days_ago, other_ca=other_ca)


CLOSED_OUT = [_plaintext, _without_a_certificate, _of_the_other_zone, _expired, _of_another_ca, _of_a_server]
REFUSED = [_of_somebody_else, _of_nobody]


def _status(channel: grpc.Channel, rpc: str) -> grpc.StatusCode:
    """The outcome of an empty request to an rpc, whatever its shape."""
    call = channel.stream_stream(rpc, request_serializer=bytes, response_deserializer=bytes)(iter([b""]), timeout=10)
    try:
        next(iter(call), None)
    except grpc.RpcError as error:
        return error.code()
    finally:
        call.cancel()
    return grpc.StatusCode.OK


@pytest.mark.parametrize("hop", HOPS)
def test_every_rpc_is_known_and_lets_in_the_right_certificate(
    hop: str, made: Made, addresses: dict[str, str], rpcs: dict[str, list[str]]
) -> None:
    services = {"clients": 16, "storage": 3}[hop]  # including health and reflection
    assert len({rpc.split("/")[1] for rpc in rpcs[hop]}) == services
    with channel_with(addresses[hop], made[GOOD[hop]]) as channel:
        kept_out = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAUTHENTICATED}
        assert not {_status(channel, rpc) for rpc in rpcs[hop]} & kept_out


@pytest.mark.parametrize("hop", HOPS)
@pytest.mark.parametrize("opening", CLOSED_OUT, ids=lambda opening: opening.__name__)
def test_no_rpc_is_reached_without_the_right_certificate(
    opening: Opening, hop: str, made: Made, addresses: dict[str, str], rpcs: dict[str, list[str]]
) -> None:
    with opening(made, hop, addresses[hop]) as channel:
        assert {_status(channel, rpc) for rpc in rpcs[hop]} == {grpc.StatusCode.UNAVAILABLE}


@pytest.mark.parametrize("hop", HOPS)
@pytest.mark.parametrize("opening", REFUSED, ids=lambda opening: opening.__name__)
def test_no_rpc_answers_a_genuine_certificate_of_another_identity(
    opening: Opening, hop: str, made: Made, addresses: dict[str, str], rpcs: dict[str, list[str]]
) -> None:
    with opening(made, hop, addresses[hop]) as channel:
        assert {_status(channel, rpc) for rpc in rpcs[hop]} == {grpc.StatusCode.UNAUTHENTICATED}


def test_the_client_reports_what_is_wrong_with_certificates(made: Made, addresses: dict[str, str]) -> None:
    address = addresses["clients"]
    expired = _once(made, "expired-clients", ALICE, "clients", days_ago=200)
    for folder, words in (
        (expired, "this client's certificate has expired"),
        (made["proxy-to-storage"], "is not trusted"),
    ):
        with Client(address, certificates=folder) as client, pytest.raises(CertificateError, match=words):
            client.count(*DAY)
    with Client(address, insecure=True) as client, pytest.raises(CertificateError):
        client.count(*DAY)
    nobody = _once(made, "nobody-clients", Subject("printer", "client", ("printer.local",)), "clients")
    with Client(addresses["clients"], certificates=nobody) as client, pytest.raises(CertificateError) as raised:
        client.count(*DAY)
    assert raised.value.reason == "ERROR_REASON_UNKNOWN_IDENTITY"
    with pytest.raises(CertificateError, match=r"expected tls\.crt"):
        Client(addresses["clients"], certificates=made.folder)


async def _count(address: str, certificates: Path) -> int:
    async with AsyncClient(address, certificates=certificates) as client:
        return await client.count(*DAY)


def test_the_async_client_shows_certificates_too(made: Made, addresses: dict[str, str]) -> None:
    assert asyncio.run(_count(addresses["clients"], made["clients/operator"])) == 0
    with pytest.raises(CertificateError):
        asyncio.run(_count(addresses["clients"], made["storage"]))


def test_a_proxy_with_the_wrong_certificate_reports_it(made: Made, addresses: dict[str, str], tmp_path: Path) -> None:
    expired = _once(made, "expired-storage", PROXY, "storage", days_ago=200)
    proxy = _proxy(made, tmp_path / "home", addresses["storage"], expired)
    address = f"127.0.0.1:{proxy.bind('127.0.0.1:0')}"
    proxy.start()
    try:
        with Client(address, certificates=made["clients/operator"]) as client:
            assert not client.status().storage.reachable
            with pytest.raises(StorageUnavailableError, match="rejected the proxy's certificate"):
                list(client.ingest("wifi", [_session()], retry=lambda error, failures: None))
    finally:
        proxy.stop(0)


def _session() -> pa.Table:
    return pa.table(
        {
            "client_mac": ["02:00:00:00:00:01"],
            "ap_name": ["ap-1"],
            "association_time": pa.array([DAY[0]], pa.timestamp("ms", "UTC")),
            "session_duration": pa.array([60_000], pa.duration("ms")),
        }
    )


def test_renewed_certificates_are_loaded_without_a_restart(tmp_path: Path) -> None:
    made, other = (Made(_folder(tmp_path / name)) for name in ("made", "other"))
    with _both(made) as addresses, Client(addresses["clients"], certificates=made["clients/operator"]) as client:
        list(client.ingest("wifi", [_session()]))
        with _watching(addresses["clients"], made["clients/operator"]) as running:
            old = _copied(made["clients/operator"], tmp_path / "old")
            for name in ("storage", "proxy-to-storage", "proxy", "clients/operator"):
                _overwrite(made[name], other[name])  # the CAs are replaced, too: the old certificates are useless now
            assert client.count(*DAY) == 1
            with Client(addresses["clients"], certificates=old) as late, pytest.raises(CertificateError):
                late.count(*DAY)
            with channel_with(addresses["storage"], made["proxy-to-storage"]) as channel:
                assert _services(channel)
            assert running.is_active()


def test_a_renewed_certificate_is_the_one_that_is_shown(tmp_path: Path) -> None:
    made = Made(_folder(tmp_path / "made"))
    with _both(made) as addresses:
        for hop, name in (("clients", "proxy"), ("storage", "storage")):
            before = _shown(made, hop, addresses[hop])
            assert _shown(made, hop, addresses[hop]) == before
            made.certificates.renew(name, datetime.now(UTC))
            assert _shown(made, hop, addresses[hop]) != before


def test_unusable_files_leave_the_previous_certificates_in_force(tmp_path: Path) -> None:
    made = Made(_folder(tmp_path / "made"))
    with _both(made) as addresses, Client(addresses["clients"], certificates=made["clients/operator"]) as client:
        before = {hop: _shown(made, hop, addresses[hop]) for hop in HOPS}
        for name in ("proxy", "storage"):
            (made[name] / "tls.crt").write_text("half a certificate")
        (made["clients/operator"] / "tls.key").unlink()
        (made["proxy-to-storage"] / "ca.crt").write_text("")
        assert before == {hop: _shown(made, hop, addresses[hop]) for hop in HOPS}
        assert client.status().storage.reachable


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _copied(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to)
    return to


def _overwrite(folder: Path, source: Path) -> None:
    for file in source.iterdir():
        shutil.copy(file, folder / file.name)


@contextmanager
def _watching(address: str, folder: Path) -> Iterator[grpc.Call]:
    """A stream that keeps running."""
    with channel_with(address, folder) as channel:
        stream = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(stream).status == health_pb2.HealthCheckResponse.SERVING
        yield stream
        stream.cancel()


def _shown(made: Made, hop: str, address: str) -> bytes | None:
    """The certificate that a server currently shows."""
    context = ssl.create_default_context(cafile=made["authorities"] / hop / "ca.crt")
    context.set_alpn_protocols(["h2"])
    host, port = address.split(":")
    with socket.create_connection((host, int(port))) as plain, context.wrap_socket(plain, server_hostname=host) as tls:
        return tls.getpeercert(binary_form=True)


@pytest.mark.parametrize("listen", ["0.0.0.0:1", "[::]:1", "proxy.example.org:1"])
def test_plaintext_is_refused_beyond_loopback(listen: str, tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'cells.db'}", Limits(), connections=1)
    with pytest.raises(StartError, match="loopback"):
        build_server(store, Limits()).bind(listen)
    store.close()
    with pytest.raises(ConfigurationError, match="loopback"):
        Proxy(ProxySettings(Home(tmp_path / "home"), "127.0.0.1:1", PASSPHRASE)).bind(listen)
    with pytest.raises(ConfigurationError, match="loopback"):
        Proxy(ProxySettings(Home(tmp_path / "home"), listen, PASSPHRASE))
    with pytest.raises(ValueError, match="loopback"):
        Client(listen, insecure=True)


def test_plaintext_must_be_requested_explicitly() -> None:
    with pytest.raises(ValueError, match="insecure=True"):
        Client("127.0.0.1:1")
    for module, *flags in (
        ("privacyplease.server", "--storage", "sqlite:///cells.db"),
        ("privacyplease.proxy", "--storage-server", "127.0.0.1:1", "--home", "home"),
    ):
        ended = subprocess.run([sys.executable, "-m", module, *flags], capture_output=True, text=True)
        assert ended.returncode == 2
        assert "--certificates --insecure is required" in ended.stderr
