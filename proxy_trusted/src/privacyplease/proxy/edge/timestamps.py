"""Times as the contracts have them."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp


def timestamp(millis: int) -> Timestamp:
    """A time in ms since 1970, UTC. It may lie outside the years that `Timestamp.FromMilliseconds` takes.

    >>> timestamp(-1).ToJsonString()
    '1969-12-31T23:59:59.999Z'
    """
    return Timestamp(seconds=millis // 1_000, nanos=millis % 1_000 * 1_000_000)
