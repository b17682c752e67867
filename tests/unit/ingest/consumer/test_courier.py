"""The courier with a proxy that does as a test tells it, and letters that go nowhere."""

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from privacyplease.client import Ack, Rejection
from privacyplease.client.errors import InternalError, PrivacyPleaseError, ProxyUnreachableError, UnknownDatasetError
from privacyplease.ingest.consumer.batch import Batch
from privacyplease.ingest.consumer.courier import Courier
from privacyplease.ingest.consumer.flight import Flight
from privacyplease.ingest.link import Link
from privacyplease.ingest.parsed import Misfit, Parsed

Retry = Callable[[PrivacyPleaseError, int], float | None]


class Proxy:
    """Rejects rows whose text is `refused`, in two acknowledgements a batch."""

    def __init__(self, *troubles: PrivacyPleaseError) -> None:
        self.troubles = list(troubles)
        self.waits: list[float | None] = []

    def ingest(self, dataset: str, tables: Iterable[pa.Table], *, retry: Retry) -> Iterator[Ack]:
        for trouble in self.troubles:
            self.waits.append(retry(trouble, 0))
            if self.waits[-1] is None:
                raise trouble
        for number, table in enumerate(tables):
            texts = table["text"].to_pylist()
            rejections = tuple(Rejection(row, "text", "refused") for row, text in enumerate(texts) if text == "refused")
            yield Ack(number, 0, 0, (), complete=False)
            yield Ack(number, len(texts), len(texts) - len(rejections), rejections)


class Post:
    def __init__(self) -> None:
        self.posted: list[list[Misfit]] = []

    def post(self, messages: Any, misfits: list[Misfit]) -> bool:
        self.posted.append(sorted(misfits))
        return True


def _parse(messages: Iterable[bytes]) -> Parsed:
    texts = [message.decode() for message in messages]
    good = [position for position, text in enumerate(texts) if text != "bad"]
    rejects = [Misfit(position, "record", "bad") for position, text in enumerate(texts) if text == "bad"]
    return Parsed(pa.table({"text": [texts[position] for position in good]}), np.array(good, np.int64), rejects)


class Message:
    def __init__(self, text: str) -> None:
        self._text = text

    def value(self) -> bytes:
        return self._text.encode()


def _batch(*texts: str) -> Batch:
    return Batch([Message(text) for text in texts], {}, {})  # type: ignore[misc]


class Run:
    def __init__(self, proxy: Proxy) -> None:
        self.flight, self.post, self.link, self.stop = Flight(9), Post(), Link("proxy"), threading.Event()
        dead: Any = self.post
        client: Any = proxy
        self.courier = Courier(client, "wifi", _parse, self.flight, dead, self.link, self.stop)

    def carry(self, *batches: Batch) -> bool:
        self.courier.start()
        for batch in batches:
            self.flight.add(batch)
            self.courier.take(batch)
        self.courier.end()
        return self.flight.wait_for_all(5, given_up=lambda: self.courier.error is not None or self.stop.is_set())


def test_a_batch_lands_when_it_is_acknowledged_as_a_whole() -> None:
    run = Run(Proxy())
    assert run.carry(_batch("a", "b"), _batch("c"))
    assert run.courier.stored == 3
    assert run.post.posted == []


def test_what_reader_or_proxy_reject_is_posted_by_its_position_in_the_batch() -> None:
    run = Run(Proxy())
    assert run.carry(_batch("bad", "a", "refused", "bad", "refused"), _batch("bad", "bad"), _batch("a"))
    assert sorted(run.post.posted) == [
        [(0, "record", "bad"), (1, "record", "bad")],
        [(0, "record", "bad"), (2, "text", "refused"), (3, "record", "bad"), (4, "text", "refused")],
    ]
    assert (run.courier.stored, run.courier.rejected) == (2, 6)


def test_what_may_come_to_work_is_tried_again_and_told() -> None:
    proxy = Proxy(ProxyUnreachableError("away"), InternalError("fault"))
    run = Run(proxy)
    assert run.carry(_batch("a"))
    assert proxy.waits == [0.1, 0.2]
    assert run.link.attempts == 2
    assert not run.link.away


def test_a_refused_request_ends_it() -> None:
    run = Run(Proxy(UnknownDatasetError("unknown")))
    assert not run.carry(_batch("a"))
    assert isinstance(run.courier.error, UnknownDatasetError)


def test_what_a_stop_leaves_behind_is_no_error() -> None:
    proxy = Proxy(ProxyUnreachableError("away"))
    run = Run(proxy)
    run.stop.set()
    assert not run.carry(_batch("a"))
    run.courier._thread.join(5)
    assert proxy.waits == [None]
    assert run.courier.error is None
