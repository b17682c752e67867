"""What a dashboard is started with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from privacyplease.dashboard.passwords import PasswordFile


def _real_time() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Settings:
    """What a dashboard is started with.

    Attributes:
        passwords: Who may log in by a password; None if nobody may.
        zone: The time zone of what is shown and entered.
        clock: Tells the time that pages take for now; logins and the audit log go by the real time.
        refresh: How long a page waits before it looks again at what is live.
        secure: Whether browsers come by TLS: cookies are then sent by no other way.
        idle: How long a login lasts without a request.
        lifetime: How long a login lasts at most.
    """

    passwords: PasswordFile | None
    zone: tzinfo = UTC
    clock: Callable[[], datetime] = _real_time
    refresh: timedelta = timedelta(seconds=30)
    secure: bool = False
    idle: timedelta = timedelta(minutes=30)
    lifetime: timedelta = timedelta(hours=12)
