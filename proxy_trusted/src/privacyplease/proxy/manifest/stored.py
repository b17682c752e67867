"""What a change writes to the trusted store, in its transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from sqlalchemy import Connection, delete, func, insert, select, update

from privacyplease.proxy.keys.derivation import context
from privacyplease.proxy.manifest.changes import Change, SegmentName, StaleError
from privacyplease.proxy.manifest.rows import Row
from privacyplease.proxy.storage.cell import Cell
from privacyplease.proxy.trusted_store.tables import gone_segments, heads, next_segments, segments
from privacyplease.proxy.trusted_store.upsert import inserted_or

# A number that was given out is used before so many others are given out, or not at all. So whoever goes on from an
# older state knows from which number on there may be segments that it has not heard of (`lifecycle/later.py`).
RESERVED = 4_096

# For how many versions it is remembered which rows are gone. A proxy that missed more reads all rows again.
_REMEMBERED = 100_000


def check_numbers(connection: Connection, added: Iterable[Row]) -> None:
    """Raises `StaleError` if a number was given out too long ago."""
    lowest: dict[str, int] = {}
    for row in added:
        lowest[row.dataset] = min(row.number, lowest.get(row.dataset, row.number))
    if any(number < next_number(connection, dataset) - RESERVED for dataset, number in lowest.items()):
        raise StaleError


def described(rows: list[Row], sealed: list[bytes], change: Change) -> list[bytes]:
    """A change as the chain of heads has it."""
    put = [
        context(
            row.dataset.encode(), row.number.to_bytes(8, "big"), bytes([row.state]), hashlib.sha256(octets).digest()
        )
        for row, octets in zip(rows, sealed, strict=True)
    ]
    return put + [context(name.dataset.encode(), name.number.to_bytes(8, "big")) for name in change.removed]


def write_rows(connection: Connection, rows: list[Row], sealed: list[bytes], change: Change, version: int) -> None:
    """Adds the rows of a change, or puts them in the place of what they were; and takes away those that are gone."""
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
    """Puts the newest head in the place of the last."""
    put = inserted_or(
        connection.dialect,
        heads,
        lambda given: {"version": given.version, "tag": given.tag, "sealed": given.sealed},
    )
    connection.execute(put, {"one": 1, "version": version, "gone_since": 0, **cell._asdict()})
    if version % _REMEMBERED == 0:
        since = version - _REMEMBERED
        connection.execute(delete(gone_segments).where(gone_segments.c.version <= since))
        connection.execute(update(heads).values(gone_since=since))


def next_number(connection: Connection, dataset: str) -> int:
    """The number that the next segment of a data set gets."""
    number = connection.scalar(select(func.max(next_segments.c.number)).where(next_segments.c.dataset == dataset))
    return int(number or 1)


def set_next_number(connection: Connection, dataset: str, number: int) -> None:
    """Gives it another."""
    put = inserted_or(connection.dialect, next_segments, lambda given: {"number": given.number})
    connection.execute(put, {"dataset": dataset, "number": number})
