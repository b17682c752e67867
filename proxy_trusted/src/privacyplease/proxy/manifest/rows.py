"""Rows of the manifest: one for each segment, sealed.

::

    row        = nonce (12) ‖ AES-256-GCM(manifest key, nonce, body, associated data)
    associated = label ‖ data set ‖ segment (u64) ‖ state (u8) ‖ version (u64), each preceded by its length
    body       = epoch (i64) ‖ generation (u32) ‖ settled (u8) ‖ outgrown cells (u8) ‖ changed at (i64)
                 ‖ records (u64) ‖ first ‖ last ‖ reach ‖ longest (i64 each)
                 ‖ groups (u8) ‖ for each: group (u8) ‖ size (u32) ‖ digest (28)
                 ‖ filter of subjects                                                            all big endian

A row is sealed anew with each change of its state, so a row of an earlier state does not open in its place.
"""

from __future__ import annotations

import secrets
import struct
from enum import IntEnum
from typing import NamedTuple, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from privacyplease.proxy.errors import KeyUnavailableError
from privacyplease.proxy.keys.derivation import Key, KeyId, context
from privacyplease.proxy.keys.master_key import NONCE_BYTES
from privacyplease.proxy.segments.groups import Group, SegmentId
from privacyplease.proxy.segments.sealing import DIGEST_BYTES, Digest
from privacyplease.proxy.segments.segment import SealedSegment, Summary

ROW_LABEL = b"privacyplease/v2/manifest-row"

_HEAD = struct.Struct(">qIBBq Qqqqq B")
_GROUP = struct.Struct(f">BI{DIGEST_BYTES}s")


class SegmentState(IntEnum):
    """The state of a segment.

    ::

        SENT ──► LIVE ──► RETIRED ──► gone         a fresh segment: what was flushed
        SENT ──► STORED ──► LIVE ──► …             a settled one: what compaction made

    The cells of a SENT segment may or may not be stored: no client was told that they are. Those of any other are.
    Questions are answered from LIVE segments. RETIRED ones stay until no question and no backup needs them.
    """

    SENT = 0
    STORED = 1
    LIVE = 2
    RETIRED = 3


class CellEntry(NamedTuple):
    """What a cell must match: its size in bytes, and its digest."""

    size: int
    digest: Digest


class ManifestRow(NamedTuple):
    """A segment, as the manifest knows it.

    Attributes:
        dataset: Its data set.
        number: Its number.
        state: Its state.
        version: The version of the manifest in which the row was last changed.
        key: The key of its epoch that its cells are sealed under.
        settled: Whether compaction made it.
        changed_at: When its state was last changed, in ms since 1970, by the steady clock of whoever changed it.
        summary: About its records.
        groups: Its cells.
        outgrown: How many of its cells exceed the size for their number of records.
    """

    dataset: str
    number: SegmentId
    state: SegmentState
    version: int
    key: KeyId
    settled: bool
    changed_at: int
    summary: Summary
    groups: dict[Group, CellEntry]
    outgrown: int = 0

    @classmethod
    def of(cls, segment: SealedSegment, dataset: str, key: KeyId, *, settled: bool) -> Self:
        """The row of a segment that is about to be sent; version and time come with the change that adds it."""
        entries = {group: CellEntry(sealed.size, sealed.digest) for group, sealed in segment.groups.items()}
        return cls(
            dataset, segment.number, SegmentState.SENT, 0, key, settled, 0, segment.summary, entries, segment.outgrown
        )

    @property
    def size(self) -> int:
        """How much space its cells take on the server, in bytes."""
        return sum(entry.size for entry in self.groups.values())


def seal(row: ManifestRow, key: Key) -> bytes:
    """The sealed row."""
    summary = row.summary
    body = _HEAD.pack(*row.key, row.settled, row.outgrown, row.changed_at, *summary[:5], len(row.groups))
    body += b"".join(_GROUP.pack(group, *entry) for group, entry in row.groups.items()) + summary.subjects
    nonce = secrets.token_bytes(NONCE_BYTES)
    associated = _associated(row.dataset, row.number, row.state, row.version)
    return nonce + AESGCM(key.reveal()).encrypt(nonce, body, associated)


def open_row(sealed: bytes, key: Key, dataset: str, number: int, state: int, version: int) -> ManifestRow:
    """The row that was sealed.

    Raises:
        KeyUnavailableError: It was changed, or is sealed under another key; the trusted store is not as it was written.
    """
    try:
        body = AESGCM(key.reveal()).decrypt(
            sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _associated(dataset, number, state, version)
        )
    except (InvalidTag, ValueError) as error:
        raise KeyUnavailableError(f"a row of the manifest of data set {dataset!r} does not open") from error
    epoch, generation, settled, outgrown, changed_at, records, first, last, reach, longest, count = _HEAD.unpack_from(
        body
    )
    offset, groups = _HEAD.size, {}
    for _ in range(count):
        group, size, digest = _GROUP.unpack_from(body, offset)
        groups[Group(group)] = CellEntry(size, Digest(digest))
        offset += _GROUP.size
    summary = Summary(records, first, last, reach, longest, body[offset:])
    status = SegmentState(state), version, KeyId(epoch, generation), bool(settled), changed_at
    return ManifestRow(dataset, SegmentId(number), *status, summary, groups, outgrown)


def _associated(dataset: str, number: int, state: int, version: int) -> bytes:
    return context(ROW_LABEL, dataset, number.to_bytes(8, "big"), bytes([state]), version.to_bytes(8, "big"))
