"""A proxy, a storage server and a store, for one test or for a module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from privacyplease.proxy.keys import master_key as masterkey
from tests.services.proxy import Proxied, proxying
from tests.services.storage import Served, serving


@pytest.fixture(scope="module", autouse=True)
def _cheap_passphrases() -> Iterator[None]:
    """Argon2id at its lowest cost: these tests make many keyrings, and the real cost is tested elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(masterkey, "ARGON2", {"iterations": 1, "lanes": 1, "memory_kib": 8})
        yield


@pytest.fixture
def storage(sqlite_url: str) -> Iterator[Served]:
    """A storage server in this process over an empty SQLite store."""
    with serving(sqlite_url) as served:
        yield served


@pytest.fixture
def proxy(tmp_path: Path, storage: Served) -> Iterator[Proxied]:
    """A proxy in this process, with its own keys."""
    with proxying(tmp_path / "home", storage.address) as running:
        yield running
