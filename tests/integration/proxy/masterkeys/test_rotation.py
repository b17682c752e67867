"""After a rotation the new master key opens everything and the old one nothing, whatever happens in between."""

from __future__ import annotations

import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import grpc
import pytest
from sqlalchemy import Engine

from privacyplease.proxy.errors import KeyUnavailableError
from privacyplease.proxy.keys.derivation import GroupKeys, Key, KeyId
from privacyplease.proxy.keys.epoch_key_holders import EpochKeyHolders
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.keys.master_key import LocalMasterKey
from privacyplease.proxy.keys.rotation import Rotation, described_by, folder_in_force
from privacyplease.proxy.trusted_store import store as trusted_store
from privacyplease.proxy.v1 import keys_service_pb2 as pb
from privacyplease.proxy.v1 import presence_service_pb2
from tests.services.cells import refusal
from tests.services.openbao import OpenBao
from tests.services.proxy import PASSPHRASE, Proxied, interval, proxying
from tests.services.storage import Served

NEW = "a quite new passphrase"
SESSION = {
    "client_mac": "02:00:00:00:00:01",
    "ap_name": "ap-1",
    "association_time": "2024-10-01T08:00:00Z",
    "session_duration": 60.0,
}


def seen(proxy: Proxied) -> bool:
    request = presence_service_pb2.FindSessionsRequest(
        device="020000000001", interval=interval(0, 2_000_000_000_000), purpose="test"
    )
    return any(page.present for page in proxy.presence.FindSessions(request))


def rotate(proxy: Proxied, choice: str = "", passphrase: str = "") -> pb.RotateMasterResponse:
    return proxy.keys.RotateMaster(pb.RotateMasterRequest(master_key=choice, passphrase=passphrase))


def allow(home: Path, **choices: str) -> None:
    """Lists where the master key may move to."""
    home.joinpath("allowed-master-keys.toml").write_text(
        "".join(f'{name} = "{choice}"\n' for name, choice in choices.items())
    )


def cells(storage: Served) -> list[tuple[bytes, bytes]]:
    from sqlalchemy import text

    with storage.store._engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text("SELECT tag, sealed FROM cells ORDER BY tag"))]


def test_a_new_passphrase_opens_everything_and_the_old_one_nothing(tmp_path: Path, storage: Served) -> None:
    home = tmp_path / "home"
    with proxying(home, storage.address) as proxy:
        proxy.ingest("wifi", [SESSION])
        before = cells(storage)
        assert rotate(proxy, passphrase=NEW).keys == 4  # the epoch's, the data set's, the manifest's, the audit log's
        assert seen(proxy)
        proxy.ingest("wifi", [SESSION | {"association_time": "2025-10-01T08:00:00Z"}])
        assert set(before) < set(cells(storage))
    with proxying(home, storage.address, passphrase=NEW) as proxy:
        assert seen(proxy)
        assert rotate(proxy, passphrase=NEW + "er").keys == 5
    with proxying(home, storage.address, passphrase=PASSPHRASE) as proxy, pytest.raises(grpc.RpcError) as refused:
        seen(proxy)
    assert refusal(refused.value)[1].reason == "ERROR_REASON_WRONG_PASSPHRASE"
    assert not (home / "master.key").exists()
    assert len(list(home.glob("master-*"))) == 1


def test_the_master_key_moves_to_a_vault_and_back(
    tmp_path: Path, storage: Served, bao: OpenBao, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_TOKEN", bao.token)
    home = tmp_path / "home"
    with proxying(home, storage.address) as proxy:
        proxy.ingest("wifi", [SESSION])
        allow(home, vault=bao.choice("records"))
        assert rotate(proxy, "vault").master_key == bao.choice("records")
    with proxying(home, storage.address) as proxy:
        assert seen(proxy)
        assert proxy.keys.ListKeys(pb.ListKeysRequest()).master_key == bao.choice("records")
        rotate(proxy)
    with proxying(home, storage.address, passphrase="") as proxy:  # a generated one, in the home
        assert seen(proxy)


def test_the_keys_of_periods_move_along_and_none_stays_where_they_were(
    tmp_path: Path, storage: Served, bao: OpenBao, monkeypatch: pytest.MonkeyPatch
) -> None:
    def held_by_the_vault() -> list[str]:
        return [name for name in bao.ask("LIST", "transit/keys")["data"]["keys"] if name.startswith("moving-")]

    monkeypatch.setenv("VAULT_TOKEN", bao.token)
    bao.make_key("moving")
    home = Home(tmp_path / "home")
    with proxying(home.path, storage.address) as proxy:
        proxy.ingest("wifi", [SESSION])
        allow(home.path, vault=bao.choice("moving"))
        assert len(list(home.epoch_keys.glob("*.key"))) == 1
        rotate(proxy, "vault")
        assert (list(home.epoch_keys.glob("*.key")), len(held_by_the_vault())) == ([], 1)
        assert seen(proxy)
    with proxying(home.path, storage.address) as proxy:
        assert seen(proxy)
        rotate(proxy, passphrase=NEW)
        assert (len(list(home.epoch_keys.glob("*.key"))), held_by_the_vault()) == (1, [])
    with proxying(home.path, storage.address, passphrase=NEW) as proxy:
        assert seen(proxy)


@pytest.mark.parametrize(
    ("choice", "passphrase", "reason"),
    [
        ("nobody", "", "INVALID_REQUEST"),
        ("elsewhere", "pass", "INVALID_REQUEST"),
        ("elsewhere", "", "MASTER_KEY_UNAVAILABLE"),
    ],
)
def test_a_master_key_that_cannot_be_used_leaves_the_old_one_in_force(
    proxy: Proxied, monkeypatch: pytest.MonkeyPatch, choice: str, passphrase: str, reason: str
) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "x")
    allow(proxy.home.path, elsewhere="vault:http://127.0.0.1:9/transit/keys/x", nobody="nobody:x")
    proxy.ingest("wifi", [SESSION])
    with pytest.raises(grpc.RpcError) as refused:
        rotate(proxy, choice, passphrase)
    assert refusal(refused.value)[1].reason == f"ERROR_REASON_{reason}"
    assert sorted(file.name for file in proxy.home.path.glob("master*")) == ["master.key"]
    assert seen(proxy)


class FakeVault(BaseHTTPRequestHandler):
    """A vault of an attacker's: accepts whatever is asked, and keeps what it gets."""

    received: ClassVar[list[bytes]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.received.append(body + (self.headers.get("X-Vault-Token") or "").encode())
        plaintext = json.loads(body).get("plaintext") or json.loads(body)["ciphertext"].removeprefix("vault:v1:")
        answer = json.dumps({"data": {"ciphertext": f"vault:v1:{plaintext}", "plaintext": plaintext}}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST  # noqa: N815

    def log_message(self, *_: object) -> None: ...


def test_a_request_cannot_bring_an_address_to_send_the_keys_to(
    proxy: Proxied, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "the proxy's own token")
    proxy.ingest("wifi", [SESSION])
    with HTTPServer(("127.0.0.1", 0), FakeVault) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for choice in (
            f"vault:http://127.0.0.1:{server.server_port}/transit/keys/records",
            f"pkcs11:token=t;object=o?module-path={tmp_path}/library.so",
            "aws-kms:arn:aws:kms:eu-central-1:111122223333:key/x",
        ):
            with pytest.raises(grpc.RpcError) as refused:
                rotate(proxy, choice)
            assert refusal(refused.value)[1].reason == "ERROR_REASON_INVALID_REQUEST"
            assert "expected one of passphrase (allowed-master-keys.toml" in str(refused.value.details())
        server.shutdown()
    assert FakeVault.received == []
    assert seen(proxy)


@pytest.mark.parametrize("text", ["vault = 3", "vault", "[vault]\nmaster_key = 'x'"])
def test_a_file_that_is_wrong_allows_nothing_and_says_so(proxy: Proxied, text: str) -> None:
    proxy.home.path.joinpath("allowed-master-keys.toml").write_text(text)
    with pytest.raises(grpc.RpcError) as refused:
        rotate(proxy, "vault")
    assert "expected lines such as hsm" in str(refused.value.details())


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with two data keys."""
    home = Home(tmp_path / "home")
    master = home.master_key(PASSPHRASE)
    store = trusted_store.open_store(home.trusted_store)
    keyring = Keyring(store, master, epoch_keys=EpochKeyHolders(home).open(store, "passphrase"))
    for epoch in (665, 666):
        keyring.ensure("wifi", epoch)
    return home


def derived(keyring: Keyring, *epochs: int) -> list[GroupKeys]:
    """Keys derived from the data keys of epochs."""
    return [keyring.group_keys("wifi", KeyId(epoch), "core") for epoch in epochs]


def opened(home: Home, passphrase: str) -> tuple[Engine, Keyring]:
    """The keyring, opened as by a proxy that starts."""
    store = trusted_store.open_store(home.trusted_store)
    folder = folder_in_force(store)
    epoch_keys = EpochKeyHolders(home).open(store, "passphrase")
    return store, Keyring(store, described_by(home, folder).master_key(passphrase), folder, epoch_keys)


class Crash(BaseException):
    """Stands for the death of the process."""


@pytest.mark.parametrize("point", ["made", "wrapped", "in force"])
def test_a_crash_at_any_point_leaves_one_master_key_that_opens_everything(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    store, keyring = opened(home, PASSPHRASE)
    before = derived(keyring, 665, 666)
    copy = Home(tmp_path / "as the crash left it")

    def crash(*_: object) -> int:
        with store.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copytree(home.path, copy.path)
        raise Crash

    def crash_within(
        _self: Keyring, _old: object, new: LocalMasterKey, rewrapped: dict[Any, Any], connection: object = None
    ) -> None:
        if connection is not None:
            shutil.copytree(home.path, copy.path)
            raise Crash

    rotation = Rotation(home, store, keyring)
    with monkeypatch.context() as then:
        if point == "made":
            then.setattr(Keyring, "rewrap", crash)
        elif point == "wrapped":
            then.setattr(Keyring, "_rewrap", crash_within)
        else:
            then.setattr(Rotation, "_clear_away", crash)
        with pytest.raises(Crash):
            rotation.rotate("passphrase", NEW)
    store, keyring = opened(copy, NEW if point == "in force" else PASSPHRASE)
    assert derived(keyring, 665, 666) == before
    Rotation(copy, store, keyring)
    assert (copy.path / "master.key").exists() == (point != "in force")


def test_keys_made_while_it_rotates_are_wrapped_by_the_new_one(home: Home) -> None:
    store, keyring = opened(home, PASSPHRASE)
    rotation = Rotation(home, store, keyring)
    stop = threading.Event()
    made: list[int] = []

    def make() -> None:
        while not stop.is_set():
            keyring.ensure("wifi", 1_000 + len(made))
            made.append(1_000 + len(made))

    thread = threading.Thread(target=make)
    thread.start()
    for _ in range(3):
        rotation.rotate("passphrase", NEW)
    stop.set()
    thread.join()
    _, again = opened(home, NEW)
    assert again.epochs("wifi") == [665, 666, *made]
    assert derived(again, *made) == derived(keyring, *made)


def test_a_second_proxy_that_missed_a_rotation_makes_no_unreadable_key(home: Home) -> None:
    store, keyring = opened(home, PASSPHRASE)
    _, other = opened(home, PASSPHRASE)
    Rotation(home, store, keyring).rotate("passphrase", NEW)
    with pytest.raises(KeyUnavailableError, match="another proxy has rotated the master key"):
        other.ensure("wifi", 700)
    assert keyring.epochs("wifi") == [665, 666]


def test_a_data_key_that_does_not_open_stops_the_rotation_before_any_change(home: Home) -> None:
    store, _ = opened(home, PASSPHRASE)
    stranger = Keyring(store, LocalMasterKey(Key.generate()))
    stranger.ensure("wifi", 700)
    store, keyring = opened(home, PASSPHRASE)
    with pytest.raises(KeyUnavailableError):
        Rotation(home, store, keyring).rotate("passphrase", NEW)
    assert folder_in_force(store) == ""
    assert derived(opened(home, PASSPHRASE)[1], 665)
