"""Whoever runs the storage server, or lists processes, finds no secret of `up` in what the kernel shows of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

MARK = "sentinel"
SECRETS = {
    name: f"{MARK}-{name.lower()}"
    for name in (
        "PRIVACYPLEASE_PASSPHRASE",
        "PRIVACYPLEASE_NEW_PASSPHRASE",
        "PRIVACYPLEASE_EXPORT_PASSPHRASE",
        "PRIVACYPLEASE_PKCS11_PIN",
        "VAULT_TOKEN",
        "BAO_TOKEN",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "JCDECAUX_API_KEY",
        "SOMEBODY_ELSES_TOKEN",
    )
}


@pytest.fixture(scope="module")
def folder(process: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the databases of servers that were started with a secret in each place that takes one."""
    folder = tmp_path_factory.mktemp("databases")
    result = process(
        *("up", "--detach", "--proxy-port", "0", "--witness", f"sqlite:///{folder}/{MARK}-flag.db"),
        PRIVACYPLEASE_STORAGE=f"sqlite:///{folder}/{MARK}-store.db",
        PRIVACYPLEASE_WITNESSES=f"sqlite:///{folder}/{MARK}-variable.db",
        **SECRETS,
    )
    assert result.returncode == 0, result.stderr
    yield folder
    process("down")


def _shown(home: Path, server: str) -> dict[str, str]:
    """What the kernel shows of a server: its environment and its arguments."""
    pid = json.loads((home / "run" / "state.json").read_text())[server]["pid"]
    return {name: Path(f"/proc/{pid}/{name}").read_text() for name in ("environ", "cmdline")}


@pytest.mark.parametrize("server", ["server", "proxy"])
def test_no_secret_is_in_the_environment_or_the_arguments_of_a_server(home: Path, folder: Path, server: str) -> None:
    shown = _shown(home, server)
    assert "PATH=" in shown["environ"]
    assert f"privacyplease.{server}" in shown["cmdline"]
    assert [line for text in shown.values() for line in text.split("\0") if MARK in line] == []


def test_the_servers_have_used_what_they_were_given(home: Path, folder: Path, process: Any) -> None:
    assert not (home / "proxy" / "passphrase").exists()
    used = {file.name for file in folder.glob("*.db")}
    assert used == {f"{MARK}-{name}.db" for name in ("store", "flag", "variable")}
    verdict = process("audit", "verify", "--offline", PRIVACYPLEASE_PASSPHRASE=SECRETS["PRIVACYPLEASE_PASSPHRASE"])
    assert verdict.returncode == 0, verdict.stderr
