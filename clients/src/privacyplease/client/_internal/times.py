"""Instants and durations in Python and in the contract, to the millisecond."""

from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_MS_PER_S = 1_000
_NS_PER_MS = 1_000_000


def unix_ms(when: datetime) -> int:
    """Milliseconds since the epoch; finer digits are cut off.

    Raises:
        ValueError: `when` has no time zone, so the instant would be a guess.
    """
    if when.utcoffset() is None:
        raise ValueError(
            f"expected a datetime with a time zone, got {when.isoformat()} without; add one, e.g. tzinfo=datetime.UTC"
        )
    return (when - EPOCH) // _MILLISECOND


def from_unix_ms(ms: int) -> datetime:
    """The instant `ms` milliseconds after the epoch, in UTC."""
    return EPOCH + ms * _MILLISECOND


def timestamp(when: datetime) -> Timestamp:
    """`when` as a message of the contract."""
    seconds, ms = divmod(unix_ms(when), _MS_PER_S)
    return Timestamp(seconds=seconds, nanos=ms * _NS_PER_MS)


def instant(stamp: Timestamp) -> datetime:
    """An instant of the contract, in UTC."""
    return from_unix_ms(stamp.seconds * _MS_PER_S + stamp.nanos // _NS_PER_MS)


def duration(width: timedelta) -> Duration:
    """`width` as a message of the contract."""
    message = Duration()
    message.FromTimedelta(width)
    return message
