import os
from pathlib import Path

import pytest

from privacyplease.proxy.access.policy import Role
from privacyplease.proxy.access.policy_file import PolicyFile
from privacyplease.proxy.errors import ConfigurationError
from privacyplease.proxy.records import dataset

DATASETS = dataset.load()
COUNT, ADMIN = (f'[clients.alice]\nroles = ["{role}"]\n' for role in ("count", "admin"))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def roles(policies: PolicyFile) -> set[Role]:
    return set(policies.current().of("alice").roles)


def test_a_file_is_made_that_lets_the_operator_do_everything_and_nobody_else_anything(tmp_path: Path) -> None:
    policy = PolicyFile(tmp_path / "policy.toml", DATASETS).current()
    assert policy.of("operator").roles == policy.plaintext.roles == set(Role)
    assert set(policy.clients) == {"operator", "dashboard"}
    assert policy.of("dashboard").acts_for("operator")  # and asks nothing in its own name
    assert (tmp_path / "policy.toml").stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_there_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(COUNT)
    assert roles(PolicyFile(tmp_path / "policy.toml", DATASETS)) == {Role.COUNT}
    assert (tmp_path / "policy.toml").read_text() == COUNT


@pytest.mark.parametrize("content", [b"[clients.alice", b'[clients.alice]\nroles = ["root"]', b"\xff"])
def test_a_proxy_does_not_start_with_a_bad_file(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=str(file)):
        PolicyFile(file, DATASETS)


def test_a_change_is_taken_at_the_next_look(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(COUNT)
    policies = PolicyFile(file, DATASETS, clock)
    before = policies.loaded_at
    file.write_text(ADMIN)
    assert roles(policies) == {Role.COUNT}  # it was looked at just now
    clock.now = 1
    assert roles(policies) == {Role.ADMIN}
    assert policies.loaded_at > before


def test_a_change_that_keeps_the_size_and_the_time_is_taken_if_the_file_is_another(
    tmp_path: Path, clock: Clock
) -> None:
    file, other = tmp_path / "policy.toml", tmp_path / "other"
    file.write_text(COUNT)
    policies = PolicyFile(file, DATASETS, clock)
    other.write_text(ADMIN)
    times = file.stat()
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    other.replace(file)
    clock.now = 1
    assert roles(policies) == {Role.ADMIN}


def test_a_bad_change_leaves_the_policy_of_before_and_is_told(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
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


def test_a_file_that_is_gone_leaves_the_policy_of_before(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(COUNT)
    policies = PolicyFile(file, DATASETS, clock)
    file.unlink()
    clock.now = 1
    assert roles(policies) == {Role.COUNT}
    assert "cannot be read" in policies.problem
