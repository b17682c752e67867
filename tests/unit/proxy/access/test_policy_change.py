from __future__ import annotations

from privacyplease.proxy.access.policy import parse
from privacyplease.proxy.access.policy_change import changes, described

BEFORE = """
[clients.alice]
roles = ["count"]
[clients.dave]
roles = ["approver"]
[clients.dashboard]
roles = ["count"]
may_act_for = ["alice"]
[revoked]
names = ["mallory"]
"""
AFTER = """
audit = "all"
[clients.alice]
roles = ["count"]
datasets = []
[clients.erin]
roles = ["keys", "audit"]
[clients.dashboard]
roles = ["count"]
may_act_for = ["*"]
"""


def test_tables_are_named_with_their_roles_and_those_that_gain_come_first() -> None:
    assert changes(parse(BEFORE, {}), parse(AFTER, {})) == [
        "audit: persons to all",
        "no longer revoked: mallory",
        "changed dashboard: count, other limits for *",
        "added erin: keys, audit",
        "changed alice: count, other limits",
        "removed dave: approver",
    ]


def test_nothing_is_left_out_unsaid_however_many_changes_there_are() -> None:
    after = "".join(f'[clients.somebody-{number}]\nroles = ["keys"]\n' for number in range(200))
    text = described("ab" * 32, parse(BEFORE, {}), parse(after + BEFORE, {}), 1_000)
    assert len(text) <= 1_000
    shown = text.count("added somebody")
    assert text.startswith(f"sha256 {'ab' * 32}; added somebody-0: keys; ")
    assert text.endswith(f"; and {200 - shown} more")
