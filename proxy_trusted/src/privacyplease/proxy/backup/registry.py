"""The register of backups, and what must stay on the storage server for them.

A backup knows the segments that existed when it was made. Compaction later replaces and deletes segments, but those
that one of the last two backups knows are kept: as long as it is one of these two, and for at most 31 days. So the
storage server has every cell that these backups know, and a proxy restored from one of them can check that it does.
"""

from __future__ import annotations

import time

from sqlalchemy import Engine, delete, func, insert, select, update

from privacyplease.proxy.trusted_store.store import writing
from privacyplease.proxy.trusted_store.tables import backups, data_keys, heads

# Two, so that the older one can be restored if the latest turns out to be unreadable.
KEPT_BACKUPS = 2

# A limit, so that retired segments do not pile up for ever if no more backups are made.
KEPT_MS = 31 * 86_400_000

# A backup that has not finished by then was interrupted.
_LONGEST_BACKUP_MS = 86_400_000


def begin(store: Engine) -> int:
    """Notes that a backup begins, before anything is copied for it, and returns its number."""
    with writing(store) as connection:
        version = connection.scalar(select(heads.c.version)) or 0
        row = {"begun_at_ms": _now(), "version": version}
        (number,) = connection.execute(insert(backups), row).inserted_primary_key or (0,)
        return int(number)


def finish(store: Engine, number: int) -> None:
    """Notes that a backup is complete."""
    with writing(store) as connection:
        connection.execute(update(backups).where(backups.c.number == number).values(done_at_ms=_now()))


def abandon(store: Engine, number: int) -> None:
    """Forgets a backup that failed."""
    with writing(store) as connection:
        connection.execute(delete(backups).where(backups.c.number == number))


def finish_restored(store: Engine) -> None:
    """Notes in a restored store that its backup is complete: it was not yet when the store was copied."""
    with writing(store) as connection:
        newest = connection.scalar(select(func.max(backups.c.number)))
        unfinished = backups.c.number == newest, backups.c.done_at_ms.is_(None)
        connection.execute(update(backups).where(*unfinished).values(done_at_ms=_now()))


def needed_after(store: Engine) -> int | None:
    """The version of the manifest after which segments that were RETIRED must stay; None if none must."""
    column = backups.c
    complete = select(column.version).where(column.done_at_ms.is_not(None), column.begun_at_ms > _now() - KEPT_MS)
    latest = complete.order_by(column.number.desc()).limit(KEPT_BACKUPS)
    running = select(column.version).where(
        column.done_at_ms.is_(None), column.begun_at_ms > _now() - _LONGEST_BACKUP_MS
    )
    with store.connect() as connection:
        return min([*connection.scalars(latest), *connection.scalars(running)], default=None)


def keys_without_backup(store: Engine) -> int:
    """How many data keys no backup holds: those made since the last complete one began."""
    with store.connect() as connection:
        since = connection.scalar(select(func.max(backups.c.begun_at_ms)).where(backups.c.done_at_ms.is_not(None)))
        later = [data_keys.c.made_at >= since] if since is not None else []
        return int(connection.scalar(select(func.count()).select_from(data_keys).where(*later)) or 0)


def _now() -> int:
    return int(time.time() * 1_000)
