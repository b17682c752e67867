"""Which backups were made, and what must stay on the storage server for them.

A backup knows the segments that there were when it was made. Compaction puts others in their place and collects what is
retired; those that one of the last two backups knows stay for as long as that is so, or for 31 days. So the store has
every cell that these backups know, and a proxy that is restored from one of them can hold the server to it.
"""

from __future__ import annotations

import time

from sqlalchemy import Engine, delete, func, insert, select, update

from privacyplease.proxy.trusted_store.store import writing
from privacyplease.proxy.trusted_store.tables import backups, data_keys, heads

# What these many of the latest backups know stays, so that one of them may turn out to be unreadable.
KEPT_BACKUPS = 2

# And for so long: where backups have ceased, what is retired must not pile up for ever.
KEPT_MS = 31 * 86_400_000

# A backup that has not ended by then was cut off.
_LONGEST_BACKUP_MS = 86_400_000


def begin(store: Engine) -> int:
    """Notes that a backup begins, before anything is read for it, and returns its number."""
    with writing(store) as connection:
        version = connection.scalar(select(heads.c.version)) or 0
        row = {"begun_at_ms": _now(), "version": version}
        (number,) = connection.execute(insert(backups), row).inserted_primary_key or (0,)
        return int(number)


def finish(store: Engine, number: int) -> None:
    """Notes that a backup is whole."""
    with writing(store) as connection:
        connection.execute(update(backups).where(backups.c.number == number).values(done_at_ms=_now()))


def abandon(store: Engine, number: int) -> None:
    """Forgets a backup that failed."""
    with writing(store) as connection:
        connection.execute(delete(backups).where(backups.c.number == number))


def finish_restored(store: Engine) -> None:
    """Notes in a restored store that the backup which it comes from is whole, as it was not when it was copied."""
    with writing(store) as connection:
        newest = connection.scalar(select(func.max(backups.c.number)))
        unfinished = backups.c.number == newest, backups.c.done_at_ms.is_(None)
        connection.execute(update(backups).where(*unfinished).values(done_at_ms=_now()))


def needed_after(store: Engine) -> int | None:
    """The manifest's version after which what was RETIRED must stay; None if none of it must."""
    held = backups.c
    whole = select(held.version).where(held.done_at_ms.is_not(None), held.begun_at_ms > _now() - KEPT_MS)
    latest = whole.order_by(held.number.desc()).limit(KEPT_BACKUPS)
    begun = select(held.version).where(held.done_at_ms.is_(None), held.begun_at_ms > _now() - _LONGEST_BACKUP_MS)
    with store.connect() as connection:
        return min([*connection.scalars(latest), *connection.scalars(begun)], default=None)


def keys_without_backup(store: Engine) -> int:
    """How many data keys no backup holds: those made since the last one began."""
    with store.connect() as connection:
        since = connection.scalar(select(func.max(backups.c.begun_at_ms)).where(backups.c.done_at_ms.is_not(None)))
        later = [data_keys.c.made_at >= since] if since is not None else []
        return int(connection.scalar(select(func.count()).select_from(data_keys).where(*later)) or 0)


def _now() -> int:
    return int(time.time() * 1_000)
