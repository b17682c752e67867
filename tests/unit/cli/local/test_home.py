import stat
from pathlib import Path

import pytest

from privacyplease.cli.failures import CommandError
from privacyplease.cli.local.daemon import Daemon
from privacyplease.cli.local.home import Home, Running


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.make()
    return home


def test_only_its_owner_may_look_into_a_home(home: Home) -> None:
    folders = [home.path, *(path for path in home.path.iterdir() if path.is_dir())]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}


def test_what_runs_is_remembered_until_forgotten(home: Home) -> None:
    running = Running(
        Daemon("privacyplease.server", 1, 2.5, "a:1"), Daemon("privacyplease.proxy", 2, 3.5, "a:2"), insecure=True
    )
    assert home.running() is None
    home.remember(running)
    assert home.running() == running
    assert [daemon.name for daemon in running.daemons] == ["proxy", "server"]
    home.forget()
    assert home.running() is None


def test_a_damaged_note_is_an_error_and_not_nothing(home: Home) -> None:
    (home.path / "run" / "state.json").write_text('{"server": {}}')
    with pytest.raises(CommandError, match="damaged"):
        home.running()


def test_two_commands_never_work_on_one_home_at_once(home: Home) -> None:
    with home.locked(), pytest.raises(CommandError, match="another"), home.locked():
        pass
    with home.locked():
        pass


def test_the_default_store_lies_in_the_home(home: Home) -> None:
    assert home.default_storage == f"sqlite:///{home.path}/server/store.db"
