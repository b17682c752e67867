"""The life of keys: which periods of each data set have a key, and which keys were destroyed."""

import os
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path


class EpochState(Enum):
    """The state of a period's key."""

    IN_USE = "in use"
    BEING_DESTROYED = "being destroyed"
    DESTROYED = "destroyed"


@dataclass(frozen=True, slots=True)
class Epoch:
    """A period of event time that has, or had, a key of its own.

    Attributes:
        start: Its first instant.
        end: The first instant after it.
        state: The state of its key.
        made_at: When its key was made, if recorded.
        destroyed_at: When its key was destroyed, if it was.
        renewals: How often its key was renewed.
    """

    start: datetime
    end: datetime
    state: EpochState
    made_at: datetime | None
    destroyed_at: datetime | None
    renewals: int = 0


@dataclass(frozen=True, slots=True)
class DatasetKeys:
    """The keys of one data set.

    Attributes:
        dataset: Its name.
        retain: How long its records are kept by policy; None if until they are destroyed by hand.
        epochs: Its periods, ascending.
    """

    dataset: str
    retain: timedelta | None
    epochs: tuple[Epoch, ...]


@dataclass(frozen=True, slots=True)
class Keys:
    """All keys.

    Attributes:
        master_key: Where the master key is held, e.g. "passphrase" or "vault:https://host:8200/transit/keys/NAME".
        datasets: The data sets, ascending by name.
    """

    master_key: str
    datasets: tuple[DatasetKeys, ...]


@dataclass(frozen=True, slots=True)
class Destroyed:
    """The destroyed periods, ascending, and how many cells the storage server reports as deleted."""

    epochs: tuple[Epoch, ...]
    cells: int


@dataclass(frozen=True, slots=True)
class Renewed:
    """A period with a new key, and how many records were sealed again."""

    epoch: Epoch
    records: int


@dataclass(frozen=True, slots=True)
class ExportedKeyring:
    """A keyring that allows its holder to count people in an interval, and nothing more. Its passphrase opens it.

    Attributes:
        content: The file's bytes.
        epochs: The periods whose core it opens (who, where, from when and for how long), ascending.
    """

    content: bytes = field(repr=False)
    epochs: tuple[Epoch, ...]

    def save(self, path: Path | str) -> None:
        """Writes a new file that only its owner may read.

        Raises:
            FileExistsError: The file exists already; it is never overwritten.
        """
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(self.content)
