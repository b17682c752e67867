"""A trusted store and what uses it, for tests of single modules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from privacyplease.proxy.keys.derivation import Key
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.keys.master_key import LocalMasterKey
from privacyplease.proxy.records import dataset
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.trusted_store import store as trusted_store
from tests.services.fake_storage import FakeStorage
from tests.services.proxy_core import ProxyCore


@pytest.fixture
def wifi() -> Dataset:
    """The shipped data set `wifi`."""
    return dataset.load()["wifi"]


@pytest.fixture
def store(tmp_path: Path) -> Engine:
    """An empty trusted store."""
    return trusted_store.open_store(tmp_path / "trusted.db")


@pytest.fixture
def keyring(store: Engine) -> Keyring:
    """An empty keyring under a fixed master key."""
    return Keyring(store, LocalMasterKey(Key(bytes(32))))


@pytest.fixture
def storage() -> FakeStorage:
    """An empty storage server in memory."""
    return FakeStorage()


@pytest.fixture
def start(tmp_path: Path, storage: FakeStorage) -> Callable[[], ProxyCore]:
    """Starts the core of a proxy on one home; a second call is a restart after a crash."""
    return lambda: ProxyCore(tmp_path / "home", storage)


@pytest.fixture
def core(start: Callable[[], ProxyCore]) -> ProxyCore:
    """The core of a proxy on a new home."""
    return start()
