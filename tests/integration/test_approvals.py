"""Acts that cannot be undone need two people, whatever the first of them may do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from privacyplease.client import ApprovalState, Client
from privacyplease.client.errors import ApprovalRequiredError, InvalidRequestError, PermissionDeniedError
from tests.services import command_line
from tests.services.stack import Stack, stack

POLICY = """
[clients.operator]
roles = ["ingest", "count", "presence", "admin", "keys", "audit", "approver"]

[clients.dave]
roles = ["approver"]
"""
LOG = """Client MAC Address,AP Name,Association Time,Session Duration
02:00:00:00:00:01,ap-1,Tue Oct 01 08:00:00 UTC 2024,30 min 0 sec
"""
OCTOBER = datetime(2024, 10, 1, tzinfo=UTC), datetime(2024, 10, 31, tzinfo=UTC)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("store")
    (folder / "log.csv").write_text(LOG)
    with stack(f"sqlite:///{folder}/cells.db") as running:
        running.command("certs", "issue", "dave")
        (running.home / "proxy" / "policy.toml").write_text(POLICY)
        running.restart()
        running.command("ingest", "wifi", str(folder / "log.csv"))
        yield running


@pytest.fixture
def dave(running: Stack) -> Iterator[Client]:
    with Client(running.proxy, certificates=running.home / "certificates" / "clients" / "dave") as client:
        yield client


def _asked(error: pytest.ExceptionInfo[ApprovalRequiredError]) -> int:
    return int(error.value.metadata["approval"])


def test_one_person_with_every_role_gets_no_key_and_destroys_none(running: Stack, tmp_path: Path) -> None:
    client = running.client
    attempts = [
        lambda: client.rotate_master(passphrase="mine alone"),
        lambda: client.rotate_epoch("wifi", OCTOBER[0]),
        lambda: client.destroy_epochs("wifi", before=OCTOBER[1]),
        lambda: client.export_keyring(*OCTOBER, passphrase="mine alone"),
    ]
    for attempt in attempts:
        for _ in range(2):
            with pytest.raises(ApprovalRequiredError) as refused:
                attempt()
        with pytest.raises(PermissionDeniedError, match="another identity"):
            client.decide(_asked(refused), grant=True)
    assert client.count(*OCTOBER) == 1
    status = client.status()
    assert (status.policy.approvals, status.policy.approvals_waiting) == (True, 4)


def test_what_another_grants_is_done_once_and_all_of_it_is_on_record(running: Stack, dave: Client) -> None:
    with pytest.raises(ApprovalRequiredError) as refused:
        running.client.rotate_epoch("wifi", OCTOBER[0])
    number = _asked(refused)
    (waiting,) = [each for each in dave.approvals() if each.number == number]
    assert (waiting.state, waiting.rpc, waiting.asked_by) == (
        ApprovalState.WAITING,
        "KeysService/RotateEpoch",
        "operator",
    )
    assert waiting.request.startswith("dataset: wifi, containing: 2024-09-")
    assert dave.decide(number, grant=True).state is ApprovalState.GRANTED
    assert running.client.rotate_epoch("wifi", OCTOBER[0]).records == 1
    with pytest.raises(ApprovalRequiredError):
        running.client.rotate_epoch("wifi", OCTOBER[0])
    entries = running.client.audit_entries()
    assert [entry.who for entry in entries if entry.reason == "APPROVAL_REQUIRED" and "RotateEpoch" in entry.rpc]
    assert [entry.who for entry in entries if entry.rpc == "ApprovalService/Decide" and entry.event == "answered"] == [
        "dave"
    ]


def test_an_approver_can_decide_and_nothing_else(running: Stack, dave: Client) -> None:
    for call in (dave.status, dave.keys, dave.audit_entries, lambda: dave.rotate_epoch("wifi", OCTOBER[0])):
        with pytest.raises(PermissionDeniedError):
            call()
    with pytest.raises(InvalidRequestError, match="got one that is unknown"):
        dave.decide(9_999, grant=True)


def test_the_command_line_asks_lists_denies_and_grants(running: Stack) -> None:
    def run(*arguments: str, who: str = "operator") -> tuple[int, str]:
        certificates = running.home / "certificates" / "clients" / who
        target = ["--proxy", running.proxy, "--certificates", str(certificates)]
        done = command_line.run(running.home, *target, *arguments)
        return done.returncode, done.stdout + done.stderr

    destroy = ("keys", "destroy", "wifi", "--before", "2024-08-01", "--yes")
    code, said = run(*destroy)
    assert code == 3
    assert "expected the approval of a second person; it is asked for as number" in said
    assert "privacyplease approvals grant" in said
    number = said.partition("as number ")[2].split()[0]
    assert f"{number}  waiting  KeysService/DestroyEpochs  dataset: wifi" in run("approvals", "list", who="dave")[1]
    assert "  denied  " in run("approvals", "deny", number, who="dave")[1]
    code, said = run(*destroy)
    number = said.partition("as number ")[2].split()[0]
    code, said = run("approvals", "grant", number, "--json", who="dave")
    assert (code, json.loads(said)["state"]) == (0, "granted")
    assert run(*destroy)[0] == 0
    assert run("approvals", "list")[0] == 0
    assert "approvals waiting" in run("status")[1]
