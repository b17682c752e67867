"""An older home brings back destroyed keys and lost rights: with approvals it waits for a second person."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from privacyplease.client import Client
from privacyplease.client.errors import ApprovalRequiredError
from privacyplease.proxy.assembly.proxy import Proxy
from privacyplease.proxy.assembly.settings import ProxySettings
from privacyplease.proxy.backup import archive
from privacyplease.proxy.backup.archive import BackupContents
from privacyplease.proxy.keys.home import Home
from tests.services.certificates import Made
from tests.services.polling import eventually
from tests.services.storage import StorageProcess

POLICY = """
[clients.operator]
roles = ["ingest", "count", "admin", "audit", "keys", "approver"]

[clients.dave]
roles = ["approver"]
"""
DAY = datetime(2024, 10, 1, tzinfo=UTC), datetime(2024, 10, 2, tzinfo=UTC)


class Site:
    """A proxy's home that is lost and restored, beside a storage server that stays."""

    def __init__(self, folder: Path, storage: StorageProcess, made: Made) -> None:
        self.folder, self.storage, self.made = folder, storage, made
        self.home, self.backup = Home(folder / "home"), folder / "backup.tar"
        self.home.path.mkdir(mode=0o700)
        self.address = ""

    @contextmanager
    def serving(self) -> Iterator[Proxy]:
        own: dict[str, Any] = {
            "certificates": self.made["proxy"],
            "storage_certificates": self.made["proxy-to-storage"],
        }
        proxy = Proxy(ProxySettings(self.home, self.storage.address, passphrase="correct horse", **own))
        self.address = f"127.0.0.1:{proxy.bind('127.0.0.1:0')}"
        proxy.start()
        try:
            yield proxy
        finally:
            proxy.stop(0)

    def client(self, name: str) -> Client:
        folder = self.made[f"clients/{name}"]
        if not folder.exists():
            self.made.certificates.issue(name, datetime.now(UTC))
        return Client(self.address, certificates=folder)

    def back_up_and_restore(self, policy: str) -> None:
        self.home.policy.write_text(policy)
        with self.serving():
            archive.save(BackupContents(self.home), self.backup)
        self.restore()

    def restore(self) -> None:
        shutil.rmtree(self.home.path)
        archive.restore(self.backup, self.home, self.folder / "restored-certificates")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Made(tmp_path)
    with StorageProcess(f"sqlite:///{tmp_path / 'cells.db'}", certificates=made["storage"]) as storage:
        yield Site(tmp_path, storage, made)


def events(client: Client) -> list[tuple[str, str]]:
    return [(entry.event, entry.who) for entry in client.audit_entries() if entry.event in ("restoring", "restored")]


def test_a_restored_home_serves_once_a_second_person_has_approved_it(site: Site) -> None:
    site.back_up_and_restore(POLICY)
    with site.serving() as proxy, site.client("operator") as operator, site.client("dave") as dave:
        with pytest.raises(ApprovalRequiredError, match="this home was restored"):
            operator.count(*DAY)
        assert operator.status().policy.approvals_waiting == 1
        assert events(operator) == [("restoring", "")]
        (asked,) = dave.approvals()
        assert asked.rpc == "Home/Restore"
        assert f"sha256 {hashlib.sha256(site.backup.read_bytes()).hexdigest()}" in asked.request
        assert asked.request.startswith(f"backup of {datetime.now(UTC):%Y}")
        assert site.home.restored.exists()
        dave.decide(asked.number, grant=True)
        assert eventually(lambda: proxy.locked is None)
        assert operator.count(*DAY) == 0
        assert events(operator) == [("restoring", ""), ("restored", "dave")]
    assert not site.home.restored.exists()
    with site.serving(), site.client("operator") as operator:
        assert operator.count(*DAY) == 0


def test_a_restore_that_is_denied_is_not_done_and_a_later_start_asks_again(site: Site) -> None:
    site.back_up_and_restore(POLICY)
    with site.serving(), site.client("operator") as operator, site.client("dave") as dave:
        dave.decide(dave.approvals()[0].number, grant=False)

        def refused() -> str:
            with pytest.raises(ApprovalRequiredError) as raised:
                operator.count(*DAY)
            return str(raised.value)

        assert eventually(lambda: "was denied as number 1" in refused())
    assert site.home.restored.exists()
    for _ in range(2):  # what waits already is not asked for twice
        with site.serving(), site.client("dave") as dave:
            assert [(each.number, each.state.value) for each in dave.approvals()] == [(2, "waiting"), (1, "denied")]


def test_a_roll_back_that_was_accepted_waits_too(site: Site) -> None:
    site.home.policy.write_text(POLICY)
    with site.serving():
        pass
    archive.accept(site.home)
    with site.serving(), site.client("operator") as operator, site.client("dave") as dave:
        assert "roll-back accepted" in dave.approvals()[0].request
        with pytest.raises(ApprovalRequiredError):
            operator.count(*DAY)


def test_with_approvals_off_a_home_is_restored_at_once_and_on_record(site: Site) -> None:
    site.back_up_and_restore('approvals = "off"\n' + POLICY)
    with site.serving(), site.client("operator") as operator:
        assert operator.count(*DAY) == 0
        assert events(operator) == [("restored", "")]


def test_turning_approvals_off_in_a_restored_home_does_not_help(site: Site) -> None:
    site.back_up_and_restore(POLICY)
    site.home.policy.write_text('approvals = "off"\n' + POLICY)
    with site.serving(), site.client("operator") as operator, site.client("dave") as dave:
        with pytest.raises(ApprovalRequiredError):
            operator.count(*DAY)
        assert {each.rpc for each in dave.approvals()} == {"Home/Restore", "PolicyFile/Change"}


def test_the_marker_of_a_restored_home_is_plain(site: Site) -> None:
    """Who restores it can misstate which backup it was, but not the time in the manifest."""
    site.back_up_and_restore(POLICY)
    site.home.restored.write_text(json.dumps({"made_at": "2034-01-01T00:00:00Z", "sha256": "00" * 32}))
    with site.serving(), site.client("dave") as dave:
        assert dave.approvals()[0].request == (
            f"backup of 2034-01-01T00:00:00Z, sha256 {'00' * 32}; the home's manifest was last changed: never"
        )
