"""A proxy's home that is lost, restored or rolled back, beside a storage server in memory that stays."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from privacyplease.proxy.audit.log import AuditLog
from privacyplease.proxy.backup import archive as backups
from privacyplease.proxy.backup.archive import BackupContents
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.lifecycle.restoring import adopt
from privacyplease.proxy.manifest.witnesses import Witness
from privacyplease.proxy.records.timeline import EVER
from tests.services.fake_storage import FakeStorage
from tests.services.proxy_core import ProxyCore


class Site:
    """A proxy's home that is lost or rolled back, beside a storage server that stays."""

    def __init__(self, folder: Path) -> None:
        self.storage = FakeStorage()
        self.witnesses: list[Witness] = []
        self.home = Home(folder / "home")
        self._folder = folder
        self._running: ProxyCore | None = None

    def start(self) -> ProxyCore:
        """A start of a proxy, up to where it serves."""
        self._stop()
        self._running = core = ProxyCore(self.home.path, self.storage, self.witnesses)
        (self.home.path / "master.toml").write_text('master_key = "elsewhere"\n')
        if self.home.restored.exists():
            adopt(self.home, core.restoring, AuditLog(self.home.audit, core.store, core.keyring))
        return core

    def back_up(self, name: str = "backup") -> None:
        backups.save(BackupContents(self.home), self._folder / name)

    def lose(self, name: str = "backup") -> None:
        """Loses the home, and restores a backup."""
        self._stop()
        shutil.rmtree(self.home.path)
        backups.restore(self._folder / name, self.home, self._folder / "certificates")

    def restore(self, name: str = "backup") -> ProxyCore:
        """The first start after that."""
        self.lose(name)
        return self.start()

    def snapshot(self) -> Callable[[], None]:
        """Copies the home, as an image of a machine does. Returns what rolls it back."""
        self._stop()
        copy = self._folder / f"snapshot-{time.monotonic_ns()}"
        shutil.copytree(self.home.path, copy)

        def roll_back() -> None:
            self._stop()
            shutil.rmtree(self.home.path)
            shutil.copytree(copy, self.home.path)

        return roll_back

    @property
    def adopted(self) -> dict[str, Any]:
        """What the last start that adopted came to."""
        found: dict[str, Any] = json.loads(self.home.adopted.read_text())
        return found

    def _stop(self) -> None:
        if self._running:
            self._running.writer.stop()
            self._running.store.dispose()
            self._running = None


def wrong(core: ProxyCore) -> int:
    """How many cells `verify` finds fault with."""
    findings = [
        finding
        for part in core.verification.parts(core.wifi, EVER)
        for finding in core.verification.check(part).findings
    ]
    return sum(sum(finding[3:]) for finding in findings)


def require_whole(core: ProxyCore, devices: int) -> None:
    assert core.devices() == set(range(devices))
    assert wrong(core) == 0
