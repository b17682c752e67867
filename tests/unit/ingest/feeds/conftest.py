"""A local feed server, the folder of the real responses, and a producer that records what it sends."""

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
        pytest.skip("the real responses are missing: set PRIVACYPLEASE_DATA to the folder of the test data")
    return folder


class RecordingProducer:
    """Records messages; the next `refuse` of them are not delivered."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.delivered = self.failed = self.refuse = 0

    def send(self, key: str, value: bytes, timestamp: int, *, on_delivered: Callable[[], None], stop: object) -> bool:
        if self.refuse:
            self.refuse, self.failed = self.refuse - 1, self.failed + 1
            return True
        self.sent.append((key, value))
        self.delivered += 1
        on_delivered()
        return True

    def settle(self, stop: object) -> bool:
        return True


@pytest.fixture
def producer() -> RecordingProducer:
    return RecordingProducer()
