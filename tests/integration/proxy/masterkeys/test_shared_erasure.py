"""Erasing over a trusted store that two proxies share: afterwards neither answers, and no copy of it opens a cell."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import grpc
import pyarrow as pa
import pytest
from sqlalchemy import Engine, insert, select

from privacyplease.proxy.errors import KeyringError
from privacyplease.proxy.keys.derivation import KeyId
from privacyplease.proxy.keys.epoch_key_holders import EpochKeyHolders
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.keys.rotation import folder_in_force
from privacyplease.proxy.manifest.cells import Cells
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.manifest.rows import SegmentState
from privacyplease.proxy.segments.groups import Group
from privacyplease.proxy.storage.cell import Sealed
from privacyplease.proxy.storage.client import StorageClient
from privacyplease.proxy.trusted_store import store as trusted_store
from privacyplease.proxy.trusted_store.tables import metadata
from privacyplease.proxy.v1 import (
    admin_service_pb2,
    admin_service_pb2_grpc,
    ingest_service_pb2_grpc,
    keys_service_pb2,
    keys_service_pb2_grpc,
    query_service_pb2,
    query_service_pb2_grpc,
)
from tests.services.cells import channel_to, refusal
from tests.services.daemon import Daemon
from tests.services.openbao import OpenBao
from tests.services.polling import eventually
from tests.services.proxy import PASSPHRASE, arrow_batch, instant, interval
from tests.services.softhsm import PIN, SoftHsm
from tests.services.storage import Served
from tests.services.tampering import Database, StoredCell

HOUR = 3_600_000
WIDTH = 30 * 24 * HOUR
EPOCH = 665
FIRST, SECOND = EPOCH * WIDTH, (EPOCH + 1) * WIDTH
ERASED, KEPT = 1, 2  # the devices of the two epochs

MANY = 50_000

# Longer than a proxy that is gone is waited for.
PATIENCE = 60


class SharingProxy(NamedTuple):
    """A process, and stubs of its services."""

    daemon: Daemon
    ingestion: ingest_service_pb2_grpc.IngestServiceStub
    queries: query_service_pb2_grpc.QueryServiceStub
    keys: keys_service_pb2_grpc.KeysServiceStub
    admin: admin_service_pb2_grpc.AdminServiceStub

    def ingest(self, device: int, at: int, places: Sequence[str] = ("north door",)) -> int:
        """Sends a session of a device at each place, and returns how many records were accepted."""
        columns = {
            "client_mac": [device] * len(places),
            "ap_name": list(places),
            "association_time": pa.array([at] * len(places), pa.timestamp("ms", tz="UTC")),
            "session_duration": pa.array([HOUR] * len(places), pa.duration("ms")),
        }
        (answer,) = self.ingestion.Ingest(iter([arrow_batch("wifi", 0, pa.table(columns))]))
        return int(answer.accepted)

    def devices(self) -> set[int]:
        """The devices that are found, of all times."""
        return _devices(self.queries.Query(_everything()))

    def destroy(self) -> list[int]:
        """Destroys the first epoch, and returns the states of its keys."""
        request = keys_service_pb2.DestroyEpochsRequest(dataset="wifi", containing=instant(FIRST))
        return [epoch.state for epoch in self.keys.DestroyEpochs(request).epochs]

    def state(self) -> int:
        """The state of the first epoch's key."""
        (dataset,) = self.keys.ListKeys(keys_service_pb2.ListKeysRequest(dataset="wifi")).datasets
        return next(epoch.state for epoch in dataset.epochs if epoch.start == instant(FIRST))


class Sharing(NamedTuple):
    """Two proxies that share a trusted store, and what surrounds them."""

    one: SharingProxy
    other: SharingProxy
    homes: tuple[Home, Home]
    keys: Path | None
    url: str
    cells: Database

    def dump(self, file: Path) -> Engine:
        """A full dump of the trusted store."""
        shared, copy = trusted_store.open_url(self.url), trusted_store.open_store(file)
        with shared.connect() as source, copy.begin() as target:
            for table in metadata.sorted_tables:
                target.execute(table.delete())
                if rows := [row._asdict() for row in source.execute(select(table))]:
                    target.execute(insert(table), rows)
        shared.dispose()
        return copy

    def opened(self, dump: Engine, cells: list[StoredCell]) -> int:
        """How many of the first epoch's cells open for whoever has a dump, copies of cells and all files.

        Raises:
            KeyringError: None does.
        """
        home = self.homes[0]
        holders = EpochKeyHolders(home, self.keys, shared=True)
        epoch_keys = holders.open(dump, home.master_key_choice)
        keyring = Keyring(dump, home.master_key(PASSPHRASE), folder_in_force(dump), epoch_keys)
        chosen = [row for row in Manifest(dump, keyring).rows("wifi", SegmentState.LIVE) if row.key == KeyId(EPOCH)]
        thief = Cells(StorageClient.connect("127.0.0.1:1"), keyring)  # never called
        stored = {row.tag: Sealed(row.sealed) for row in cells}
        names = {tag: name for group in Group for tag, name in thief.tags(chosen, group).items()}
        return len([thief.open(name, tag, stored[tag]) for tag, name in names.items()])


def _everything() -> query_service_pb2.QueryRequest:
    return query_service_pb2.QueryRequest(dataset="wifi", interval=interval(0, SECOND + WIDTH), purpose="test")


def _devices(pages: grpc.CallIterator[query_service_pb2.QueryResponse]) -> set[int]:
    table = pa.ipc.open_stream(b"".join(page.arrow for page in pages)).read_all()
    return {int(mac.replace(":", ""), 16) for mac in table["client_mac"].to_pylist()}


@contextmanager
def running(home: Path, storage: Served, *program: str, **environment: str) -> Iterator[SharingProxy]:
    """A proxy in a process of its own."""
    address = home.with_name(f"{home.name}.address")
    address.unlink(missing_ok=True)
    where = ["--insecure", "--listen=127.0.0.1:0", f"--home={home}", f"--storage-server={storage.address}"]
    command = [*(program or ("-m", "privacyplease.proxy")), *where, f"--address-file={address}", "--no-compaction"]
    with ExitStack() as stack:
        daemon = stack.enter_context(Daemon(home.name, command, home.parent, **environment))
        assert eventually(address.exists, 60), daemon.log
        channel = stack.enter_context(channel_to(address.read_text().strip()))
        yield SharingProxy(
            daemon,
            ingest_service_pb2_grpc.IngestServiceStub(channel),
            query_service_pb2_grpc.QueryServiceStub(channel),
            keys_service_pb2_grpc.KeysServiceStub(channel),
            admin_service_pb2_grpc.AdminServiceStub(channel),
        )


class Custody(NamedTuple):
    """Who holds the keys.

    Attributes:
        choice: Who holds the master key.
        keys: The folder of key-encryption keys; None if they are with the master key.
        secrets: What a proxy needs in its environment for them.
    """

    choice: str
    keys: Path | None
    secrets: dict[str, str]


@pytest.fixture(params=["files", "vault", "pkcs11"])
def custody(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Custody:
    """Each holder in turn. This process, the thief's, may use it too."""
    if request.param == "files":
        return in_files(tmp_path)
    if request.param == "vault":
        bao: OpenBao = request.getfixturevalue("bao")
        held = Custody(bao.choice("records"), None, {"VAULT_TOKEN": bao.token})
    else:
        hsm: SoftHsm = request.getfixturevalue("hsm")
        held = Custody(hsm.choice("proxy", "records"), None, {"PRIVACYPLEASE_PKCS11_PIN": PIN})
    for name, value in held.secrets.items():
        monkeypatch.setenv(name, value)
    return held


def in_files(tmp_path: Path) -> Custody:
    return Custody("passphrase", tmp_path / "keys", {"PRIVACYPLEASE_EPOCH_KEYS": str(tmp_path / "keys")})


@contextmanager
def sharing(
    tmp_path: Path, storage: Served, cells: str, url: str, custody: Custody, *program: str
) -> Iterator[Sharing]:
    """Two proxies; the first runs another program, if one is given, once both have their keys."""
    environment = {
        "PRIVACYPLEASE_TRUSTED_STORE": url,
        "PRIVACYPLEASE_PASSPHRASE": PASSPHRASE,
        **custody.secrets,
    }
    homes = Home(tmp_path / "one"), Home(tmp_path / "other")
    homes[0].path.mkdir(mode=0o700)
    (homes[0].path / "master.toml").write_text(f"master_key = {json.dumps(custody.choice)}\n")
    (homes[0].path / "master.toml").chmod(0o600)
    with running(homes[0].path, storage, **environment) as one:
        assert [one.ingest(ERASED, FIRST), one.ingest(KEPT, SECOND)] == [1, 1]
    shutil.copytree(homes[0].path, homes[1].path)
    with (
        running(homes[0].path, storage, *program, **environment) as one,
        running(homes[1].path, storage, **environment) as other,
    ):
        assert one.devices() == other.devices() == {ERASED, KEPT}  # both hold the key
        yield Sharing(one, other, homes, custody.keys, url, Database(cells))


@pytest.fixture
def pair(tmp_path: Path, storage: Served, sqlite_url: str, mariadb_url: str) -> Iterator[Sharing]:
    with sharing(tmp_path, storage, sqlite_url, mariadb_url, in_files(tmp_path)) as pair:
        yield pair


def test_after_an_erasure_neither_proxy_answers_and_no_copy_opens_a_cell(
    custody: Custody, tmp_path: Path, storage: Served, sqlite_url: str, mariadb_url: str
) -> None:
    with sharing(tmp_path, storage, sqlite_url, mariadb_url, custody) as pair:
        require_erased_for_good(pair, tmp_path)


def require_erased_for_good(pair: Sharing, tmp_path: Path) -> None:
    """Erases through one proxy, and then tries what a thief of everything that is left could."""
    before, cells = pair.dump(tmp_path / "before.db"), pair.cells.rows()
    assert pair.opened(before, cells) == 2  # the control: the attack works as long as the key exists
    assert pair.one.destroy() == [keys_service_pb2.EPOCH_STATE_DESTROYED]
    assert pair.one.devices() == pair.other.devices() == {KEPT}
    assert eventually(lambda: pair.other.state() == keys_service_pb2.EPOCH_STATE_DESTROYED)
    assert [pair.one.ingest(3, FIRST), pair.other.ingest(3, FIRST)] == [0, 0]
    with pytest.raises(KeyringError):
        pair.opened(before, cells)
    assert pair.opened(pair.dump(tmp_path / "after.db"), cells) == 0


def test_a_proxy_that_was_stopped_meanwhile_answers_nothing_when_it_continues(pair: Sharing) -> None:
    os.kill(pair.other.daemon.pid, signal.SIGSTOP)
    try:
        waiting = pair.other.queries.Query(_everything(), timeout=PATIENCE)
        assert pair.one.destroy() == [keys_service_pb2.EPOCH_STATE_DESTROYED]
    finally:
        os.kill(pair.other.daemon.pid, signal.SIGCONT)
    answers: list[set[int] | str] = []

    def answered() -> bool:
        pages = pair.other.queries.Query(_everything()) if answers else waiting
        try:
            answers.append(_devices(pages))
        except grpc.RpcError as error:
            answers.append(refusal(error)[1].reason)
        return isinstance(answers[-1], set)

    assert eventually(answered)
    # The question that was under way may have taken longer than it may, too.
    refusals = {"ERROR_REASON_TRUSTED_STORE_UNAVAILABLE", "ERROR_REASON_DEADLINE_EXCEEDED"}
    assert set(map(str, answers[:-1])) <= refusals
    assert answers[-1] == {KEPT}


def test_the_status_says_which_proxy_an_erasure_waits_for(pair: Sharing) -> None:
    def waiting() -> list[str]:
        return [erasure.waits_for for erasure in pair.one.admin.GetStatus(status).erasures]

    status = admin_service_pb2.GetStatusRequest()
    stopped = f"{socket.gethostname()}, process {pair.other.daemon.pid}"
    request = keys_service_pb2.DestroyEpochsRequest(dataset="wifi", containing=instant(FIRST))
    os.kill(pair.other.daemon.pid, signal.SIGSTOP)
    try:
        destroying = pair.one.keys.DestroyEpochs.future(request, timeout=PATIENCE)
        assert eventually(lambda: any(stopped in waits_for for waits_for in waiting()), 10)
    finally:
        os.kill(pair.other.daemon.pid, signal.SIGCONT)
    assert [epoch.state for epoch in destroying.result().epochs] == [keys_service_pb2.EPOCH_STATE_DESTROYED]
    assert waiting() == []


def long_names(part: int) -> list[str]:
    """Places that make an answer longer than what the system buffers of one that nobody reads."""
    return [f"{'x' * 180}{part}-{number}" for number in range(MANY)]


def test_an_answer_that_was_under_way_when_the_proxy_was_stopped_is_not_continued(pair: Sharing) -> None:
    for part in range(4):
        assert pair.one.ingest(ERASED, FIRST, long_names(part)) == MANY
    pages = iter(pair.other.queries.Query(_everything()))
    next(pages)
    os.kill(pair.other.daemon.pid, signal.SIGSTOP)
    try:
        assert pair.one.destroy() == [keys_service_pb2.EPOCH_STATE_DESTROYED]
    finally:
        os.kill(pair.other.daemon.pid, signal.SIGCONT)
    with pytest.raises(grpc.RpcError) as refused:
        list(pages)
    assert refusal(refused.value)[1].reason == "ERROR_REASON_TRUSTED_STORE_UNAVAILABLE"


@pytest.mark.parametrize("step", ["after it is recorded", "before the key is destroyed"])
def test_when_the_eraser_is_killed_the_other_proxy_finishes(
    step: str, tmp_path: Path, storage: Served, sqlite_url: str, mariadb_url: str
) -> None:
    program = "-m", "tests.services.faulty_proxy", step
    with sharing(tmp_path, storage, sqlite_url, mariadb_url, in_files(tmp_path), *program) as pair:
        before, cells = pair.dump(tmp_path / "before.db"), pair.cells.rows()
        with pytest.raises(grpc.RpcError):
            pair.one.destroy()
        assert eventually(lambda: pair.other.devices() == {KEPT})
        assert eventually(lambda: pair.other.state() == keys_service_pb2.EPOCH_STATE_DESTROYED, PATIENCE * 2)
        with pytest.raises(KeyringError):
            pair.opened(before, cells)
