"""The settings of a proxy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.query.search import MOST_TAGS
from privacyplease.proxy.trusted_store.disk_reserve import RESERVE_BYTES
from privacyplease.transport.slots import MESSAGE_SECONDS

# Once a flush has begun, batches that arrive within so long are flushed together.
FLUSH_SECONDS = 0.5

CACHE_BYTES = 256 << 20


@dataclass(frozen=True)
class ProxySettings:
    """The settings of a proxy.

    Attributes:
        home: The proxy's home.
        storage: The storage server's address.
        passphrase: The passphrase of the master key; None to use the one in the home.
        questions: How many questions may run at once.
        streams: How many ingest streams may be open at once.
        question_seconds: How long an answer may take.
        message_seconds: How long the request of a question may take to arrive.
        idle_seconds: How long an ingest stream may be idle.
        flush_seconds: Least time between the starts of two flushes of a data set while batches are small.
        most_tags: How many cells one question may touch.
        cache_bytes: How many bytes of cells, in stored size, stay in memory, sealed or opened.
        certificates: Folder of the certificate shown to clients (`transport.credentials`); None for plaintext, which is
            allowed only on loopback.
        storage_certificates: Folder of the certificate shown to the storage server; None likewise.
        epoch_keys: Folder of key-encryption keys; None for the holder of the master key, or else a folder in the home.
        trusted_store: URL of a trusted store shared by several proxies (`trusted_store.open_url`); None for the home's
            own.
        keyring: An exported keyring, with which the proxy only counts people; then only the policy of the home is used,
            and the passphrase opens this file.
        compacts: Whether the proxy compacts in the background.
        reserve_bytes: How much room on the disk of the home is kept for administrators.
        witnesses: Where else the newest head of the manifest is kept: folders, and URLs of databases.
    """

    home: Home
    storage: str
    passphrase: str | None = None
    questions: int = 32
    streams: int = 32
    question_seconds: float = 120.0
    message_seconds: float = MESSAGE_SECONDS
    idle_seconds: float = 600.0
    flush_seconds: float = FLUSH_SECONDS
    most_tags: int = MOST_TAGS
    cache_bytes: int = CACHE_BYTES
    certificates: Path | None = None
    storage_certificates: Path | None = None
    epoch_keys: Path | None = None
    trusted_store: str | None = None
    keyring: Path | None = None
    compacts: bool = True
    reserve_bytes: int = RESERVE_BYTES
    witnesses: tuple[str, ...] = ()
