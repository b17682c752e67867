"""Who can write to the proxy's home, and has no approver, changes nothing about who may ask what."""

from __future__ import annotations

from pathlib import Path

from privacyplease.client.errors import CertificateError
from tests.services.certified_proxy import CertifiedProxy, certified
from tests.services.polling import eventually

POLICY = """
[clients.operator]
roles = ["count", "admin", "audit"]

[clients.dave]
roles = ["approver"]

[clients.mallory]
roles = []
"""
CHANGED = POLICY.replace("roles = []", 'roles = ["count", "keys"]')


def problem(running: CertifiedProxy) -> str:
    with running.client("operator") as operator:
        return operator.status().policy.problem


def test_a_changed_policy_waits_is_shown_and_is_in_force_once_granted(tmp_path: Path) -> None:
    with (
        certified(tmp_path, POLICY) as running,
        running.client("mallory") as mallory,
        running.client("dave") as dave,
        running.client("operator") as operator,
    ):
        running.policy.write_text(CHANGED)
        assert eventually(lambda: "waits for the approval of a second person" in problem(running))
        assert mallory.whoami().roles == ()
        (asked,) = dave.approvals()
        assert asked.request.endswith("changed mallory: no role to count, keys")
        assert operator.status().policy.approvals_waiting == 1
        dave.decide(asked.number, grant=True)
        assert eventually(lambda: mallory.whoami().roles == ("count", "keys"))
        assert problem(running) == ""
        entries = [(entry.event, entry.who, entry.reason[:15]) for entry in operator.audit_entries()]
        assert [entry for entry in entries if entry[0] == "policy"] == [
            ("policy", "", "first policy sh"),
            ("policy", "dave", "approved sha256"),
        ]


def test_a_revocation_is_in_force_while_the_rest_of_the_file_waits(tmp_path: Path) -> None:
    with certified(tmp_path, POLICY) as running, running.client("mallory") as mallory:
        assert mallory.whoami().roles == ()
        running.policy.write_text(CHANGED + '[revoked]\nnames = ["operator"]\n')

        def shut_out() -> bool:
            try:
                problem(running)
            except CertificateError:
                return True
            return False

        assert eventually(shut_out)
        assert mallory.whoami().roles == ()
