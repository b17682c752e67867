"""A wrong clock for real processes, by libfaketime: what they see of the system's time jumps when it is put.

Example:
    clock = WrongClock(folder)
    with Daemon("proxy", [...], folder, **clock.environment):
        clock.put(3_600)       # an hour ahead
"""

from __future__ import annotations

from pathlib import Path

from tests.services import absent

_LIBRARY = "usr/lib/*/faketime/libfaketimeMT.so.1"


class WrongClock:
    """The clock of all processes that are started with its environment. It is right at first.

    Args:
        folder: The folder of the file that says how wrong it is.
    """

    def __init__(self, folder: Path) -> None:
        library = next(Path("/").glob(_LIBRARY), None)
        absent.require(library is not None, "libfaketime")
        self._file = folder / "clock"
        self.put(0)
        self.environment = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",  # nobody can put that one
        }

    def put(self, ahead: int) -> None:
        """Makes it so many seconds ahead of the right time; behind it if negative."""
        part = self._file.with_suffix(".part")
        part.write_text(f"{ahead:+d}\n")
        part.replace(self._file)
