"""What can go wrong on the way to Kafka, by what the caller can do about it: a branch of `privacyplease.ingest.errors`.

```
IngestError
├── SettingsError            a key, a file of settings or an option cannot be used: mend it
├── BrokerError              Kafka does not answer, or the topic is missing or would lose records: see to the broker
├── DeliveryError            some messages did not arrive: send them again, since no answer changes by a repeated one
└── FeedError                a feed did not answer as it should, for now: ask again later
    └── FeedRefusedError     it refuses what we ask: the key, the contract or the address is wrong
```
"""

from privacyplease.ingest.errors import IngestError

__all__ = ["BrokerError", "DeliveryError", "FeedError", "FeedRefusedError", "SettingsError"]


class SettingsError(IngestError):
    """What the user has set cannot be used."""


class BrokerError(IngestError):
    """Kafka cannot be reached, or its topic is not fit for what we send."""


class DeliveryError(IngestError):
    """Messages were not delivered.

    Attributes:
        failed: How many.
    """

    def __init__(self, message: str, failed: int) -> None:
        super().__init__(message)
        self.failed = failed


class FeedError(IngestError):
    """A feed did not answer, or not as expected. Never holds an address with its query, where the key would be.

    Attributes:
        retry_after: How many seconds the feed asks us to wait, 0 if it does not say.
    """

    def __init__(self, message: str, retry_after: float = 0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class FeedRefusedError(FeedError):
    """A feed refuses the request as it is. It may change its mind, so that a feed which answered before is asked on."""
