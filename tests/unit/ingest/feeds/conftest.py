"""A local feed server, where the real responses are, and a producer that keeps what it is given."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.services.feed_server import FeedServer

_ROOT = Path(__file__).parents[4]


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with FeedServer() as running:
        yield running


@pytest.fixture(scope="session")
def bikes() -> Path:
    folder = Path(os.environ.get("PRIVACYPLEASE_DATA") or _ROOT / "../shared/data") / "bikes"
    if not folder.is_dir():
        pytest.skip("no real responses here: set PRIVACYPLEASE_DATA to the folder of the test data")
    return folder


class KeepingProducer:
    """Keeps messages; `refuse` of them are not delivered."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.delivered = self.failed = self.refuse = 0

    def send(self, key: str, value: bytes, timestamp: int, *, delivered: Callable[[], None], stop: object) -> bool:
        if self.refuse:
            self.refuse, self.failed = self.refuse - 1, self.failed + 1
            return True
        self.sent.append((key, value))
        self.delivered += 1
        delivered()
        return True

    def settle(self, stop: object) -> bool:
        return True


@pytest.fixture
def producer() -> KeepingProducer:
    return KeepingProducer()
