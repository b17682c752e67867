"""Which data sets there are, and how the system is doing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a data set.

    Attributes:
        name: Its name.
        type: "mac", "string", "timestamp", "duration", "int", "float" or "bool".
    """

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set as its definition describes it; `subject`, `place`, `start` and `duration` name columns."""

    name: str
    title: str
    columns: tuple[Column, ...]
    subject: str
    place: str
    start: str
    duration: str


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys of one data set.

    Attributes:
        dataset: The data set's name.
        epochs: Epochs with a key of their own, ascending, as the number of whole epochs since 1970-01-01T00:00:00Z.
        epoch_days: The width of an epoch, in days.
    """

    dataset: str
    epochs: tuple[int, ...]
    epoch_days: int


@dataclass(frozen=True, slots=True)
class Storage:
    """The storage server as it describes itself.

    Attributes:
        reachable: Whether it answered.
        store: Its database and version, as "mariadb 10.11.6".
        cells: Cells stored, as the database estimates it.
        bytes: Bytes stored, as the database estimates it.
    """

    reachable: bool
    store: str
    cells: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Answers:
    """What became of the storage server's answers since the proxy started.

    Attributes:
        whole: Those that held what they must, and nothing else.
        refused: Those that were refused as `TrustError`, by reason, as {"CELLS_MISSING": 2}.
    """

    whole: int
    refused: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Compaction:
    """What compaction has still to do, in the background.

    Attributes:
        fresh_segments: Segments that were flushed and are not compacted, of all data sets.
        fresh_records: Records in them.
        last_round: When the proxy last looked for what there is to do, and did it; None if not yet.
        failure: Why it stopped short then, as the name of an `ErrorReason`; "" if it did not.
    """

    fresh_segments: int
    fresh_records: int
    last_round: datetime | None
    failure: str


@dataclass(frozen=True, slots=True)
class Cache:
    """The cells that the proxy keeps in memory.

    Attributes:
        hits: Cells that a question needed and that were in it, since the proxy started.
        misses: Cells that a question needed and that were not.
        bytes: What the cells in it take on the storage server.
    """

    hits: int
    misses: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the proxy knows of the store: which segments there are, of all data sets.

    Attributes:
        version: Grows by one with each change.
        live_segments: Segments that questions are answered from.
        retired_segments: Segments that were replaced, and stay until no question and no backup needs them.
        unsettled_segments: Segments that were sent, of which it is not known whether they are stored.
        outgrown_cells: Cells larger than cells of as many records should be: they say a little of what is in them.
        witnesses: Where else its newest head is kept, besides with the storage server.
        witness_failures: How often a witness could not be told of a head, or asked for it, since the proxy started.
    """

    version: int
    live_segments: int
    retired_segments: int
    unsettled_segments: int
    outgrown_cells: int
    witnesses: int
    witness_failures: int


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy that says who may ask what.

    Attributes:
        loaded_at: Since when it is in force.
        problem: What is wrong with its file as it is now, so that the policy of before is in force; "" if nothing is.
    """

    loaded_at: datetime
    problem: str


@dataclass(frozen=True, slots=True)
class RecentCalls:
    """Calls of one rpc that ended in the last five minutes.

    Attributes:
        method: The rpc, as "PresenceService/FindSessions".
        calls: How many.
        failed: How many of them were refused or failed.
        per_second: Calls a second.
        median: Half of them took no longer.
        percentile_95: 95 of 100 took no longer.
        mean_cells: Cells opened for a call, in the mean.
        mean_bytes: Their ciphertext, in the mean.
    """

    method: str
    calls: int
    failed: int
    per_second: float
    median: timedelta
    percentile_95: timedelta
    mean_cells: float
    mean_bytes: float


@dataclass(frozen=True, slots=True)
class Ingestion:
    """What was ingested since the proxy started.

    Attributes:
        batches: Batches.
        accepted: Records that were stored.
        rejected: Records that were not.
        accepted_per_second: Records stored a second, in the last five minutes.
        newest_record: When the newest record ends that was stored, by data set; those without one are not listed.
    """

    batches: int
    accepted: int
    rejected: int
    accepted_per_second: float
    newest_record: Mapping[str, datetime]


@dataclass(frozen=True, slots=True)
class Activity:
    """What the proxy has been doing.

    Attributes:
        started_at: Since when it runs.
        calls: Its calls of the last five minutes, ascending by method.
        ingestion: What was ingested.
    """

    started_at: datetime
    calls: tuple[RecentCalls, ...]
    ingestion: Ingestion


@dataclass(frozen=True, slots=True)
class Status:
    """How the system is doing: the proxy, keyrings, the storage server and its answers, the policy, recent activity.

    Compaction's backlog, the cells in memory and the manifest are part of it.
    """

    version: str
    keyrings: tuple[Keyring, ...]
    storage: Storage
    answers: Answers
    policy: Policy
    activity: Activity
    compaction: Compaction
    cache: Cache
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Access:
    """Whom the proxy takes us for, and what the policy allows us.

    Attributes:
        name: The name in our certificate; "" in plaintext.
        on_behalf_of: For whom we ask; "" for nobody else. What follows is then what both may.
        roles: "ingest", "count", "presence", "self", "stations", "admin"; nothing without one.
        datasets: Those that we may ask; empty for every one.
        devices: Our own.
        purposes: Those that we may state; empty for any text.
        longest_interval: The longest that we may ask about; None for any.
        calls_per_minute: How many calls we may make; 0 for any number.
        may_act_for: For whom we may ask; "*" for anybody. Whoever is named here asks nothing in their own name.
    """

    name: str
    on_behalf_of: str
    roles: tuple[str, ...]
    datasets: tuple[str, ...]
    devices: tuple[str, ...]
    purposes: tuple[str, ...]
    longest_interval: timedelta | None
    calls_per_minute: int
    may_act_for: tuple[str, ...]
