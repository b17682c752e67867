"""A proxy whose master key a provider holds: it answers, or says why it does not."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest

from privacyplease.proxy.v1 import admin_service_pb2, presence_service_pb2
from tests.services.cells import refusal
from tests.services.openbao import OpenBao
from tests.services.proxy import interval, proxying
from tests.services.storage import Served

SESSION = {
    "client_mac": "02:00:00:00:00:01",
    "ap_name": "ap-1",
    "association_time": "2024-10-01T08:00:00Z",
    "session_duration": 60.0,
}
QUESTION = presence_service_pb2.FindSessionsRequest(
    device="02:00:00:00:00:01", interval=interval(1_727_740_800_000, 1_727_827_200_000), purpose="test"
)


def home_with(tmp_path: Path, choice: str) -> Path:
    (tmp_path / "home").mkdir(exist_ok=True)
    (tmp_path / "home" / "master.toml").write_text(f'master_key = "{choice}"\n')
    return tmp_path / "home"


def test_a_proxy_works_with_a_vault(
    tmp_path: Path, storage: Served, bao: OpenBao, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_TOKEN", bao.token)
    home = home_with(tmp_path, bao.choice("records"))
    with proxying(home, storage.address) as proxy:
        proxy.ingest("wifi", [SESSION])
    with proxying(home, storage.address) as proxy:
        (page,) = proxy.presence.FindSessions(QUESTION)
    assert page.present
    assert not (home / "master.key").exists()


def test_a_proxy_whose_vault_is_unavailable_is_locked_with_the_reason(
    tmp_path: Path, storage: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "token-of-mine")
    with (
        proxying(home_with(tmp_path, "vault:http://127.0.0.1:9/transit/keys/records"), storage.address) as proxy,
        pytest.raises(grpc.RpcError) as refused,
    ):
        proxy.admin.GetStatus(admin_service_pb2.GetStatusRequest())
    status, info, _ = refusal(refused.value)
    assert (status.name, info.reason) == ("UNAVAILABLE", "ERROR_REASON_MASTER_KEY_UNAVAILABLE")
    assert info.metadata == {"provider": "vault"}


@pytest.mark.parametrize("text", ["", "master_key = 1 2", 'master = "x"', 'master_key = "passphrase"\nother = 1'])
def test_a_wrong_master_toml_is_named(tmp_path: Path, storage: Served, text: str) -> None:
    home = home_with(tmp_path, "")
    (home / "master.toml").write_text(text)
    with pytest.raises(Exception, match=r"master\.toml: expected exactly one entry"), proxying(home, storage.address):
        pass
