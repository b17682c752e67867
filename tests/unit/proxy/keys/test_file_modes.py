"""The home is closed to every other account, or the proxy does not start."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from privacyplease.proxy.__main__ import main
from privacyplease.proxy.errors import ConfigurationError
from privacyplease.proxy.keys import master_key
from privacyplease.proxy.keys.file_modes import require_private
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.trusted_store import store as trusted_store


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home with a file of each kind, made under the usual umask."""
    monkeypatch.setattr(master_key, "ARGON2", {"iterations": 1, "lanes": 1, "memory_kib": 8})
    home = Home(tmp_path / "the home")
    home.master_key(None)
    trusted_store.open_store(home.trusted_store).dispose()
    for name in ("trusted.db-wal", "trusted.db-shm", "master-2/master.key", "audit/audit-1.jsonl", "policy.toml"):
        file = home.path / name
        file.parent.mkdir(mode=0o700, exist_ok=True)
        file.touch(mode=0o600)
    (home.path / "datasets").mkdir()
    (home.path / "datasets" / "badges.toml").touch(mode=0o644)
    return home


SECRETS = (
    ".",
    "trusted.db",
    "trusted.db-wal",
    "trusted.db-shm",
    "master.key",
    "passphrase",
    "master-2",
    "master-2/master.key",
    "audit",
    "audit/audit-1.jsonl",
)


def test_a_new_home_is_accessible_only_to_its_owner(home: Home) -> None:
    require_private(home)


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("bits", [0o040, 0o004, 0o020, 0o002])
def test_a_home_that_others_can_read_or_write_is_refused_with_the_command_that_closes_it(
    home: Home, name: str, bits: int
) -> None:
    file = home.path / name
    file.chmod(stat.S_IMODE(file.stat().st_mode) | bits)
    with pytest.raises(ConfigurationError, match="others must not read or change it") as refused:
        require_private(home)
    told = str(refused.value)
    assert told.startswith(f"{file}: ")
    subprocess.run(["sh", "-c", told.partition("run: ")[2]], check=True)
    require_private(home)


@pytest.mark.parametrize("name", ["policy.toml", "datasets", "datasets/badges.toml"])
def test_rules_that_others_can_change_are_refused_and_those_they_can_read_are_not(home: Home, name: str) -> None:
    file = home.path / name
    file.chmod(0o755)
    require_private(home)
    file.chmod(0o775)
    with pytest.raises(ConfigurationError, match="others must not change it"):
        require_private(home)


def test_a_folder_of_definitions_only_is_closed_on_first_use(tmp_path: Path) -> None:
    (tmp_path / "home" / "datasets").mkdir(parents=True)
    home = Home(tmp_path / "home")
    require_private(home)
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o700


def test_the_proxy_does_not_start_on_a_home_that_others_can_read(
    home: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "umask", lambda _: 0)  # it would apply to this process
    home.path.chmod(0o755)
    assert main(["--home", str(home.path), "--insecure", "--storage-server", "127.0.0.1:1"]) == 2
    assert f"error: {home.path}: expected mode 0700" in capsys.readouterr().err
