"""Entries that somebody edited do not keep the others from being listed."""

from __future__ import annotations

from typing import Any

import pytest

from privacyplease.proxy.services.audit import readable

ENTRY: dict[str, Any] = {"n": 1, "at": "2024-10-01T09:00:00.000Z", "event": "asked", "who": "alice"}


def test_an_entry_is_readable() -> None:
    message = readable(ENTRY | {"first": ENTRY["at"], "last": ENTRY["at"], "count": 7})
    assert message is not None
    assert (message.number, message.who, message.count) == (1, "alice", 7)
    assert message.first == message.last == message.at


@pytest.mark.parametrize(
    "edit",
    [
        {"at": None},
        {"at": 7},
        {"at": "yesterday"},
        {"at": "0001-01-01T00:00:00+23:00"},
        {"n": 1 << 64},
        {"event": ["asked"]},
        {"who": "\ud800"},
        {"records": "many"},
        {"records": -(1 << 80)},
        {"first": {}},
        {"from": [], "to": []},
    ],
    ids=str,
)
def test_an_edited_entry_is_left_out(edit: dict[str, Any]) -> None:
    assert readable(ENTRY | edit) is None


@pytest.mark.parametrize("lost", ["at", "event", "n"])
def test_an_entry_without_what_each_has_is_left_out(lost: str) -> None:
    assert readable({name: value for name, value in ENTRY.items() if name != lost}) is None
