"""Certificates on the command line: made, shown, renewed, and rejected."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.services.polling import eventually

pytestmark = pytest.mark.usefixtures("up")

COUNT = ["count", "--from", "2024-10-01", "--to", "2024-10-02"]


def test_up_made_certificates_and_show_lists_them(run: Any, home: Path) -> None:
    shown = json.loads(run("certs", "show", "--json").stdout)
    assert shown["folder"] == str(home / "certificates")
    assert {row["name"] for row in shown["certificates"]} >= {
        "clients/operator",
        "proxy",
        "proxy-to-storage",
        "storage",
    }
    assert {row["state"] for row in shown["certificates"]} == {"valid"}
    table = run("certs", "show").stdout
    assert "clients/operator" in table
    assert "days left" in table


def test_an_issued_certificate_works_at_once_and_after_its_renewal(run: Any, home: Path) -> None:
    issued = run("certs", "issue", "alice")
    assert issued.returncode == 0
    assert f"hint: alice may ask nothing yet: add a table [clients.alice] to {home}" in issued.stderr
    alice = home / "certificates" / "clients" / "alice"
    as_alice = ["--certificates", str(alice)]
    refused = run(*COUNT, *as_alice)
    assert (refused.returncode, "role count" in refused.stderr) == (3, True)
    assert "the policy allows nothing" in run("whoami", *as_alice).stdout
    with (home / "proxy" / "policy.toml").open("a") as policy:
        policy.write('\n[clients.alice]\nroles = ["count"]\nlongest_interval = "31d"\n')
    assert eventually(lambda: json.loads(run("whoami", "--json", *as_alice).stdout)["roles"] == ["count"])
    assert run(*COUNT, *as_alice).returncode == 0
    assert run("certs", "renew").returncode == 0
    assert "hint" not in run("certs", "issue", "dashboard").stderr  # the policy knows it from the start
    assert run(*COUNT, PRIVACYPLEASE_CERTIFICATES=str(alice)).returncode == 0
    assert run("status").returncode == 0
    assert "nothing to do" in run("certs", "renew", "--due").stderr


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("proxy", "did not accept the certificate"),
        ("proxy-to-storage", "is not trusted"),
        ("authorities", "expected tls.crt"),
        ("nowhere", "no certificate to show the proxy"),
    ],
)
def test_an_unusable_certificate_is_an_error_that_says_why(folder: str, words: str, run: Any, home: Path) -> None:
    result = run(*COUNT, "--certificates", str(home / "certificates" / folder))
    assert result.returncode == 1
    error, hint = result.stderr.splitlines()
    assert error.startswith("error: ")
    assert words in error
    assert "privacyplease certs" in hint


def test_plaintext_is_rejected(run: Any) -> None:
    result = run(*COUNT, "--insecure")
    assert result.returncode == 1
    assert "certificate" in result.stderr


def test_errors_of_certs_are_one_line(run: Any) -> None:
    for arguments in (["issue", "../alice"], ["issue", "operator"], ["init"], ["renew", "nobody"]):
        result = run("certs", *arguments)
        assert result.returncode == 1
        assert result.stderr.startswith("error: ")
        assert "Traceback" not in result.stderr


def test_up_insecure_uses_plaintext_and_so_do_its_commands(run: Any, process: Any, tmp_path: Path) -> None:
    elsewhere = ["--home", str(tmp_path / "home")]
    assert process("up", "--insecure", "--detach", "--proxy-port", "0", *elsewhere).returncode == 0
    try:
        assert not (tmp_path / "home" / "certificates").exists()
        assert run("status", *elsewhere).returncode == 0
        assert run(*COUNT, *elsewhere).returncode == 0
    finally:
        process("down", *elsewhere)
