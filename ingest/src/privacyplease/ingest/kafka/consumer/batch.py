"""Messages that were read together, and the offsets to commit once they are durable."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from confluent_kafka import Message

__all__ = ["MessageBatch", "end_offsets"]


@dataclass(eq=False)
class MessageBatch:
    """Messages to be uploaded to the proxy.

    Attributes:
        messages: The messages, each partition's in order.
        ends: For each partition, the offset after its last message.
        claims: For each partition, the claim under which it was read.
        done: Whether each message is durable, as a record or as a dead letter.
    """

    messages: list[Message] = field(repr=False)
    ends: dict[int, int]
    claims: dict[int, int]
    done: bool = False

    @property
    def values(self) -> list[bytes]:
        """The messages' values; a message without one counts as empty."""
        return [message.value() or b"" for message in self.messages]


def end_offsets(messages: Iterable[Message]) -> dict[int, int]:
    """For each partition, the offset after the last of its messages."""
    last = {message.partition() or 0: message.offset() or 0 for message in messages}
    return {partition: offset + 1 for partition, offset in last.items()}
