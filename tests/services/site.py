"""A proxy's home that is lost, restored or rolled back, with a storage server in memory that persists."""

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
from privacyplease.proxy.lifecycle.restore import finish_restore
from privacyplease.proxy.manifest.witnesses import Witness
from privacyplease.proxy.records.timeline import EVER
from tests.services.fake_storage import FakeStorage
from tests.services.lifecycle_core import LifecycleCore


class Site:
    """A proxy's home that is lost or rolled back, with a storage server that persists."""

    def __init__(self, folder: Path) -> None:
        self.storage = FakeStorage()
        self.witnesses: list[Witness] = []
        self.home = Home(folder / "home")
        self._folder = folder
        self._running: LifecycleCore | None = None

    def start(self) -> LifecycleCore:
        """Starts a proxy, up to the point where it serves."""
        self._stop()
        self._running = core = LifecycleCore(self.home.path, self.storage, self.witnesses)
        (self.home.path / "master.toml").write_text('master_key = "elsewhere"\n')
        if self.home.restored.exists():
            finish_restore(self.home, core.restore, AuditLog(self.home.audit, core.store, core.keyring))
        return core

    def back_up(self, name: str = "backup") -> None:
        backups.save(BackupContents(self.home), self._folder / name)

    def lose(self, name: str = "backup") -> None:
        """Loses the home, and restores a backup."""
        self._stop()
        shutil.rmtree(self.home.path)
        backups.restore(self._folder / name, self.home, self._folder / "certificates")

    def restore(self, name: str = "backup") -> LifecycleCore:
        """Loses the home, restores a backup, and starts a proxy."""
        self.lose(name)
        return self.start()

    def snapshot(self) -> Callable[[], None]:
        """Copies the home, like a disk image; returns a function that rolls it back."""
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
        """The outcome of the last restore."""
        found: dict[str, Any] = json.loads(self.home.adopted.read_text())
        return found

    def _stop(self) -> None:
        if self._running:
            self._running.writer.stop()
            self._running.store.dispose()
            self._running = None


def wrong(core: LifecycleCore) -> int:
    """How many cells verification reports."""
    findings = [
        finding for part in core.verifier.chunks(core.wifi, EVER) for finding in core.verifier.check(part).findings
    ]
    return sum(sum(finding[3:]) for finding in findings)


def require_whole(core: LifecycleCore, devices: int) -> None:
    assert core.devices() == set(range(devices))
    assert wrong(core) == 0
