"""Which backups were made, and what must stay on the storage server for them.

A backup knows the cells that there were when it was made. Compaction replaces cells and removes them some minutes
later; those that one of the last two backups knows stay for as long as that is so, or for 31 days. So the store has
every cell that these backups know, and a proxy that is restored from one of them can hold the server to it.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from sqlalchemy import Connection, Engine, delete, func, insert, or_, select, update

from privacyplease.proxy import holdings, journal
from privacyplease.proxy.trusted_store import store as trusted_store
from privacyplease.proxy.trusted_store.store import backups, data_keys, reading, writing

# What these many of the latest backups know stays, so that one of them may turn out to be unreadable.
KEPT_BACKUPS = 2

# And for so long: where backups have ceased, what is replaced must not pile up for ever.
KEPT_MS = 31 * 86_400_000

# A backup that has not ended by then was cut off.
_LONGEST_BACKUP_MS = 86_400_000


class Backup(NamedTuple):
    """A backup.

    Attributes:
        number: Tells it from others.
        entry: The journal's newest entry before it began: what was retired later, the backup may know.
        run: Runs that were planned later have this number or a higher one.
    """

    number: int
    entry: int
    run: int


def begin(store: Engine) -> int:
    """Notes that a backup begins, before anything is read for it, and returns its number."""
    with reading(store) as cursor:
        entry = journal.last(cursor)  # an older one than the newest keeps more, and no less
    with writing(store) as connection:
        row = {"begun_at_ms": _now(), "entry": entry, "run": holdings.unused_run(connection)}
        (number,) = connection.execute(insert(backups), row).inserted_primary_key or (0,)
        return int(number)


def done(connection: Connection, number: int) -> None:
    """Notes that a backup is whole."""
    connection.execute(update(backups).where(backups.c.number == number).values(done_at_ms=_now()))


def abandon(store: Engine, number: int) -> None:
    """Forgets a backup that failed."""
    with writing(store) as connection:
        connection.execute(delete(backups).where(backups.c.number == number))


def last(connection: Connection) -> Backup | None:
    """The one that began last: in a store that was restored from a backup, that backup."""
    query = select(backups.c.number, backups.c.entry, backups.c.run).order_by(backups.c.number.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return Backup(*row) if row else None


def needed_after(connection: Connection) -> int | None:
    """The number of the journal's entry after which what was retired stays; None if none of it must."""
    held = backups.c
    whole = select(held.entry).where(held.done_at_ms.is_not(None), held.begun_at_ms > _now() - KEPT_MS)
    latest = whole.order_by(held.number.desc()).limit(KEPT_BACKUPS)
    begun = select(held.entry).where(held.done_at_ms.is_(None), held.begun_at_ms > _now() - _LONGEST_BACKUP_MS)
    return min([*connection.scalars(latest), *connection.scalars(begun)], default=None)


def keys_without(store: Engine) -> int:
    """How many data keys no backup holds: those made since the last one began."""
    with store.connect() as connection:
        since = connection.scalar(select(func.max(backups.c.begun_at_ms)).where(backups.c.done_at_ms.is_not(None)))
        made = trusted_store.data_keys.c.made_at
        later = [or_(made.is_(None), made >= since)] if since is not None else []
        return int(connection.scalar(select(func.count()).select_from(data_keys).where(*later)) or 0)


def _now() -> int:
    return int(time.time() * 1_000)
