import os
from pathlib import Path

import pytest

from privacyplease.proxy.access.policy import Role
from privacyplease.proxy.access.policy_file import PolicyFile
from privacyplease.proxy.errors import ConfigurationError
from privacyplease.proxy.records import dataset
from tests.services.fake_clock import FakeClock

DATASETS = dataset.load()
COUNT, ADMIN = (f'[clients.alice]\nroles = ["{role}"]\n' for role in ("count", "admin"))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def roles(policies: PolicyFile) -> set[Role]:
    return set(policies.current().of("alice").roles)


def test_the_created_file_allows_the_operator_everything_and_others_nothing(tmp_path: Path) -> None:
    policy = PolicyFile(tmp_path / "policy.toml", DATASETS).current()
    assert policy.of("operator").roles == policy.plaintext.roles == set(Role)
    assert set(policy.clients) == {"operator", "dashboard"}
    assert policy.of("dashboard").acts_for("operator")  # it may ask nothing in its own name
    assert (tmp_path / "policy.toml").stat().st_mode & 0o777 == 0o600


def test_an_existing_file_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(COUNT)
    assert roles(PolicyFile(tmp_path / "policy.toml", DATASETS)) == {Role.COUNT}
    assert (tmp_path / "policy.toml").read_text() == COUNT


@pytest.mark.parametrize("content", [b"[clients.alice", b'[clients.alice]\nroles = ["root"]', b"\xff"])
def test_an_invalid_file_is_refused_at_start(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=str(file)):
        PolicyFile(file, DATASETS)


def test_a_change_takes_effect_after_a_second(tmp_path: Path, clock: FakeClock) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(COUNT)
    policies = PolicyFile(file, DATASETS, clock)
    before = policies.loaded_at
    file.write_text(ADMIN)
    assert roles(policies) == {Role.COUNT}  # the file was checked less than a second ago
    clock.now = 1
    assert roles(policies) == {Role.ADMIN}
    assert policies.loaded_at > before


def test_a_replaced_file_of_the_same_size_and_time_takes_effect(tmp_path: Path, clock: FakeClock) -> None:
    file, other = tmp_path / "policy.toml", tmp_path / "other"
    file.write_text(COUNT)
    policies = PolicyFile(file, DATASETS, clock)
    other.write_text(ADMIN)
    times = file.stat()
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    other.replace(file)
    clock.now = 1
    assert roles(policies) == {Role.ADMIN}


def test_an_invalid_change_is_reported_and_keeps_the_previous_policy(
    tmp_path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(COUNT)
    policies = PolicyFile(file, DATASETS, clock)
    before = policies.loaded_at
    file.write_text('[clients.alice]\nroles = ["root"]\n')
    for clock.now in (1, 2, 3):
        assert roles(policies) == {Role.COUNT}
    assert "clients.alice.roles" in policies.problem
    assert policies.loaded_at == before
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1
    file.write_text(ADMIN)
    clock.now = 4
    assert roles(policies) == {Role.ADMIN}
    assert policies.problem == ""


def test_a_missing_file_keeps_the_previous_policy(tmp_path: Path, clock: FakeClock) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(COUNT)
    policies = PolicyFile(file, DATASETS, clock)
    file.unlink()
    clock.now = 1
    assert roles(policies) == {Role.COUNT}
    assert "cannot be read" in policies.problem
