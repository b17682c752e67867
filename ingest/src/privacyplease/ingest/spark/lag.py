"""How far a query lags behind its topic."""

from __future__ import annotations

import json
from collections.abc import Mapping

__all__ = ["lag"]


def lag(end: str, latest: str) -> dict[str, int]:
    """How many messages of each partition are still to be read.

    Args:
        end: The offsets up to which a batch has read, as Spark reports them: JSON, by topic and partition.
        latest: The offsets after the last message that was there.

    >>> lag('{"wifi": {"0": 10, "1": 7}}', '{"wifi": {"0": 25, "1": 7}}')
    {'0': 15, '1': 0}
    """
    read: Mapping[str, Mapping[str, int]] = json.loads(end)
    there: Mapping[str, Mapping[str, int]] = json.loads(latest)
    return {
        partition: max(0, offset - read.get(topic, {}).get(partition, 0))
        for topic, partitions in there.items()
        for partition, offset in partitions.items()
    }
