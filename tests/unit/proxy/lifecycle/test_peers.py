"""Proxies over one trusted store: an erasure waits for those that are alive, and for no others."""

from __future__ import annotations

import threading
from pathlib import Path

import pyarrow as pa
import pytest
from prometheus_client.samples import Sample
from sqlalchemy import update

from privacyplease.proxy.assembly import collectors
from privacyplease.proxy.edge.fence import Fence
from privacyplease.proxy.errors import FencedError, InvalidRequestError, TrustedStoreUnavailableError
from privacyplease.proxy.keys.derivation import KeyId
from privacyplease.proxy.keys.epoch_keys import EpochKeys
from privacyplease.proxy.lifecycle import peers as leases
from privacyplease.proxy.lifecycle.erasure_follower import ErasureFollower
from privacyplease.proxy.lifecycle.erasure_log import ErasureLog
from privacyplease.proxy.lifecycle.peers import Peers
from privacyplease.proxy.query.question import Question
from privacyplease.proxy.records.timeline import EVER
from privacyplease.proxy.trusted_store.tables import proxies
from tests.services.fake_storage import FakeStorage
from tests.services.lifecycle_core import DAY, LifecycleCore, sessions
from tests.services.polling import eventually

EPOCH = 665
FIRST = EPOCH * 30 * DAY
SECOND = FIRST + 30 * DAY
KEY = KeyId(EPOCH)


class SharingProxy(LifecycleCore):
    """A proxy that shares its store. What its threads do, a test does by hand."""

    def __init__(self, home: Path, storage: FakeStorage) -> None:
        super().__init__(home, storage)
        self.peers, self.fence = Peers(self.store), Fence()
        self.eraser._peers = self.peers
        self.follower = ErasureFollower(self.peers, self.fence, self.erasure_log, self.eraser)
        self.follower.renew()

    @property
    def holds_the_key(self) -> bool:
        return any(name.key == KEY for name in self.keyring._opened)


@pytest.fixture
def one(tmp_path: Path, storage: FakeStorage, monkeypatch: pytest.MonkeyPatch) -> SharingProxy:
    monkeypatch.setattr(leases, "LEASE_SECONDS", 1.0)
    monkeypatch.setattr(leases, "MARGIN_SECONDS", 0.2)
    one = SharingProxy(tmp_path / "home", storage)
    one.ingest(pa.concat_tables([sessions(0, 10, FIRST), sessions(20, 10, SECOND)]))
    return one


@pytest.fixture
def other(one: SharingProxy, storage: FakeStorage) -> SharingProxy:
    other = SharingProxy(one.home.path, storage)
    assert other.devices() == {*range(10), *range(20, 30)}
    assert other.holds_the_key
    return other


def alive(proxy: SharingProxy, for_ms: int) -> None:
    """As if the lease had been renewed to last so long from now; negative: as if it had run out."""
    with proxy.store.begin() as connection:
        later = leases._now(proxy.store) + for_ms
        connection.execute(update(proxies).where(proxies.c.id == proxy.peers._id).values(expires_at_ms=later))


def waiting(proxy: SharingProxy) -> list[Sample]:
    """The metric of what erasures wait for."""
    return [sample for metric in collectors.erasure_metrics(proxy.eraser) for sample in metric.samples]


def destroyed(proxy: SharingProxy) -> bool:
    proxy.erasure_log.refresh()
    return [erasure.erased_at for erasure in proxy.erasure_log.of("wifi")] != [None]


def test_nothing_is_destroyed_before_the_other_proxy_has_let_go(one: SharingProxy, other: SharingProxy) -> None:
    alive(other, 60_000)
    one.eraser.erase(one.wifi, [EPOCH])
    assert not destroyed(one)
    assert "not acknowledged yet by the proxy at" in one.erasure_log.obstacle("wifi", KEY).detail
    assert {"cause": "peer"} in [sample.labels for sample in waiting(one) if sample.value == 1]
    assert one.keyring.epochs("wifi") == [EPOCH, EPOCH + 1]
    other.follower.renew()
    assert len(other.ingest(sessions(50, 1, FIRST)).records) == 0
    other.follower.let_go()
    assert not other.holds_the_key
    one.eraser.finish()
    assert destroyed(one)
    assert one.devices() == other.devices() == set(range(20, 30))


def test_an_erasure_waits_for_a_question_of_the_other_proxy(one: SharingProxy, other: SharingProxy) -> None:
    with other.search.ask(Question(other.wifi, EVER, columns=("ssid",))) as answer:
        alive(other, 60_000)
        one.eraser.erase(one.wifi, [EPOCH])
        other.follower.renew()
        letting_go = threading.Thread(target=other.follower.let_go)
        letting_go.start()
        letting_go.join(0.2)
        assert letting_go.is_alive()
        one.eraser.finish()
        assert not destroyed(one)
        assert sum(len(hit) for hit in answer.hits) == 20
    letting_go.join(10)
    one.eraser.finish()
    assert destroyed(one)


def test_a_proxy_that_is_dead_is_not_waited_for(one: SharingProxy, other: SharingProxy) -> None:
    alive(other, -1)
    one.eraser.erase(one.wifi, [EPOCH])
    assert destroyed(one)


def test_a_proxy_that_was_dead_answers_only_after_it_has_read_what_was_erased(
    one: SharingProxy, other: SharingProxy
) -> None:
    entered = other.fence.enter()
    assert eventually(lambda: fenced(other, entered))
    alive(other, -1)
    one.eraser.erase(one.wifi, [EPOCH])
    assert other.holds_the_key
    other.follower.renew()
    assert not other.holds_the_key
    other.fence.enter()
    with pytest.raises(FencedError):
        other.fence.require(entered)
    assert other.devices() == set(range(20, 30))


def fenced(proxy: SharingProxy, entered: int) -> bool:
    try:
        proxy.fence.require(entered)
    except FencedError:
        return True
    return False


def test_a_proxy_that_has_not_heard_of_an_erasure_stores_nothing_of_it(one: SharingProxy, other: SharingProxy) -> None:
    alive(other, -1)
    one.eraser.erase(one.wifi, [EPOCH])
    with pytest.raises(TrustedStoreUnavailableError, match="send the records again"):
        other.ingest(sessions(50, 1, FIRST))
    other.follower.renew()
    assert len(other.ingest(sessions(50, 1, FIRST)).records) == 0
    assert one.keyring.epochs("wifi") == [EPOCH + 1]


def test_another_proxy_finishes_what_one_began(one: SharingProxy, other: SharingProxy) -> None:
    alive(other, 60_000)
    one.eraser.erase(one.wifi, [EPOCH])
    alive(one, -1)  # it was killed
    other.follower.renew()
    other.follower.let_go()
    other.eraser.finish()
    assert destroyed(other)
    assert other.devices() == set(range(20, 30))


def test_two_proxies_erase_the_same_period_at_once(one: SharingProxy, other: SharingProxy) -> None:
    for proxy in (one, other):
        proxy.follower._threads[0].start()
        proxy.follower._threads[1].start()
    erasing = [threading.Thread(target=proxy.eraser.erase, args=[proxy.wifi, [EPOCH]]) for proxy in (one, other)]
    for thread in erasing:
        thread.start()
    for thread in erasing:
        thread.join(20)
    assert eventually(lambda: destroyed(one))
    for proxy in (one, other):
        proxy.follower.stop()
    assert one.devices() == other.devices() == set(range(20, 30))


def test_nothing_is_erased_over_a_shared_store_without_keys_that_can_be_destroyed(one: SharingProxy) -> None:
    one.eraser._erasure_log = ErasureLog(one.store, EpochKeys(one.store), shared=True)
    with pytest.raises(InvalidRequestError, match="--epoch-keys"):
        one.eraser.erase(one.wifi, [EPOCH])
    assert one.devices() == {*range(10), *range(20, 30)}
