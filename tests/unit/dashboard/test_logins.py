"""Passwords and sessions."""

from __future__ import annotations

import stat
from datetime import timedelta
from pathlib import Path

import pytest

from privacyplease.dashboard import DashboardSettings
from privacyplease.dashboard.logins import LoginSessions
from privacyplease.dashboard.passwords import PasswordFile

PASSWORD = "correct horse battery staple"


def test_passwords_are_stored_as_hashes_in_a_file_that_only_its_owner_can_read(tmp_path: Path) -> None:
    file = PasswordFile(tmp_path / "dashboard" / "passwords")
    file.set("alice", PASSWORD)
    file.set("bob", f"{PASSWORD} too")
    assert file.names() == ["alice", "bob"]
    text = file.path.read_text()
    assert text.startswith("alice:$argon2id$")
    assert PASSWORD not in text
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_only_the_right_password_of_a_known_user_is_accepted(tmp_path: Path) -> None:
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
def test_an_invalid_name_or_a_short_password_is_refused(tmp_path: Path, name: str, password: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        PasswordFile(tmp_path / "passwords").set(name, password)


def test_a_session_ends_when_idle_and_at_the_end_of_its_lifetime() -> None:
    now = [0.0]
    settings = DashboardSettings(None, idle=timedelta(seconds=10), lifetime=timedelta(seconds=25))
    sessions = LoginSessions(settings, clock=lambda: now[0])
    active, idle = sessions.begin("alice"), sessions.begin("bob")
    for now[0] in (9.0, 18.0):
        assert sessions.user(active) == "alice"
    assert sessions.user(idle) is None
    now[0] = 25.0
    assert sessions.user(active) is None


def test_an_ended_session_has_no_user() -> None:
    sessions = LoginSessions(DashboardSettings(None))
    token = sessions.begin("alice")
    sessions.end(token)
    assert sessions.user(token) is None
    assert sessions.user("") is None
