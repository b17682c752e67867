"""A machine that is lost, or brought back from an older image, through the commands as an operator gives them.

The second test goes on where the first one ends.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.services.polling import eventually

LOG = "Client MAC Address,AP Name,Association Time,Session Duration\n"
DAY = ["--from", "2024-10-01", "--to", "2024-10-02"]
PASSPHRASE = {"PRIVACYPLEASE_PASSPHRASE": "kept in a safe"}


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Flags of `up`. Everything is on one machine here; of the untrusted part the store survives, elsewhere."""
    return ["--storage", f"sqlite:///{tmp_path_factory.mktemp('store')}/cells.db", "--proxy-port", "0", "--detach"]


def test_a_home_that_is_lost_is_restored(
    run: Any, process: Any, home: Path, tmp_path: Path, storage: list[str]
) -> None:
    _succeeds(process("up", *storage, **PASSPHRASE))
    _ingest(run, tmp_path, range(40))
    made = json.loads(_succeeds(run("backup", str(tmp_path), "--json")))
    file = Path(made["file"])
    assert (file.parent, file.stat().st_mode & 0o777, made["certificates"]) == (tmp_path, 0o600, False)
    _ingest(run, tmp_path, range(40, 80))
    _succeeds(run("compact", "--all"))
    counted = _succeeds(run("count", *DAY, "--json"))
    assert json.loads(counted) == {"distinct_devices": 80}
    refused = run("restore", str(file))
    assert (refused.returncode, "expected an empty or missing folder" in refused.stderr) == (1, True)

    _kill(home)
    shutil.rmtree(home)
    assert "as of 20" in _succeeds(run("restore", str(file)))
    refused = process("up", *storage, PRIVACYPLEASE_PASSPHRASE="another")
    assert "start the proxy with the passphrase that its home was created with" in refused.stderr
    started = process("up", *storage, **PASSPHRASE)
    assert "cells of later segments recovered" in _succeeds(started)
    assert "warning: no key for wifi from 20" in started.stderr
    assert _succeeds(run("count", *DAY, "--json")) == counted
    assert "all are present and intact" in _succeeds(run("verify"))


def test_a_home_that_was_rolled_back_is_refused_until_it_is_accepted(
    run: Any, process: Any, home: Path, tmp_path: Path, storage: list[str]
) -> None:
    proxy, image, neither = home / "proxy", tmp_path / "image", run("restore")
    assert (neither.returncode, "expected either FILE or --accept" in neither.stderr) == (2, True)
    _succeeds(process("down"))
    shutil.copytree(proxy, image)
    _succeeds(process("up", *storage, **PASSPHRASE))
    _ingest(run, tmp_path, range(80, 120))
    counted = _succeeds(run("count", *DAY, "--json"))
    assert json.loads(counted) == {"distinct_devices": 120}
    _succeeds(process("down"))
    shutil.rmtree(proxy)
    image.rename(proxy)

    refused = process("up", *storage, **PASSPHRASE)
    assert refused.returncode != 0
    assert "it was rolled back" in refused.stderr
    assert "privacyplease restore --accept" in refused.stderr
    assert "the proxy will continue from it" in _succeeds(run("restore", "--accept"))
    assert "cells of later segments recovered" in _succeeds(process("up", *storage, **PASSPHRASE))
    assert _succeeds(run("count", *DAY, "--json")) == counted
    assert "all are present and intact" in _succeeds(run("verify"))


def test_a_restore_that_waits_leaves_the_servers_up_and_goes_on_once_it_is_granted(
    run: Any, process: Any, home: Path, tmp_path: Path, storage: list[str]
) -> None:
    policy = home / "proxy" / "policy.toml"
    text = policy.read_text().replace('\napprovals = "off"\n', "\n")
    policy.write_text(text + '\n[clients.dave]\nroles = ["approver"]\n')
    assert eventually(lambda: json.loads(_succeeds(run("status", "--json")))["policy"]["approvals"]["required"])
    counted = _succeeds(run("count", *DAY, "--json"))
    file = json.loads(_succeeds(run("backup", str(tmp_path), "--json")))["file"]
    _kill(home)
    shutil.rmtree(home)
    _succeeds(run("restore", file))
    started = process("up", *storage, **PASSPHRASE)
    _succeeds(started)
    assert "the restore waits for the approval of a second person" in started.stderr
    refused = run("count", *DAY)
    assert (refused.returncode, "as number 1" in refused.stderr) == (3, True)
    _succeeds(run("certs", "issue", "dave"))
    dave = ["--certificates", str(home / "certificates" / "clients" / "dave")]
    assert "Home/Restore" in _succeeds(run(*dave, "approvals", "list"))
    _succeeds(run(*dave, "approvals", "grant", "1"))
    assert eventually(lambda: run("count", *DAY).returncode == 0)
    assert _succeeds(run("count", *DAY, "--json")) == counted


def _ingest(run: Any, folder: Path, devices: range) -> None:
    """Sessions of some devices, in the same hours as those of others."""
    lines = [
        f"02:00:00:00:00:{of:02x},ap-{of % 3},Tue Oct 01 0{of % 9}:00:00 UTC 2024,30 min 0 sec\n" for of in devices
    ]
    (folder / "log.csv").write_text(LOG + "".join(lines))
    _succeeds(run("ingest", "wifi", str(folder / "log.csv")))


def _kill(home: Path) -> None:
    for daemon in (json.loads((home / "run" / "state.json").read_text())[name] for name in ("proxy", "server")):
        process = psutil.Process(daemon["pid"])
        process.kill()
        process.wait(10)


def _succeeds(result: Any) -> str:
    assert result.returncode == 0, result.stderr
    return str(result.stdout)
