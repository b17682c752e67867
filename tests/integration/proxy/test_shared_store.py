"""Proxies that share a trusted store: each knows what the others did, and none accuses the server of it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest

from privacyplease.client import Client, PrivacyPleaseError
from privacyplease.client.errors import TrustedStoreUnavailableError
from privacyplease.proxy import backups, holdings, journal, ledger
from privacyplease.proxy.erasures import Erasures
from privacyplease.proxy.errors import ConfigurationError, InvalidRequestError
from privacyplease.proxy.trusted_store import store as trusted_store
from privacyplease.proxy.v1 import verification_service_pb2 as pb
from tests.services import faulty_proxy
from tests.services.daemon import Daemon
from tests.services.mariadb import MariaDB
from tests.services.patience import eventually
from tests.services.proxy import PASSPHRASE, Proxied, proxying
from tests.services.storage import Served

START, HOUR = 1_727_769_600_000, 3_600_000
EPOCH = 30 * 24 * HOUR


def batch(device: int, at: int = START) -> pa.Table:
    """A session of a device."""
    return pa.table(
        {
            "client_mac": [device],
            "ap_name": ["north door"],
            "association_time": pa.array([at], pa.timestamp("ms", tz="UTC")),
            "session_duration": pa.array([HOUR], pa.duration("ms")),
        }
    )


def devices(proxy: Proxied, start: int = START, end: int = START + HOUR) -> set[int]:
    """The devices that are found through both indexes."""
    found = [set(proxy.records("wifi", index, start, end)["client_mac"].to_pylist()) for index in ("subject", "place")]
    return {int(mac.replace(":", ""), 16) for mac in set.intersection(*found)}


def sound(proxy: Proxied) -> bool:
    """Whether verifying the store finds nothing."""
    summary = list(proxy.verification.Verify(pb.VerifyRequest()))[-1].summary
    return summary.cells > 0 and not (summary.missing or summary.unexpected or summary.damaged)


@pytest.fixture(autouse=True)
def _folding_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "FOLDED_FROM_ENTRIES", faulty_proxy.FOLDED_FROM_ENTRIES)


class Pair(NamedTuple):
    """Two proxies over one store and one trusted store."""

    one: Proxied
    other: Proxied
    url: str


@pytest.fixture(params=["sqlite", "mariadb"])
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty trusted store."""
    url: str = (
        request.getfixturevalue("mariadb_url") if request.param == "mariadb" else f"sqlite:///{tmp_path}/shared.db"
    )
    return url


@pytest.fixture
def pair(tmp_path: Path, storage: Served, shared_url: str) -> Iterator[Pair]:
    with proxying(tmp_path / "one", storage.address, trusted_store=shared_url) as one:
        shutil.copytree(tmp_path / "one", tmp_path / "other")
        with proxying(tmp_path / "other", storage.address, trusted_store=shared_url) as other:
            yield Pair(one, other, shared_url)


def together(*calls: Callable[[], object]) -> None:
    """Calls all at once; raises what any of them raises."""
    with ThreadPoolExecutor(len(calls)) as pool:
        for call in [pool.submit(call) for call in calls]:
            call.result()


def test_both_ingest_and_ask_at_once(pair: Pair) -> None:
    batches = 20  # of each: more than the entries from which on the journal is folded

    def ingest(proxy: Proxied, first: int) -> None:
        answers = proxy.ingest("wifi", *(batch(device) for device in range(first, first + batches)))
        assert [answer.accepted for answer in answers] == [1] * batches

    def ask(proxy: Proxied) -> None:
        seen: set[int] = set()
        for _ in range(10):
            found = devices(proxy)
            assert found >= seen  # nothing that was found is lost again
            seen = found

    together(
        lambda: ingest(pair.one, 0),
        lambda: ingest(pair.other, batches),
        lambda: ask(pair.one),
        lambda: ask(pair.other),
    )
    assert devices(pair.one) == devices(pair.other) == set(range(2 * batches))
    assert sound(pair.one)
    assert sound(pair.other)


def test_of_two_keys_for_a_new_epoch_one_wins(pair: Pair) -> None:
    for epoch in range(1, 4):
        at = START + epoch * EPOCH
        together(
            lambda at=at: pair.one.ingest("wifi", batch(1, at)),  # type: ignore[misc]
            lambda at=at: pair.other.ingest("wifi", batch(2, at)),  # type: ignore[misc]
        )
        assert devices(pair.one, at, at + HOUR) == devices(pair.other, at, at + HOUR) == {1, 2}
    assert sound(pair.one)


def test_what_one_widens_the_other_asks_for(pair: Pair) -> None:
    for number in range(1, 4):
        late = START + number * 24 * HOUR
        giver, asker = (pair.one, pair.other) if number % 2 else (pair.other, pair.one)
        assert devices(asker, late, late + HOUR) == set()
        giver.ingest("wifi", batch(number, late))
        assert devices(asker, late, late + HOUR) == {number}


def test_entries_are_numbered_in_the_order_in_which_they_are_committed(shared_url: str) -> None:
    one, other = trusted_store.open_url(shared_url), trusted_store.open_url(shared_url)
    cells, begun = np.zeros((1, 48), np.uint8), threading.Event()

    def write() -> int:
        begun.set()
        with trusted_store.writing(other) as connection:
            return journal.write(connection, "wifi", 666, cells)

    with ThreadPoolExecutor(1) as pool:
        with trusted_store.writing(one) as connection:
            first = journal.write(connection, "wifi", 666, cells)
            later = pool.submit(write)
            assert begun.wait(10)
            with pytest.raises(TimeoutError):
                later.result(timeout=0.5)  # or a reader could see it, and look past the first for ever
        assert later.result(timeout=10) > first


def test_backups_of_a_shared_store_are_noted_and_numbers_of_runs_skipped(shared_url: str) -> None:
    store = trusted_store.open_url(shared_url)
    number = backups.begin(store)
    with trusted_store.writing(store) as connection:
        backups.done(connection, number)
        assert (backups.last(connection), backups.needed_after(connection)) == (backups.Backup(number, 0, 1), 0)
        assert holdings.unused_run(connection) == 2
        holdings.skip_runs(connection)
        assert holdings.unused_run(connection) > 1 << 32
    assert backups.keys_without(store) == 0


def test_a_proxy_without_the_master_key_does_not_start(pair: Pair, tmp_path: Path, storage: Served) -> None:
    pair.one.ingest("wifi", batch(1))
    with (
        pytest.raises(ConfigurationError, match="copy it from the proxy"),
        proxying(tmp_path / "stranger", storage.address, trusted_store=pair.url),
    ):
        pass


def test_no_epoch_is_erased_while_another_proxy_may_hold_its_key(pair: Pair) -> None:
    pair.one.ingest("wifi", batch(1))
    erasures = Erasures(trusted_store.open_url(pair.url), alone=False)
    with pytest.raises(InvalidRequestError, match="proxy alone"):
        erasures.resolve("wifi", START // EPOCH)
    assert devices(pair.one) == devices(pair.other) == {1}


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://host/database", "mysql://, mariadb:// or sqlite:///FILE"),
        ("nonsense", "expected a URL"),
        ("mysql://nobody:secret@127.0.0.1:1/none", "127.0.0.1: cannot be used"),
    ],
)
def test_a_store_that_cannot_be_used_is_named_without_its_password(url: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as raised:
        trusted_store.open_url(url)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("step", faulty_proxy.STEPS)
def test_when_one_is_killed_the_other_goes_on(
    step: str, tmp_path: Path, storage: Served, mariadb_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, address, batches = tmp_path / "other", tmp_path / "address", 20
    with proxying(tmp_path / "one", storage.address, trusted_store=mariadb_url) as one:
        one.ingest("wifi", batch(0))
        shutil.copytree(tmp_path / "one", home)
        where = ["--insecure", "--listen=127.0.0.1:0", f"--home={home}", f"--storage-server={storage.address}"]
        command = ["-m", "tests.services.faulty_proxy", step, *where, f"--address-file={address}"]
        environment = {"PRIVACYPLEASE_PASSPHRASE": PASSPHRASE, "PRIVACYPLEASE_TRUSTED_STORE": mariadb_url}
        with Daemon("proxy", command, tmp_path, **environment) as daemon:
            assert eventually(address.exists), daemon.log
            acknowledged = _acknowledged(address.read_text().strip(), batches)
        assert devices(one) >= set(range(acknowledged + 1))
        with monkeypatch.context() as patch:
            patch.setattr(journal, "SETTLED_AFTER_SECONDS", -1)
            assert devices(one) >= set(range(acknowledged + 1))
        one.ingest("wifi", *map(batch, range(1, batches)))
        assert devices(one) == set(range(batches))
        assert sound(one)


def _acknowledged(address: str, batches: int) -> int:
    """Ingests until the proxy is gone."""
    seen = 0
    with Client(address, insecure=True) as client:
        try:
            for _ in client.ingest("wifi", map(batch, range(1, batches)), retry=lambda *_: None):
                seen += 1
        except PrivacyPleaseError:
            return seen
    raise AssertionError("expected the proxy to be killed")


def test_a_trusted_store_that_is_away_is_told_and_waited_for(
    tmp_path: Path, storage: Served, mariadb: MariaDB, mariadb_url: str
) -> None:
    with proxying(tmp_path / "one", storage.address, trusted_store=mariadb_url) as proxy:
        proxy.ingest("wifi", batch(1))
        with Client(proxy.address, insecure=True, timeout=5) as client:
            asked = datetime(2024, 10, 1, 8, tzinfo=UTC), datetime(2024, 10, 1, 9, tzinfo=UTC)
            mariadb.kill()
            try:
                with pytest.raises(TrustedStoreUnavailableError) as told:
                    client.count(*asked)
            finally:
                mariadb.restart()
            assert told.value.retry_after_s == 1
            assert client.count(*asked) == 1
