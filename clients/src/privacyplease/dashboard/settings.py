"""The settings of a dashboard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from privacyplease.dashboard.passwords import PasswordFile


def _real_time() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class DashboardSettings:
    """The settings of a dashboard.

    Attributes:
        passwords: The users who may log in with a password; None if no one may.
        zone: The time zone in which times are shown and entered.
        clock: Returns the time that pages treat as now; logins and the audit log use the real time.
        refresh: How often a page refreshes live data.
        secure: Whether browsers connect over TLS; cookies are then never sent without it.
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
