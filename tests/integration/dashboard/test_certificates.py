"""Login by a client certificate: who TLS says it is, is logged in, and nobody else."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.services.dashboard import dashboard
from tests.services.stack import Stack, stack


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with stack(f"sqlite:///{tmp_path_factory.mktemp('store')}/cells.db") as running:
        policy = running.home / "proxy" / "policy.toml"
        policy.write_text(policy.read_text() + '[clients.counter]\nroles = ["count"]\n')
        yield running


@pytest.fixture(scope="module")
def address(running: Stack) -> Iterator[str]:
    with dashboard(running.home, "--tls", str(running.home / "certificates" / "proxy")) as address:
        yield address


def get(address: str, path: str, certificate: Path | None, ca: Path) -> http.client.HTTPResponse:
    context = ssl.create_default_context(cafile=str(ca / "ca.crt"))
    if certificate:
        context.load_cert_chain(certificate / "tls.crt", certificate / "tls.key")
    connection = http.client.HTTPSConnection(urlsplit(address).netloc, context=context, timeout=30)
    connection.request("GET", path, headers={"privacyplease.client": "operator", "Privacyplease-Client": "operator"})
    return connection.getresponse()


def folder_of(running: Stack, name: str) -> Path:
    folder = running.home / "certificates" / "clients" / name
    if not folder.exists():
        running.command("certs", "issue", name)
    return folder


def test_the_name_in_the_certificate_is_who_is_logged_in(running: Stack, address: str) -> None:
    response = get(address, "/now", folder_of(running, "counter"), folder_of(running, "operator"))
    page = response.read().decode()
    assert response.status == 200
    assert '<span class="who">counter</span>' in page
    assert "Log out" not in page  # the browser would show the certificate again
    assert get(address, "/system", folder_of(running, "counter"), folder_of(running, "operator")).status == 403
    system = get(address, "/system", folder_of(running, "operator"), folder_of(running, "operator"))
    assert system.status == 200
    assert "nothing came in since the proxy started" in system.read().decode()


def test_whoever_shows_no_certificate_has_to_log_in(running: Stack, address: str) -> None:
    response = get(address, "/now", None, folder_of(running, "operator"))
    assert (response.status, response.headers["Location"]) == (302, "/login")
    form = get(address, "/login", None, folder_of(running, "operator"))
    assert form.headers["Set-Cookie"].startswith("__Host-session=")
    assert "Secure" in form.headers["Set-Cookie"]


def test_a_certificate_of_another_ca_is_not_let_in(running: Stack, address: str) -> None:
    stranger = running.home / "certificates" / "proxy-to-storage"  # of the other hop
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
        get(address, "/now", stranger, folder_of(running, "operator"))


def test_a_certificate_without_a_place_in_the_policy_opens_no_page(running: Stack, address: str) -> None:
    response = get(address, "/now", folder_of(running, "mallory"), folder_of(running, "operator"))
    assert response.status == 403


def test_the_command_makes_the_certificate_that_it_asks_with(running: Stack, address: str) -> None:
    shown = json.loads(running.command("certs", "show", "--json"))
    assert "clients/dashboard" in [each["name"] for each in shown["certificates"]]
