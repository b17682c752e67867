import stat
from pathlib import Path

import pytest

from privacyplease.cli.failures import CommandError
from privacyplease.cli.local.home import InstallationHome, RunningServers, default_home
from privacyplease.cli.local.server_process import ServerProcess


@pytest.fixture
def home(tmp_path: Path) -> InstallationHome:
    home = InstallationHome(tmp_path / "home")
    home.make()
    return home


def test_only_its_owner_may_open_a_home(home: InstallationHome) -> None:
    folders = [home.path, *(path for path in home.path.iterdir() if path.is_dir())]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}


def test_running_servers_are_remembered_until_forgotten(home: InstallationHome) -> None:
    server = ServerProcess("privacyplease.server", 1, 2.5, "a:1")
    proxy = ServerProcess("privacyplease.proxy", 2, 3.5, "a:2")
    running = RunningServers(server, proxy, insecure=True)
    assert home.running() is None
    home.remember(running)
    assert home.running() == running
    assert [process.name for process in running.processes] == ["proxy", "server"]
    home.forget()
    assert home.running() is None


def test_a_damaged_record_is_an_error(home: InstallationHome) -> None:
    (home.path / "run" / "state.json").write_text('{"server": {}}')
    with pytest.raises(CommandError, match="damaged"):
        home.running()


def test_a_second_command_on_the_same_home_is_rejected(home: InstallationHome) -> None:
    with home.locked(), pytest.raises(CommandError, match="another"), home.locked():
        pass
    with home.locked():
        pass


def test_the_default_store_is_in_the_home(home: InstallationHome) -> None:
    assert home.default_storage == f"sqlite:///{home.path}/server/store.db"


def test_commands_name_a_home_that_is_not_the_default(tmp_path: Path) -> None:
    assert InstallationHome(tmp_path / "a b").command("down") == f"privacyplease down --home '{tmp_path}/a b'"
    assert InstallationHome(default_home().resolve()).command("down") == "privacyplease down"
