"""The data sets, the state of the system, and what the caller may do."""

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
    """A data set by its definition; `subject`, `place`, `start` and `duration` are names of columns."""

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
        epochs: The epochs with a key, ascending, each as the number of whole epochs since 1970-01-01T00:00:00Z.
        epoch_days: The width of an epoch, in days.
    """

    dataset: str
    epochs: tuple[int, ...]
    epoch_days: int


@dataclass(frozen=True, slots=True)
class Storage:
    """The storage server, as it describes itself.

    Attributes:
        reachable: Whether it answered.
        store: Its database and version, e.g. "mariadb 10.11.6".
        cells: Cells stored, estimated by the database.
        bytes: Bytes stored, estimated by the database.
    """

    reachable: bool
    store: str
    cells: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Answers:
    """The storage server's answers since the proxy started.

    Attributes:
        whole: How many held exactly what they had to.
        refused: How many were refused as `TrustError`, by reason, e.g. {"CELLS_MISSING": 2}.
    """

    whole: int
    refused: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Compaction:
    """The backlog of background compaction.

    Attributes:
        fresh_segments: Segments of all data sets that were flushed and not yet compacted.
        fresh_records: Records in them.
        last_round: When the proxy last ran compaction; None if it has not yet.
        failure: Why that run stopped early, as the name of an `ErrorReason`; "" if it did not.
    """

    fresh_segments: int
    fresh_records: int
    last_round: datetime | None
    failure: str


@dataclass(frozen=True, slots=True)
class Cache:
    """The cells that the proxy keeps in memory.

    Attributes:
        hits: Cells that questions needed and found in it, since the proxy started.
        misses: Cells that questions needed and did not find in it.
        bytes: The size of its cells on the storage server.
    """

    hits: int
    misses: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the proxy knows of the store: the segments of all data sets.

    Attributes:
        version: Incremented with each change.
        live_segments: Segments from which questions are answered.
        retired_segments: Segments that were replaced, kept until no question and no backup needs them.
        unsettled_segments: Segments that were sent but are not known to be stored.
        outgrown_cells: Cells larger than the padded size for their number of records. Their size reveals a little of
            their content.
        witnesses: How many witnesses keep its newest head, besides the storage server.
        witness_failures: How often a head could not be stored at a witness, or read from it, since the proxy started.
    """

    version: int
    live_segments: int
    retired_segments: int
    unsettled_segments: int
    outgrown_cells: int
    witnesses: int
    witness_failures: int


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk of the proxy's home.

    Attributes:
        free_bytes: How many bytes are free.
        low: Whether less than 1 GiB is free.
        full: Whether it is full: records, and questions about persons, are refused until there is room again.
    """

    free_bytes: int
    low: bool
    full: bool


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy that decides who may ask what.

    Attributes:
        loaded_at: When it took effect.
        problem: What is wrong with the current file, so that the previous policy is still in effect; "" if nothing is.
        approvals: Whether rotating, renewing, exporting and destroying keys needs a second person.
        approvals_waiting: How many approvals wait for a decision.
    """

    loaded_at: datetime
    problem: str
    approvals: bool
    approvals_waiting: int


@dataclass(frozen=True, slots=True)
class RecentCalls:
    """Calls of one rpc that ended in the last five minutes.

    Attributes:
        method: The rpc, e.g. "PresenceService/FindSessions".
        calls: How many there were.
        failed: How many of them were refused or failed.
        per_second: Calls per second.
        median: The median duration.
        percentile_95: The 95th percentile of the durations.
        mean_cells: The mean number of cells opened per call.
        mean_bytes: The mean size of their ciphertext per call.
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
    """Ingest since the proxy started.

    Attributes:
        batches: How many batches were received.
        accepted: How many records were stored.
        rejected: How many records were rejected.
        accepted_per_second: Records stored per second, over the last five minutes.
        newest_record: When the newest record that was stored ends, by data set; data sets without one are not listed.
    """

    batches: int
    accepted: int
    rejected: int
    accepted_per_second: float
    newest_record: Mapping[str, datetime]


@dataclass(frozen=True, slots=True)
class Activity:
    """Recent activity of the proxy.

    Attributes:
        started_at: When it started.
        calls: Its calls of the last five minutes, ascending by method.
        ingestion: Its ingest.
    """

    started_at: datetime
    calls: tuple[RecentCalls, ...]
    ingestion: Ingestion


@dataclass(frozen=True, slots=True)
class Erasure:
    """A period that is out of reach, and whose key is not destroyed yet.

    Attributes:
        dataset: The data set.
        start: When the period begins; None if the data set is not defined any more.
        waits_for: What it waits for, for people.
    """

    dataset: str
    start: datetime | None
    waits_for: str


@dataclass(frozen=True, slots=True)
class Status:
    """The state of the whole system."""

    version: str
    keyrings: tuple[Keyring, ...]
    storage: Storage
    answers: Answers
    policy: Policy
    activity: Activity
    compaction: Compaction
    cache: Cache
    manifest: Manifest
    disk: Disk
    erasures: tuple[Erasure, ...] = ()


@dataclass(frozen=True, slots=True)
class Access:
    """Who the caller is to the proxy, and what the policy allows them.

    Attributes:
        name: The name in the caller's certificate; "" in plaintext.
        on_behalf_of: The person on whose behalf they ask; "" if for themselves. The rest is then what both may.
        roles: "ingest", "count", "presence", "self", "stations", "admin", "keys", "audit", "approver"; without any,
            nothing is allowed.
        datasets: The data sets they may ask; empty for all.
        devices: Their own devices.
        purposes: The purposes they may state; empty for any text.
        longest_interval: The longest interval they may ask about; None for any.
        calls_per_minute: How many calls they may make; 0 for any number.
        may_act_for: The people on whose behalf they may ask; "*" for anyone. Such a caller may ask nothing in their own
            name.
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
