"""The uploader with a scripted proxy, and a writer of dead letters that only records them."""

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from privacyplease.cli.exit_codes import ExitCode
from privacyplease.cli.failures import failure_of
from privacyplease.client import Ack, Rejection
from privacyplease.client.errors import (
    CertificateError,
    InternalError,
    PermissionDeniedError,
    PrivacyPleaseError,
    ProxyUnreachableError,
    UnknownDatasetError,
)
from privacyplease.ingest.kafka.consumer.batch import MessageBatch
from privacyplease.ingest.kafka.consumer.in_flight import InFlightBatches
from privacyplease.ingest.kafka.consumer.uploader import Uploader
from privacyplease.ingest.kafka.dead_letters import UnsealedLetter
from privacyplease.ingest.kafka.service_availability import ServiceAvailability
from privacyplease.ingest.parsing import ParsedMessages, RejectedMessage

Retry = Callable[[PrivacyPleaseError, int], float | None]


class FakeProxy:
    """Fails with the errors given, then rejects rows whose text is `refused`, with two acknowledgements per batch."""

    def __init__(self, *errors: PrivacyPleaseError) -> None:
        self.errors = list(errors)
        self.delays: list[float | None] = []

    def ingest(self, dataset: str, tables: Iterable[pa.Table], *, retry: Retry) -> Iterator[Ack]:
        for error in self.errors:
            self.delays.append(retry(error, 0))
            if self.delays[-1] is None:
                raise error
        for number, table in enumerate(tables):
            texts = table["text"].to_pylist()
            rejections = tuple(Rejection(row, "text", "refused") for row, text in enumerate(texts) if text == "refused")
            yield Ack(number, 0, 0, (), complete=False)
            yield Ack(number, len(texts), len(texts) - len(rejections), rejections)


class FakeDeadLetterWriter:
    def __init__(self) -> None:
        self.written: list[list[tuple[int, str, str]]] = []

    def write(self, letters: list[UnsealedLetter]) -> bool:
        self.written.append(sorted((each.origin.offset, each.field, each.reason) for each in letters))
        return True


def _parse(messages: Iterable[bytes]) -> ParsedMessages:
    texts = [message.decode() for message in messages]
    good = [position for position, text in enumerate(texts) if text not in ("bad", "")]
    rejects = [RejectedMessage(position, "record", "bad") for position in range(len(texts)) if position not in good]
    return ParsedMessages(pa.table({"text": [texts[position] for position in good]}), np.array(good, np.int64), rejects)


class FakeMessage:
    """A message whose offset is its position in the batch."""

    def __init__(self, text: str | None, position: int) -> None:
        self._text = text
        self._position = position

    def value(self) -> bytes | None:
        return None if self._text is None else self._text.encode()

    def key(self) -> None:
        return None

    def headers(self) -> None:
        return None

    def topic(self) -> str:
        return "wifi"

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._position

    def timestamp(self) -> tuple[int, int]:
        return 0, -1


def _batch(*texts: str | None) -> MessageBatch:
    messages: Any = [FakeMessage(text, position) for position, text in enumerate(texts)]
    return MessageBatch(messages, {}, {})


class UploaderSetup:
    def __init__(self, proxy: FakeProxy) -> None:
        self.in_flight, self.dead_letters = InFlightBatches(9), FakeDeadLetterWriter()
        self.availability, self.stop = ServiceAvailability("proxy"), threading.Event()
        writer: Any = self.dead_letters
        client: Any = proxy
        self.uploader = Uploader(client, "wifi", _parse, self.in_flight, writer, self.availability, self.stop)

    def upload(self, *batches: MessageBatch) -> bool:
        self.uploader.start()
        for batch in batches:
            self.in_flight.add(batch)
            self.uploader.submit(batch)
        self.uploader.close()
        return self.in_flight.wait_for_all(5, given_up=lambda: self.uploader.error is not None or self.stop.is_set())


def test_a_batch_is_done_once_it_is_acknowledged_as_a_whole() -> None:
    setup = UploaderSetup(FakeProxy())
    assert setup.upload(_batch("a", "b"), _batch("c"))
    assert setup.uploader.stored == 3
    assert setup.dead_letters.written == []


def test_messages_rejected_by_parser_or_proxy_become_dead_letters_by_position() -> None:
    setup = UploaderSetup(FakeProxy())
    assert setup.upload(_batch("bad", "a", "refused", "bad", "refused"), _batch("bad", "bad"), _batch("a"))
    assert sorted(setup.dead_letters.written) == [
        [(0, "record", "bad"), (1, "record", "bad")],
        [(0, "record", "bad"), (2, "text", "refused"), (3, "record", "bad"), (4, "text", "refused")],
    ]
    assert (setup.uploader.stored, setup.uploader.rejected) == (2, 6)


def test_transient_errors_are_retried_and_counted() -> None:
    proxy = FakeProxy(ProxyUnreachableError("unreachable"), InternalError("fault"))
    setup = UploaderSetup(proxy)
    assert setup.upload(_batch("a"))
    assert proxy.delays == [0.1, 0.2]
    assert setup.availability.attempts == 2
    assert not setup.availability.unavailable


@pytest.mark.parametrize(
    "error",
    [
        UnknownDatasetError("unknown"),
        PermissionDeniedError("no role"),
        CertificateError("revoked", reason="ERROR_REASON_UNKNOWN_IDENTITY"),
    ],
)
def test_an_error_that_stays_ends_the_upload_and_exits_with_its_code(error: PrivacyPleaseError) -> None:
    proxy = FakeProxy(error)
    setup = UploaderSetup(proxy)
    assert not setup.upload(_batch("a"))
    assert setup.uploader.error is error
    assert proxy.delays == [None]
    failure = failure_of(error)
    assert failure is not None
    assert failure.code == (ExitCode.FAULT if isinstance(error, CertificateError) else ExitCode.REFUSED)


def test_batches_abandoned_by_a_stop_are_no_error() -> None:
    proxy = FakeProxy(ProxyUnreachableError("unreachable"))
    setup = UploaderSetup(proxy)
    setup.stop.set()
    assert not setup.upload(_batch("a"))
    setup.uploader._thread.join(5)
    assert proxy.delays == [None]
    assert setup.uploader.error is None


def test_a_tombstone_is_neither_a_record_nor_a_dead_letter() -> None:
    setup = UploaderSetup(FakeProxy())
    assert setup.upload(_batch("a", None, "bad", None), _batch(None))
    assert setup.uploader.tombstones == 3
    assert [[position for position, *_ in letters] for letters in setup.dead_letters.written] == [[2]]
