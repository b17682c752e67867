"""The format of a dead letter in its topic.

| part | content |
|---|---|
| key | the partition that the message is from, so that dead letters keep the order of a partition's messages |
| value | the message, sealed; empty where header `omitted` says why |
| headers `reason`, `field` | what was expected, and of which column; never a value |
| headers `topic`, `partition`, `offset`, `timestamp` | where the message is from, and its time in ms since the epoch |
| header `dataset` | the data set that it was meant for, and under whose key it is sealed |
| header `key` | the message's key, sealed; absent if it had none |
| header `headers` | the message's headers, sealed, as a JSON list of names and values (Base64, null); absent if none |
"""

import base64
import dataclasses
import json
from collections.abc import Sequence
from typing import NamedTuple, Self, TypeAlias, cast

from confluent_kafka import Message

from privacyplease.ingest.parsing import RejectedMessage

__all__ = ["DeadLetter", "Headers", "Origin", "UnsealedLetter", "dead_letter_topic", "unpacked_headers"]


Headers: TypeAlias = Sequence[tuple[str, bytes | None]]
"""A message's headers, in order; a name may occur twice."""


def dead_letter_topic(topic: str) -> str:
    """The topic of a topic's dead letters."""
    return f"{topic}.dlq"


def unpacked_headers(text: bytes) -> Headers:
    """The headers of a message, from what `UnsealedLetter.packed_headers` made of them."""
    return [(name, None if value is None else base64.b64decode(value)) for name, value in json.loads(text)]


class Origin(NamedTuple):
    """Where a message was; `timestamp` is in ms since the epoch, -1 if it has none."""

    topic: str
    partition: int
    offset: int
    timestamp: int

    @classmethod
    def of(cls, message: Message) -> Self:
        """The origin of a message that was read."""
        return cls(message.topic() or "", message.partition() or 0, message.offset() or 0, message.timestamp()[1])


@dataclasses.dataclass(frozen=True, slots=True)
class UnsealedLetter:
    """A dead letter before the proxy has sealed it.

    Attributes:
        message: The message that was rejected. Not in the repr, since it is plaintext.
        key: Its key, if it had one. Not in the repr either.
        origin: Where the message was.
        field: The column at fault, or `record`.
        reason: What was expected.
        omitted: Why the message is omitted, if it is.
        headers: Its headers. Not in the repr either.
    """

    message: bytes = dataclasses.field(repr=False)
    key: bytes | None = dataclasses.field(repr=False)
    origin: Origin
    field: str
    reason: str
    omitted: str = ""
    headers: Headers = dataclasses.field(default=(), repr=False)

    @classmethod
    def of(cls, message: Message, reject: RejectedMessage) -> Self:
        """The letter for a message that was read from Kafka and rejected."""
        headers = _headers(message)
        origin = Origin.of(message)
        return cls(message.value() or b"", message.key(), origin, reject.field, reject.reason, headers=headers)

    def packed_headers(self) -> bytes:
        """The headers as one text, to be sealed."""
        return json.dumps([(name, _encoded(value)) for name, value in self.headers]).encode()


class DeadLetter(NamedTuple):
    """A dead letter.

    Attributes:
        dataset: The data set that the message was meant for.
        field: The column at fault, or `record`.
        reason: What was expected.
        origin: Where the message was.
        sealed: The message, sealed; empty if it was omitted.
        sealed_key: Its key, sealed, if it had one.
        omitted: Why the message was omitted, if it was.
        sealed_headers: Its headers, sealed, if it had any.
    """

    dataset: str
    field: str
    reason: str
    origin: Origin
    sealed: bytes
    sealed_key: bytes | None = None
    omitted: str = ""
    sealed_headers: bytes | None = None

    @classmethod
    def read(cls, message: Message) -> Self | None:
        """Reads a message of the dead letter topic; None if it is not a dead letter."""
        headers = {name: value for name, value in dict(message.headers() or []).items() if isinstance(value, bytes)}
        try:
            text = {name: headers[name].decode() for name in ("dataset", "field", "reason", "topic")}
            numbers = (int(headers[name]) for name in ("partition", "offset", "timestamp"))
            origin, omitted = Origin(text.pop("topic"), *numbers), headers.get("omitted", b"").decode()
        except (KeyError, ValueError):
            return None
        return cls(
            **text,
            origin=origin,
            sealed=message.value() or b"",
            sealed_key=headers.get("key"),
            omitted=omitted,
            sealed_headers=headers.get("headers"),
        )

    @property
    def key(self) -> bytes:
        """Determines its partition. The message's own key would be a device's address."""
        return str(self.origin.partition).encode()

    @property
    def headers(self) -> list[tuple[str, bytes]]:
        """All but the message itself."""
        plain = {"dataset": self.dataset, "field": self.field, "reason": self.reason, **self.origin._asdict()}
        headers = [(name, str(value).encode()) for name, value in plain.items()]
        sealed = {"key": self.sealed_key, "headers": self.sealed_headers}
        headers += [(name, value) for name, value in sealed.items() if value is not None]
        return headers + ([("omitted", self.omitted.encode())] if self.omitted else [])


def _headers(message: Message) -> Headers:
    pairs = cast(list[tuple[str, str | bytes | None]], message.headers() or [])
    return [(name, value.encode() if isinstance(value, str) else value) for name, value in pairs]


def _encoded(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()
