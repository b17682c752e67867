"""Passwords and sessions."""

from __future__ import annotations

import stat
from datetime import timedelta
from pathlib import Path

import pytest

from privacyplease.dashboard import Settings
from privacyplease.dashboard.logins import Logins
from privacyplease.dashboard.passwords import PasswordFile

PASSWORD = "correct horse battery staple"


def test_a_password_is_kept_as_a_hash_for_its_owner_alone(tmp_path: Path) -> None:
    file = PasswordFile(tmp_path / "dashboard" / "passwords")
    file.set("alice", PASSWORD)
    file.set("bob", f"{PASSWORD} too")
    assert file.names() == ["alice", "bob"]
    text = file.path.read_text()
    assert text.startswith("alice:$argon2id$")
    assert PASSWORD not in text
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_only_the_right_name_with_the_right_password_gets_in(tmp_path: Path) -> None:
    file = PasswordFile(tmp_path / "passwords")
    assert not file.verify("alice", PASSWORD)
    file.set("alice", PASSWORD)
    assert file.verify("alice", PASSWORD)
    assert not file.verify("alice", "wrong")
    assert not file.verify("bob", PASSWORD)
    file.set("alice", "another long password")
    assert not file.verify("alice", PASSWORD)
    file.path.write_text("alice:no hash at all\n")
    assert not file.verify("alice", PASSWORD)


@pytest.mark.parametrize(("name", "password"), [("Alice", PASSWORD), ("a:b", PASSWORD), ("alice", "short")])
def test_what_is_no_name_or_too_short_is_refused(tmp_path: Path, name: str, password: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        PasswordFile(tmp_path / "passwords").set(name, password)


def test_a_session_ends_when_it_is_not_used_and_at_its_time() -> None:
    now = [0.0]
    settings = Settings(None, idle=timedelta(seconds=10), lifetime=timedelta(seconds=25))
    logins = Logins(settings, clock=lambda: now[0])
    used, forgotten = logins.begin("alice"), logins.begin("bob")
    for now[0] in (9.0, 18.0):
        assert logins.person(used) == "alice"
    assert logins.person(forgotten) is None
    now[0] = 25.0
    assert logins.person(used) is None


def test_a_session_that_was_ended_is_gone() -> None:
    logins = Logins(Settings(None))
    name = logins.begin("alice")
    logins.end(name)
    assert logins.person(name) is None
    assert logins.person("") is None
