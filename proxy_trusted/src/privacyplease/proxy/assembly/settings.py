"""What a proxy is started with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.query.search import MOST_TAGS

# Batches that come within so long of each other are flushed together, once a flush has begun.
FLUSH_SECONDS = 0.5

CACHE_BYTES = 256 << 20


@dataclass(frozen=True)
class ProxySettings:
    """What a proxy is started with.

    Attributes:
        home: Its home.
        storage: The storage server's address.
        passphrase: What opens the master key; None for the home's own.
        questions: Questions answered at once.
        streams: Ingest streams open at once.
        question_seconds: How long an answer may take.
        idle_seconds: How long an ingest stream may be idle.
        flush_seconds: How far apart flushes of a data set begin, at least, while batches are small.
        most_tags: Cells that one question may touch.
        cache_bytes: How much of what is on the storage server stays in memory, sealed or opened.
        certificates: Folder of its certificate for clients (`credentials.py`); None for plaintext, on loopback alone.
        storage_certificates: Folder of its certificate for the storage server; None likewise.
        trusted_store: URL of a trusted store that proxies share (`trusted_store.open_url`); None for the home's own.
        keyring: An exported keyring to count people with, and do nothing else; of the home the policy alone is used,
            and the passphrase opens this file.
        compacts: Whether it compacts in the background.
        witnesses: Where else the newest head of the manifest is kept: folders, and URLs of databases.
    """

    home: Home
    storage: str
    passphrase: str | None = None
    questions: int = 16
    streams: int = 32
    question_seconds: float = 120.0
    idle_seconds: float = 600.0
    flush_seconds: float = FLUSH_SECONDS
    most_tags: int = MOST_TAGS
    cache_bytes: int = CACHE_BYTES
    certificates: Path | None = None
    storage_certificates: Path | None = None
    trusted_store: str | None = None
    keyring: Path | None = None
    compacts: bool = True
    witnesses: tuple[str, ...] = ()
