"""Messages that were read together, and how far the topic has been read with them."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from confluent_kafka import Message

__all__ = ["Batch"]


@dataclass(eq=False)
class Batch:
    """Messages on their way to the proxy.

    Attributes:
        messages: The messages, each partition's in order.
        ends: For each partition, the offset behind its last message.
        claims: For each partition, the claim under which it was read.
        done: Whether each message is durable, as a record or as a dead letter.
    """

    messages: list[Message] = field(repr=False)
    ends: dict[int, int]
    claims: dict[int, int]
    done: bool = False

    @property
    def values(self) -> list[bytes]:
        """What the messages hold; nothing at all is empty."""
        return [message.value() or b"" for message in self.messages]


def ends_of(messages: Iterable[Message]) -> dict[int, int]:
    """For each partition, the offset behind the last of its messages."""
    last = {message.partition() or 0: message.offset() or 0 for message in messages}
    return {partition: offset + 1 for partition, offset in last.items()}
