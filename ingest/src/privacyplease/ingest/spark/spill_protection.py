"""Keeps records out of files that Spark writes.

A shuffle, a cached table or a sort that does not fit into memory is written to the executors' disks, legible unless
Spark encrypts it. Whether a query does any of that, its sink cannot see: so no record is accepted from a session that
would write it legibly.
"""

from __future__ import annotations

from collections.abc import Callable

from privacyplease.ingest.errors import SettingsError

__all__ = ["ENCRYPTION", "require_encryption"]

ENCRYPTION = "spark.io.encryption.enabled"
"""The setting with which Spark encrypts what it writes to the disks of driver and executors."""


def require_encryption(setting: Callable[[str], str | None]) -> None:
    """Makes sure that the session encrypts what it spills.

    Args:
        setting: Gives the session's value of a setting; None if it has none.

    Raises:
        SettingsError: It does not.
    """
    if (setting(ENCRYPTION) or "false").lower() != "true":
        raise SettingsError(
            f"expected {ENCRYPTION}=true, got false: Spark would write devices and places to the disks of its "
            "executors. Set it before the session starts"
        )
