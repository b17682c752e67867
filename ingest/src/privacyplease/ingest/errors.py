"""What can go wrong with a whole run, by what the caller can do about it.

A bad *record* is never an exception: it becomes a `privacyplease.ingest.parsing.RejectedLine` or `RejectedMessage`, and
the run continues.

```
IngestError
├── SourceError            the source cannot be read: check the path, or fetch the file again
├── LayoutError            the source is not a session log as we know it: export it again with the columns named
├── BadRecordsError        records are bad and were to end the run: correct them, or have them written as dead letters
├── ZoneError              the time zone given by the user does not exist: give another
├── RejectFileError        the reject file exists or cannot be created: give another path, so that no record is lost
├── SettingsError          a key, a settings file or an option cannot be used: correct it
├── BrokerError            Kafka is unavailable, or the topic is missing or would lose records: check the broker
├── SparkError             Spark does not start, or its query has failed: mend the cause, and start it again
├── DeliveryError          some messages were not delivered: send them again; repeated records change no answer
└── FeedError              a feed did not respond as expected, for now: poll it again later
    └── FeedRefusedError   it refuses the request: the key, the contract or the address is wrong
```
"""

__all__ = [
    "BadRecordsError",
    "BrokerError",
    "DeliveryError",
    "FeedError",
    "FeedRefusedError",
    "IngestError",
    "LayoutError",
    "RejectFileError",
    "SettingsError",
    "SourceError",
    "SparkError",
    "ZoneError",
]


class IngestError(Exception):
    """Any failure of this zone that stops a run."""


class SourceError(IngestError):
    """The source cannot be opened, read or decompressed."""


class LayoutError(IngestError):
    """The source has no header that we know, or its header lacks a column that every session needs."""


class BadRecordsError(IngestError):
    """Some records cannot be ingested, and the user has asked for a failure in that case."""


class ZoneError(IngestError):
    """A time zone is neither an IANA name nor an offset from UTC."""


class RejectFileError(IngestError):
    """The reject file already exists, or cannot be created."""


class SettingsError(IngestError):
    """What the user has set cannot be used."""


class BrokerError(IngestError):
    """Kafka cannot be reached, or its topic is unfit for what we send."""


class SparkError(IngestError):
    """Spark does not start, or a query of it has failed."""


class DeliveryError(IngestError):
    """Messages were not delivered.

    Attributes:
        failed: How many.
    """

    def __init__(self, message: str, failed: int) -> None:
        super().__init__(message)
        self.failed = failed


class FeedError(IngestError):
    """A feed did not respond, or not as expected. Never holds a URL's query, which may contain the API key.

    Attributes:
        retry_after: How many seconds the feed asks us to wait; 0 if it does not say.
    """

    def __init__(self, message: str, retry_after: float = 0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class FeedRefusedError(FeedError):
    """A feed refuses the request as it is. That may be temporary: a feed that responded before is polled again."""
