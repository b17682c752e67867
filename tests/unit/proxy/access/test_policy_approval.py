"""Who can write to the proxy's home alone changes nothing about who may ask what, except to shut somebody out."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select, update

from privacyplease.proxy.access import __main__ as offline
from privacyplease.proxy.access.approvals import DAY_MS, LABEL, MACHINE, Approvals, State
from privacyplease.proxy.access.policy import Role
from privacyplease.proxy.access.policy_approval import PolicyApproval
from privacyplease.proxy.access.policy_file import PolicyFile
from privacyplease.proxy.access.policy_record import PolicyRecord
from privacyplease.proxy.audit.log import AuditLog
from privacyplease.proxy.audit.reader import KEY, OWNER
from privacyplease.proxy.errors import ConfigurationError, PermissionDeniedError
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.records import dataset
from privacyplease.proxy.trusted_store import store as trusted_store
from privacyplease.proxy.trusted_store.tables import policies
from tests.services.fake_clock import FakeClock

DATASETS = dataset.load()
POLICY = """
[clients.carol]
roles = ["keys"]
[clients.dave]
roles = ["approver"]
"""
MALLORY = '[clients.mallory]\nroles = ["keys", "approver"]\n'
OFF = 'approvals = "off"\n'


class Site:
    """A proxy's home, of which each `start` is a proxy that starts on it."""

    def __init__(self, folder: Path, policy: str) -> None:
        self.home = Home(folder / "home")
        self.home.path.mkdir(mode=0o700)
        self.home.policy.write_text(policy)
        self.clock, self.hours = FakeClock(), FakeClock(1_700_000_000)
        self.start()

    def start(self, *, plaintext: bool = False) -> None:
        self.policies = PolicyFile(self.home.policy, DATASETS, self.clock)
        master = self.home.master_key(None)
        self.store = trusted_store.open_store(self.home.trusted_store, durable=False)
        keyring = Keyring(self.store, master)
        self.log = AuditLog(self.home.audit, self.store, keyring)
        self.approvals = Approvals(self.store, keyring.derived(OWNER, KEY, LABEL), self.hours)
        record = PolicyRecord(self.store, keyring, self.log)
        self.policies.hold(PolicyApproval(record, self.approvals, DATASETS, plaintext=plaintext))

    def write(self, text: str) -> None:
        self.home.policy.write_text(text)
        self.look()

    def look(self) -> None:
        self.clock.now += 1
        self.policies.current()

    def roles(self, name: str) -> set[Role]:
        self.look()
        return set(self.policies.current().of(name).roles)

    def waiting(self) -> list[int]:
        return [each.number for each in self.approvals.list() if each.state is State.WAITING]

    def decide(self, *, grant: bool) -> None:
        (number,) = self.waiting()
        self.approvals.decide(number, "dave", grant=grant)
        self.look()

    def recorded(self) -> list[str]:
        entries = [entry for entry in self.log.entries() if entry["event"] == "policy"]
        return [entry["reason"].partition(" sha256 ")[0] for entry in entries]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, POLICY)


def test_a_changed_file_is_in_force_once_a_second_person_has_approved_it(site: Site) -> None:
    site.write(POLICY + MALLORY)
    assert site.roles("mallory") == set()
    assert "waits for the approval of a second person, as number 1" in site.policies.problem
    (asked,) = site.approvals.list()
    digest = hashlib.sha256((POLICY + MALLORY).encode()).hexdigest()
    assert (asked.rpc, asked.asked_by) == ("PolicyFile/Change", MACHINE)
    assert asked.request == f"sha256 {digest}; added mallory: keys, approver"
    site.decide(grant=True)
    assert site.roles("mallory") == {Role.KEYS, Role.APPROVER}
    assert site.policies.problem == ""
    assert site.recorded() == ["first policy", "approved"]
    assert [entry.get("who") for entry in site.log.entries()] == [None, "dave"]


def test_the_policy_in_force_survives_a_restart_with_a_changed_file(site: Site) -> None:
    site.home.policy.write_text(OFF + MALLORY)
    for _ in range(2):
        site.start()
        assert site.roles("mallory") == set()
        assert site.roles("carol") == {Role.KEYS}
        assert len(site.waiting()) == 1
    site.home.policy.unlink()  # the proxy makes another, without approvals
    site.start()
    assert site.policies.current().approvals
    assert site.roles("operator") == set()


def test_what_was_granted_is_this_content_and_no_later_one(site: Site) -> None:
    site.write(POLICY + '[clients.erin]\nroles = ["count"]\n')
    (number,) = site.waiting()
    site.home.policy.write_text(POLICY + MALLORY)
    site.approvals.decide(number, "dave", grant=True)
    assert site.roles("mallory") == set()
    assert site.waiting() == [number + 1]
    site.write(POLICY + '[clients.erin]\nroles = ["count"]\n')  # its grant was withdrawn
    assert site.roles("erin") == set()


def test_turning_approvals_off_needs_an_approval(site: Site) -> None:
    site.write(OFF + POLICY)
    assert site.policies.current().approvals
    assert "approvals: required to off" in site.approvals.list()[0].request
    site.decide(grant=True)
    assert not site.policies.current().approvals
    site.write(OFF + MALLORY)
    assert site.roles("mallory") == {Role.KEYS, Role.APPROVER}
    assert site.recorded() == ["first policy", "approved", "without approval"]


def test_a_revocation_does_not_wait_and_cannot_be_taken_back_alone(site: Site) -> None:
    revoked = '[revoked]\nnames = ["carol"]\n'
    site.write(POLICY + MALLORY + revoked)  # with a change that waits
    assert site.roles("carol") == site.roles("mallory") == set()
    assert len(site.waiting()) == 1
    site.write(POLICY + revoked)
    assert (site.waiting(), site.policies.problem) == ([], "")
    site.write(POLICY)
    site.start()
    assert site.roles("carol") == set()
    assert "no longer revoked: carol" in site.approvals.list()[0].request
    site.decide(grant=True)
    assert site.roles("carol") == {Role.KEYS}
    assert site.recorded() == ["first policy", "revocation", "approved"]


def test_the_last_approver_can_be_revoked(site: Site) -> None:
    site.write(POLICY + '[revoked]\nnames = ["dave"]\n')
    assert site.roles("dave") == set()


def test_a_change_that_was_denied_or_has_expired_asks_again_when_the_file_is_written_again(site: Site) -> None:
    site.write(POLICY + MALLORY)
    site.decide(grant=False)
    site.look()
    assert "was denied as number 1" in site.policies.problem
    assert site.waiting() == []
    site.write(POLICY + MALLORY + " ")
    assert site.waiting() == [2]
    site.hours.now += DAY_MS / 1_000
    site.look()
    assert "was expired as number 2" in site.policies.problem
    assert site.roles("mallory") == set()


def test_a_file_under_which_nothing_could_be_approved_is_refused(site: Site, tmp_path: Path) -> None:
    site.write(POLICY.replace('["approver"]', '["count"]'))
    assert "expected a client with the role approver" in site.policies.problem
    assert site.waiting() == []
    (tmp_path / "other").mkdir()
    with pytest.raises(ConfigurationError, match="expected a client with the role approver"):
        Site(tmp_path / "other", '[clients.carol]\nroles = ["keys"]\n')


def test_comments_and_order_are_no_change(site: Site) -> None:
    site.write("# carol holds the keys\n" + POLICY)
    assert (site.waiting(), site.policies.problem) == ([], "")


def remove(site: Site) -> None:
    with site.store.begin() as connection:
        connection.execute(delete(policies))


def forge(site: Site) -> None:
    with site.store.begin() as connection:
        content = {"policy": OFF + MALLORY, "names": [], "certificates": []}
        connection.execute(update(policies).values(policy=json.dumps(content).encode()))


def bring_back_an_earlier_one(site: Site) -> None:
    site.write(OFF + POLICY)
    site.decide(grant=True)
    with site.store.connect() as connection:
        earlier = connection.execute(select(policies)).one()._asdict()
    site.write(POLICY)
    assert site.policies.current().approvals
    remove(site)
    with site.store.begin() as connection:
        connection.execute(insert(policies).values(earlier))


@pytest.mark.parametrize("attack", [remove, forge, bring_back_an_earlier_one])
def test_a_record_that_was_removed_forged_or_replaced_while_the_proxy_was_down_is_refused(
    attack: Callable[[Site], None], site: Site
) -> None:
    attack(site)
    site.home.policy.write_text(OFF + MALLORY)
    with pytest.raises(ConfigurationError, match="expected the record of the policy in force, got"):
        site.start()


def test_a_snapshot_of_the_whole_home_brings_back_its_policy_and_a_shorter_log(site: Site, tmp_path: Path) -> None:
    site.write(POLICY + MALLORY)
    site.decide(grant=True)
    shutil.copytree(site.home.path, tmp_path / "snapshot")
    site.write(POLICY)
    site.decide(grant=True)
    noted = site.log.remembered().number
    shutil.rmtree(site.home.path)
    shutil.copytree(tmp_path / "snapshot", site.home.path)
    site.start()
    assert site.roles("mallory") == {Role.KEYS, Role.APPROVER}
    assert not site.log.verify().findings
    assert site.log.remembered().number < noted


def test_who_is_locked_out_puts_the_file_in_force_offline_and_on_record(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.write(POLICY + '[revoked]\nnames = ["dave"]\n')
    new = POLICY.replace("dave", "erin")
    site.home.policy.write_text(new)
    assert offline.main(["--home", str(site.home.path)]) == 0
    assert json.loads(capsys.readouterr().out) == {"policy": hashlib.sha256(new.encode()).hexdigest()}
    site.start()
    assert site.roles("erin") == {Role.APPROVER}
    assert site.policies.problem == ""
    assert site.recorded() == ["first policy", "revocation", "offline"]
    assert not site.log.verify().findings


def test_offline_needs_the_keys_and_a_policy_that_names_an_approver(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.home.policy.write_text(POLICY.replace('["approver"]', "[]"))
    assert offline.main(["--home", str(site.home.path)]) == 2
    assert "role approver" in capsys.readouterr().err
    site.home.policy.write_text(OFF)
    (site.home.path / "passphrase").write_text("a guess\n")
    assert offline.main(["--home", str(site.home.path)]) == 2
    assert site.recorded() == ["first policy"]


def test_who_has_asked_at_the_machine_is_no_client(site: Site) -> None:
    site.write(POLICY + MALLORY)
    with pytest.raises(PermissionDeniedError):
        site.approvals.decide(site.waiting()[0], MACHINE, grant=True)
