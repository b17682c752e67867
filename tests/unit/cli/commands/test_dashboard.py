"""Stopping the dashboard."""

from __future__ import annotations

import threading
from typing import cast

import pytest

from privacyplease.cli.commands import dashboard
from privacyplease.client import Client
from privacyplease.dashboard.serving import Server


class Connection:
    """A client, and a server that stops once no request waits for an answer."""

    def __init__(self, *, answered: bool) -> None:
        self._answered, self.closed = threading.Event(), False
        if answered:
            self._answered.set()

    def close(self) -> None:
        self.closed = True
        self._answered.set()

    def stop(self) -> None:
        self._answered.wait()


def stopped(connection: Connection) -> Connection:
    dashboard._stop(cast("Server", connection), cast("Client", connection))
    return connection


def test_a_proxy_that_does_not_answer_delays_the_stop_only_for_the_grace_period(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dashboard, "_GRACE_S", 0.01)
    assert stopped(Connection(answered=False)).closed


def test_requests_that_are_answered_are_waited_for() -> None:
    assert not stopped(Connection(answered=True)).closed
