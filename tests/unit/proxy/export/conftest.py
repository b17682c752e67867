"""A keyring for July, and the proxy that counts with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from privacyplease.proxy.export.search import ExportedSearch
from privacyplease.proxy.keys import master_key
from privacyplease.proxy.segments import rollups
from privacyplease.proxy.segments.memory import Memory
from tests.services.exports import ALLOWED, AUGUST, JULY, MAY, OCTOBER, PARTNERS, exporter, table
from tests.services.fake_storage import FakeStorage
from tests.services.proxy_core import DAY, HOUR, ProxyCore


@pytest.fixture
def filled(core: ProxyCore, monkeypatch: pytest.MonkeyPatch) -> ProxyCore:
    """May to September, with a session that lasts from June into July, and one from July into August."""
    monkeypatch.setattr(master_key, "ARGON2", {"iterations": 1, "lanes": 1, "memory_kib": 8})
    monkeypatch.setattr(rollups, "LEAST_RECORDS", 1)
    starts = range(MAY, OCTOBER, 11 * HOUR)
    rows = [(number % 50, start, 1.0) for number, start in enumerate(starts)]
    core.ingest(table(rows[::2]))
    core.compact()
    core.ingest(table(rows[1::2]))
    core.ingest(table([(200, JULY - 2 * DAY, 72.0), (201, AUGUST - HOUR, 5.0)]))
    return core


@pytest.fixture
def file(filled: ProxyCore, tmp_path: Path) -> Path:
    """The keyring for July."""
    (file := tmp_path / "july.keyring").write_bytes(exporter(filled).export(filled.wifi, ALLOWED, PARTNERS).file)
    return file


@pytest.fixture
def partner(file: Path, storage: FakeStorage) -> ExportedSearch:
    return ExportedSearch.open(file, PARTNERS, storage, 1_000, Memory(64 << 20))  # type: ignore[arg-type]
