"""The life of keys, through the commands as a user enters them. Tests depend on each other: the last destroys all."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("ingested")

LOG = """Client MAC Address,AP Name,Association Time,Session Duration
02:00:00:00:00:01,ap-1,Tue Oct 01 08:00:00 UTC 2024,30 min 0 sec
02:00:00:00:00:02,ap-1,Tue Oct 01 08:10:00 UTC 2024,5 min 0 sec
02:00:00:00:00:01,ap-2,Tue Dec 03 08:20:00 UTC 2024,0 sec
"""
DAY = ["--from", "2024-10-01", "--to", "2024-10-02"]


@pytest.fixture(scope="module")
def ingested(up: None, run: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    log = tmp_path_factory.mktemp("logs") / "log.csv"
    log.write_text(LOG)
    result = run("ingest", "wifi", str(log))
    assert result.returncode == 0, result.stderr


def _json(run: Any, *arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_keys_are_listed(run: Any) -> None:
    found = _json(run, "keys", "list", "--dataset", "wifi")
    assert found["master_key"] == "passphrase"
    (wifi,) = found["datasets"]
    assert {epoch["state"] for epoch in wifi["epochs"]} == {"in use"}
    assert (wifi["epochs"][0]["destroyed_at"], wifi["retain"]) == (None, None)
    assert "in use, made 20" in run("keys", "list").stdout


def test_destroy_asks_for_confirmation_and_requires_one_option(run: Any, process: Any) -> None:
    refused = run("keys", "destroy", "wifi", "--before", "2020-01-01", "--epoch", "2020-01-01")
    assert (refused.returncode, "either --before or --epoch" in refused.stderr) == (2, True)
    nothing = run("keys", "destroy", "wifi", "--before", "1970-01-02")
    assert (nothing.stdout, nothing.stderr) == ("nothing to destroy\n", "")
    declined = process("keys", "destroy", "wifi", "--before", "now", text="n\n")
    assert (declined.returncode, declined.stdout.strip()) == (130, "")
    assert "This erases all records of wifi that start in:" in declined.stderr


def test_an_exported_keyring_can_only_count(run: Any, home: Path, tmp_path: Path) -> None:
    secret, file = {"PRIVACYPLEASE_EXPORT_PASSPHRASE": "for the partner"}, tmp_path / "day.keyring"
    without = run("keys", "export", *DAY, "-o", str(file))
    assert (without.returncode, "PRIVACYPLEASE_EXPORT_PASSPHRASE" in without.stderr) == (2, True)
    made = run("keys", "export", *DAY, "-o", str(file), "--json", **secret)
    assert [epoch["state"] for epoch in json.loads(made.stdout)["epochs"]] == ["in use"]
    assert file.stat().st_mode & 0o777 == 0o600
    again = run("keys", "export", *DAY, "-o", str(file), **secret)
    assert (again.returncode, "not overwritten" in again.stderr) == (2, True)
    with _counting(home, file, "for the partner") as address:
        assert _json(run, "--proxy", address, "count", *DAY) == _json(run, "count", *DAY) != {"distinct_devices": 0}
        refused = run("--proxy", address, "presence", "02:00:00:00:00:01", *DAY, "--purpose", "test")
        assert (refused.returncode, "counts people and does nothing else" in refused.stderr) == (3, True)
        refused = run("--proxy", address, "count", "--from", "2024-10-01", "--to", "2024-10-03")
        assert "2024-10-01T00:00:00Z … 2024-10-02T00:00:00Z" in refused.stderr


@contextmanager
def _counting(home: Path, file: Path, passphrase: str) -> Iterator[str]:
    """A proxy on an exported keyring, as a partner starts it: the address."""
    certificates, address = home / "certificates", file.with_suffix(".address")
    command = [sys.executable, "-m", "privacyplease.proxy", "--keyring", str(file), "--listen", "127.0.0.1:0"]
    command += ["--storage-server", (home / "run" / "server.address").read_text().strip()]
    command += ["--certificates", str(certificates / "proxy"), "--address-file", str(address)]
    command += ["--storage-certificates", str(certificates / "proxy-to-storage")]
    with subprocess.Popen(command, env=os.environ | {"PRIVACYPLEASE_PASSPHRASE": passphrase}) as process:
        try:
            deadline = time.monotonic() + 60
            while not address.exists():
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield address.read_text().strip()
        finally:
            process.terminate()


def test_a_renewed_key_changes_no_answer(run: Any) -> None:
    counted = _json(run, "count", *DAY)
    done = _json(run, "keys", "rotate-epoch", "wifi", "--epoch", "2024-10-01")
    assert (done["epoch"]["state"], done["epoch"]["renewals"], done["records"]) == ("in use", 1, 2)
    assert _json(run, "count", *DAY) == counted
    assert "renewed 1 time" in run("keys", "list").stdout
    refused = run("keys", "rotate-epoch", "wifi", "--epoch", "1999-01-01")
    assert (refused.returncode, "expected a period that has a key" in refused.stderr) == (3, True)


def test_a_rotated_master_key_changes_no_answer(run: Any) -> None:
    counted = _json(run, "count", *DAY)
    refused = run("keys", "rotate-master", "--to", "nobody:x", "--yes")
    assert (refused.returncode, "expected one of passphrase (allowed-master-keys.toml" in refused.stderr) == (3, True)
    done = run("keys", "rotate-master", "--yes", "--json", PRIVACYPLEASE_NEW_PASSPHRASE="new and long")
    found = json.loads(done.stdout)
    assert (found["master_key"], found["keys"] > 0) == ("passphrase", True)
    assert _json(run, "count", *DAY) == counted


def test_what_is_destroyed_is_gone(run: Any) -> None:
    done = _json(run, "keys", "destroy", "wifi", "--before", "now", "--yes")
    assert {epoch["state"] for epoch in done["epochs"]} == {"destroyed"}
    assert done["cells"] > 0
    assert _json(run, "count", *DAY) == {"distinct_devices": 0}
    assert "destroyed 20" in run("keys", "list").stdout
