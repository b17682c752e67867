"""What is wrong with a certificate is said in full, though gRPC does not say it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest

from privacyplease.client import AsyncClient, Client
from privacyplease.client._internal.connection import handshake
from privacyplease.client.errors import CertificateError
from privacyplease.proxy.certificates.authority import Subject
from privacyplease.transport.credentials import server_credentials
from tests.services.certificates import Made

DAY = datetime(2024, 10, 1, tzinfo=UTC), datetime(2024, 10, 2, tzinfo=UTC)
ANY_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
DATES = f"expected a time from {ANY_TIME} to {ANY_TIME}, this machine's clock says {ANY_TIME}"


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A server with the certificate in a folder, and no service."""
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_secure_port("127.0.0.1:0", server_credentials(folder, CertificateError))
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


def blocking(address: str, folder: Path) -> None:
    with Client(address, certificates=folder) as client:
        client.count(*DAY)


def asynchronous(address: str, folder: Path) -> None:
    async def count() -> None:
        async with AsyncClient(address, certificates=folder) as client:
            await client.count(*DAY)

    asyncio.run(count())


@pytest.mark.parametrize("count", [blocking, asynchronous])
def test_a_certificate_for_other_names_is_reported_with_the_names(
    made: Made, count: Callable[[str, Path], None]
) -> None:
    other = made.forged("other", Subject("proxy", "server", ("proxy.example.org", "10.0.0.1")), hop="clients")
    with serving(other) as address, pytest.raises(CertificateError) as raised:
        count(address, made["clients/operator"])
    assert str(raised.value) == (
        "the proxy's certificate is for another name: expected 127.0.0.1, got proxy.example.org, 10.0.0.1"
    )


@pytest.mark.parametrize(("days_ago", "verdict"), [(200, "has expired"), (-20, "is not yet valid")])
@pytest.mark.parametrize("count", [blocking, asynchronous])
def test_a_proxys_certificate_that_is_out_of_date_is_reported_with_its_dates_and_our_clock(
    made: Made, count: Callable[[str, Path], None], days_ago: int, verdict: str
) -> None:
    subject = Subject("proxy", "server", ("127.0.0.1",))
    dated = made.forged("dated", subject, hop="clients", days_ago=days_ago)
    words = f"the proxy's certificate {verdict}: {DATES}"
    with serving(dated) as address, pytest.raises(CertificateError, match=words):
        count(address, made["clients/operator"])


@pytest.mark.parametrize(("days_ago", "verdict"), [(200, "has expired"), (-20, "is not yet valid")])
def test_a_clients_certificate_that_is_out_of_date_is_reported_with_its_dates_and_our_clock(
    made: Made, days_ago: int, verdict: str
) -> None:
    subject = Subject("alice", "client", identity="privacyplease://client/alice")
    dated = made.forged("dated", subject, hop="clients", days_ago=days_ago)
    words = f"this client's certificate {verdict}: {DATES}"
    with serving(made["proxy"]) as address, pytest.raises(CertificateError, match=words):
        blocking(address, dated)


def test_a_proxy_that_says_nothing_is_given_up_in_time(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshake, "_TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        assert handshake.proxy_out_of_date(address, made["clients/operator"]) == ""
        assert "expected 127.0.0.1" in handshake.wrong_name(address, made["clients/operator"])
