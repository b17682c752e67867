from __future__ import annotations

from pathlib import Path

import pytest

from privacyplease.cli.commands.certs import _is_known, _table


@pytest.mark.parametrize("name", ["alice", "alice.smith"])
def test_the_suggested_table_makes_a_client_known(name: str, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text("[clients.operator]\n")
    assert not _is_known(name, policy)
    policy.write_text(f'[{_table(name)}]\nroles = ["count"]\n')
    assert _is_known(name, policy)


@pytest.mark.parametrize("damaged", [b"[clients", b"clients = 3", b"\xff"])
def test_nothing_is_said_of_a_policy_that_cannot_be_read(damaged: bytes, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_bytes(damaged)
    assert _is_known("alice", policy)


def test_before_the_first_start_only_the_clients_of_the_initial_policy_are_known(tmp_path: Path) -> None:
    known = [name for name in ("operator", "dashboard", "alice") if _is_known(name, tmp_path / "policy.toml")]
    assert known == ["operator", "dashboard"]
