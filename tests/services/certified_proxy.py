"""A proxy with certificates and a policy, over a storage server with certificates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc

from privacyplease.client import Client
from privacyplease.proxy.assembly.proxy import Proxy
from privacyplease.proxy.assembly.settings import ProxySettings
from privacyplease.proxy.keys.home import Home
from tests.services.certificates import Made, channel_with
from tests.services.storage import StorageProcess


class CertifiedProxy:
    """A running proxy, and the certificates of its clients.

    Attributes:
        policy: The policy file.
        storage: The storage server's address.
    """

    def __init__(self, made: Made, policy: Path, address: str, storage: str) -> None:
        self.made, self.policy, self.address, self.storage = made, policy, address, storage

    def certificate(self, name: str) -> Path:
        """The folder of a client's certificate, which is issued on first use."""
        folder = self.made[f"clients/{name}"]
        if not folder.exists():
            self.made.certificates.issue(name, datetime.now(UTC))
        return folder

    def client(self, name: str) -> Client:
        return Client(self.address, certificates=self.certificate(name))

    def channel(self, name: str) -> grpc.Channel:
        return channel_with(self.address, self.certificate(name))


@contextmanager
def certified(folder: Path, policy: str, **settings: Any) -> Iterator[CertifiedProxy]:
    """Starts both servers with everything they keep in `folder`."""
    made, home = Made(folder), Home(folder / "home")
    home.path.mkdir()
    home.policy.write_text(policy)
    with ExitStack() as running:
        url = f"sqlite:///{folder / 'cells.db'}"
        storage = running.enter_context(StorageProcess(url, certificates=made["storage"]))
        own: dict[str, Any] = {"certificates": made["proxy"], "storage_certificates": made["proxy-to-storage"]}
        proxy = Proxy(ProxySettings(home, storage.address, **own, **settings))
        address = f"127.0.0.1:{proxy.bind('127.0.0.1:0')}"
        proxy.start()
        running.callback(proxy.stop, 0)
        yield CertifiedProxy(made, home.policy, address, storage.address)
