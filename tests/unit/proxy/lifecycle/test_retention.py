"""Epochs that need not be retained are erased, even if other background work fails."""

from __future__ import annotations

from dataclasses import replace

from privacyplease.proxy.errors import StorageError
from privacyplease.proxy.lifecycle.retention import Retention
from tests.services.fake_storage import FakeStorage
from tests.services.lifecycle_core import DAY, HOUR, LifecycleCore, sessions

END = 666 * 30 * DAY  # of the epoch that begins on 2024-08-14


def test_retention_erases_epochs_that_ended_too_long_ago(core: LifecycleCore, storage: FakeStorage) -> None:
    core.ingest(sessions(0, 10, END - 20 * DAY))
    datasets = {"wifi": replace(core.wifi, retain=60 * DAY)}
    waits: list[str] = []

    def wait() -> None:
        waits.append("waited")
        raise StorageError("it keeps nothing else waiting")

    retention = Retention(datasets, core.eraser, [wait])
    retention.round(END + 60 * DAY - HOUR)
    assert core.devices() == set(range(10))
    with storage.failing("delete"):
        retention.round(END + 60 * DAY)
    assert core.devices() == set()
    retention.round(END + 60 * DAY)
    assert (core.rows(), core.keyring.epochs("wifi")) == ([], [])
    assert len(waits) == 3
