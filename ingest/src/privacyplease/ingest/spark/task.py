"""One task of an executor: the rows of one partition, until each is durable or in the dead letter topic."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from privacyplease.client import Client, Dataset
from privacyplease.client.errors import TryAgainError
from privacyplease.ingest.errors import BadRecordsError, BrokerError, SettingsError
from privacyplease.ingest.kafka.broker import settings
from privacyplease.ingest.kafka.dead_letters import DeadLetterWriter, UnsealedLetter
from privacyplease.ingest.kafka.service_availability import ServiceAvailability
from privacyplease.ingest.message_upload import MessageUpload
from privacyplease.ingest.parsing import RejectedMessage
from privacyplease.ingest.spark.options import BadRecords, SinkOptions
from privacyplease.ingest.spark.parsed_batches import Letter, Reader

__all__ = ["TaskCounts", "TaskUpload", "definition"]

# So many letters are written at a time, however many rows are rejected.
_LETTERS = 1_000


class TaskCounts(NamedTuple):
    """What happened to the rows of a task.

    Attributes:
        stored: How many are durable records.
        rejected: How many are in the dead letter topic.
    """

    stored: int
    rejected: int


@cache
def connected(proxy: str, certificates: str) -> Client:
    """A client of the proxy. It is kept, because Spark runs many tasks in one Python process."""
    return Client(proxy, certificates=certificates or None, insecure=not certificates)


def definition(options: SinkOptions) -> Dataset:
    """The definition of the data set that records are sent to.

    Raises:
        SettingsError: The proxy has no such data set.
        PrivacyPleaseError: The proxy does not accept the certificate, or was unavailable for too long.
    """
    stop = threading.Event()
    proxy = ServiceAvailability("proxy", patience_s=options.retry_s, give_up=stop.set)
    while True:
        try:
            datasets = {each.name: each for each in connected(options.proxy, options.certificates).datasets()}
        except TryAgainError as error:
            delay = proxy.failed(type(error).__name__)
            if stop.wait(delay):
                raise
        else:
            break
    if options.dataset not in datasets:
        raise SettingsError(f"expected dataset to be one of {', '.join(datasets)}; got {options.dataset!r}")
    return datasets[options.dataset]


class TaskUpload:
    """Uploads the rows of a task. A task that is repeated changes no answer.

    Args:
        options: Where to, and what becomes of bad records.
        read: Parses rows.
    """

    def __init__(self, options: SinkOptions, read: Reader) -> None:
        self._options = options
        self._read = read
        self._stop = threading.Event()
        self._proxy = self._service("proxy")
        self._client = connected(options.proxy, options.certificates)
        self._upload = MessageUpload(self._client, options.dataset, self._finish, self._proxy, self._stop)
        self._writers: dict[str, DeadLetterWriter] = {}
        self._lock = threading.Lock()  # the SDK's feeder and the task's own thread both finish batches
        self._rejected = 0

    def run(self, batches: Iterable[pa.RecordBatch]) -> TaskCounts:
        """Uploads everything.

        Raises:
            BadRecordsError: A record is bad, and bad records are to fail the task.
            BrokerError: The dead letter topic was unavailable for too long.
            PrivacyPleaseError: The proxy refuses the records, or was unavailable for too long.
        """
        self._upload.run(parsed for batch in batches for parsed in self._read(batch))
        return TaskCounts(self._upload.stored, self._rejected)

    def _finish(self, letter: Letter, rejects: list[RejectedMessage]) -> None:
        if not rejects:
            return
        if self._options.bad_records is BadRecords.FAIL:
            first = letter(min(rejects))
            at = f"{first.origin.topic}, partition {first.origin.partition}, offset {first.origin.offset}"
            reason = f"{len(rejects):,} of a batch cannot be; the first is at {at}: {first.field}: {first.reason}"
            raise BadRecordsError(f"expected records that can be ingested; {reason}")
        with self._lock:
            for start in range(0, len(rejects), _LETTERS):
                self._write([letter(reject) for reject in rejects[start : start + _LETTERS]])
            self._rejected += len(rejects)

    def _write(self, letters: list[UnsealedLetter]) -> None:
        topics = [self._options.dead_letter_topic or letter.origin.topic for letter in letters]
        for topic in sorted(set(topics)):
            own = [letter for letter, each in zip(letters, topics, strict=True) if each == topic]
            if not self._writer(topic).write(own):
                raise BrokerError("expected the dead letters to be delivered, but Kafka or the proxy is unavailable")

    def _writer(self, topic: str) -> DeadLetterWriter:
        if topic not in self._writers:
            options = self._options
            file = Path(options.dead_letter_config) if options.dead_letter_config else None
            kafka = settings(options.dead_letter_bootstrap, file)
            service = self._service("dead letters")
            self._writers[topic] = DeadLetterWriter(
                self._client, options.dataset, topic, kafka, self._proxy, service, self._stop
            )
        return self._writers[topic]

    def _service(self, name: str) -> ServiceAvailability:
        return ServiceAvailability(name, patience_s=self._options.retry_s, give_up=self._stop.set)
