"""The SQL of a change to the manifest: what it writes to the trusted store, in one transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from sqlalchemy import Connection, delete, func, insert, select, update

from privacyplease.proxy.keys.derivation import context
from privacyplease.proxy.manifest.changes import Change, SegmentName, StaleError
from privacyplease.proxy.manifest.rows import ManifestRow
from privacyplease.proxy.storage.cell import Cell
from privacyplease.proxy.trusted_store.tables import gone_segments, heads, next_segments, segments
from privacyplease.proxy.trusted_store.upsert import upsert

# A number that was assigned is used before this many others are assigned, or never. So a home that continues from an
# older state knows from which number on there may be segments that it does not know (`lifecycle/segment_discovery.py`).
RESERVED = 4_096

# For how many versions removed rows are remembered. A proxy that missed more versions reads all rows again.
_REMEMBERED = 100_000


def check_numbers(connection: Connection, added: Iterable[ManifestRow]) -> None:
    """Raises `StaleError` if a number was assigned too long ago."""
    lowest: dict[str, int] = {}
    for row in added:
        lowest[row.dataset] = min(row.number, lowest.get(row.dataset, row.number))
    if any(number < next_number(connection, dataset) - RESERVED for dataset, number in lowest.items()):
        raise StaleError


def described(rows: list[ManifestRow], sealed: list[bytes], change: Change) -> list[bytes]:
    """A change as the chain of heads records it."""
    written = [
        context(
            row.dataset.encode(), row.number.to_bytes(8, "big"), bytes([row.state]), hashlib.sha256(octets).digest()
        )
        for row, octets in zip(rows, sealed, strict=True)
    ]
    return written + [context(name.dataset.encode(), name.number.to_bytes(8, "big")) for name in change.removed]


def write_rows(
    connection: Connection, rows: list[ManifestRow], sealed: list[bytes], change: Change, version: int
) -> None:
    """Inserts or replaces the rows of a change, and deletes those that it removes."""
    added = {SegmentName(row.dataset, row.number) for row in change.added}
    for row, octets in zip(rows, sealed, strict=True):
        values = {"state": int(row.state), "version": version, "sealed": octets}
        if SegmentName(row.dataset, row.number) in added:
            connection.execute(insert(segments), values | {"dataset": row.dataset, "number": row.number})
        else:
            whose = segments.c.dataset == row.dataset, segments.c.number == row.number
            connection.execute(update(segments).where(*whose).values(values))
    for dataset, number in change.removed:
        whose = segments.c.dataset == dataset, segments.c.number == number
        if connection.execute(delete(segments).where(*whose)).rowcount:
            connection.execute(insert(gone_segments), {"dataset": dataset, "number": number, "version": version})


def write_head(connection: Connection, version: int, cell: Cell) -> None:
    """Replaces the head by the newest one."""
    statement = upsert(
        connection.dialect,
        heads,
        lambda new: {"version": new.version, "tag": new.tag, "sealed": new.sealed},
    )
    connection.execute(statement, {"one": 1, "version": version, "gone_since": 0, **cell._asdict()})
    if version % _REMEMBERED == 0:
        since = version - _REMEMBERED
        connection.execute(delete(gone_segments).where(gone_segments.c.version <= since))
        connection.execute(update(heads).values(gone_since=since))


def next_number(connection: Connection, dataset: str) -> int:
    """The next number for a segment of a data set."""
    number = connection.scalar(select(func.max(next_segments.c.number)).where(next_segments.c.dataset == dataset))
    return int(number or 1)


def set_next_number(connection: Connection, dataset: str, number: int) -> None:
    """Sets the next number for a segment of a data set."""
    statement = upsert(connection.dialect, next_segments, lambda new: {"number": new.number})
    connection.execute(statement, {"dataset": dataset, "number": number})
