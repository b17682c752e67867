"""A proxy on an exported keyring: it counts people, does nothing else, and records who asked.

The keyring has no key for an audit log. So the log has one of its own, made on first use in the folder `counting` of
the home and opened by the keyring's passphrase. In that folder the log is verified as that of any other home.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import grpc

from privacyplease.proxy.access.guard import AccessGuard
from privacyplease.proxy.access.recorder import AuditRecorder
from privacyplease.proxy.assembly.process import ProcessContext
from privacyplease.proxy.audit.log import AuditLog
from privacyplease.proxy.errors import ConfigurationError, WrongPassphraseError
from privacyplease.proxy.export.search import ExportedSearch
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.segments.cell_cache import CellCache
from privacyplease.proxy.services.occupancy import OccupancyService
from privacyplease.proxy.storage.client import StorageClient
from privacyplease.proxy.trusted_store import store as trusted_store
from privacyplease.proxy.v1 import occupancy_service_pb2_grpc


class Counting:
    """The components of a proxy that only counts people.

    Attributes:
        recorder: Records calls in the audit log.
        guard: Holds calls to the policy.
    """

    def __init__(self, process: ProcessContext, keyring: Path) -> None:
        """Opens the keyring, and the log.

        Raises:
            ConfigurationError: The file is no exported keyring, or the log cannot be written, or was begun with another
                passphrase.
            WrongPassphraseError: The passphrase does not open the keyring.
        """
        settings = process.settings
        storage = StorageClient.connect(settings.storage, settings.storage_certificates, process.metrics)
        cache = CellCache(settings.cache_bytes)
        search = ExportedSearch.open(keyring, settings.passphrase, storage, settings.most_tags, cache)
        self._occupancy = OccupancyService({search.dataset.name: search.dataset}, search, None)
        self._log = _audit_log(Home(settings.home.path / "counting"), settings.passphrase)
        self.recorder = AuditRecorder(self._log)
        self.guard = AccessGuard(process.access, self.recorder)

    def start(self, serve: Callable[[], None]) -> None:
        """Begins to record, and then to answer."""
        self._log.start()
        self.recorder.start()
        serve()

    def pause(self) -> None:
        """Does nothing: no work goes on in the background."""

    def stop(self) -> None:
        """Writes what is not recorded yet, when no call is running any more."""
        self.recorder.stop()
        self._log.stop()

    def register(self, server: grpc.Server) -> None:
        """Adds the one service that an exported keyring can serve."""
        occupancy_service_pb2_grpc.add_OccupancyServiceServicer_to_server(self._occupancy, server)


def _audit_log(home: Home, passphrase: str | None) -> AuditLog:
    try:
        master = home.master_key(passphrase, wraps=home.trusted_store.exists())
    except WrongPassphraseError as error:
        raise ConfigurationError(
            f"{home.path}: expected the passphrase with which its audit log was begun, got another; move the folder "
            "away to begin a new log"
        ) from error
    store = trusted_store.open_store(home.trusted_store)
    return AuditLog(home.audit, store, Keyring(store, master))
