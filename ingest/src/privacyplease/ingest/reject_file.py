"""The reject file: keeps the lines of a log that were rejected, so that they can be corrected and ingested again.

It belongs to the user and stays where the log is, since it holds raw lines. It is CSV with the columns `file`, `line`,
`field`, `reason` and `record`. The record is as it was in the log, even if a spreadsheet would compute it.
"""

import csv
import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from privacyplease.ingest.errors import RejectFileError
from privacyplease.ingest.parsing import RejectedLine

__all__ = ["RejectFile"]


class RejectFile:
    """Writes rejected lines as CSV. The file is created with the first of them, and only its owner may read it.

    Attributes:
        path: Where it is.
        source: The log that the lines are from, for the column `file`. Set it before a log is read.
        count: How many lines it holds.
    """

    def __init__(self, path: Path, source: str = "", *, numbered: bool = False) -> None:
        """Initialises a reject file.

        Args:
            path: Where it is to be.
            source: See above.
            numbered: Whether a number is added to the path's name if another run has written a file there, possibly the
                only copy of its records.

        Raises:
            RejectFileError: The path exists, and no number may be added.
        """
        if path.exists() and not numbered:
            raise RejectFileError(f"expected a new path for the reject file, got one that exists: {path}")
        self.path = path
        self._numbered = numbered
        self.source = source
        self.count = 0
        self._file: TextIO | None = None

    def write(self, rejects: Iterable[RejectedLine]) -> None:
        """Appends rejected lines, in the order given.

        Raises:
            RejectFileError: If someone else has created the file since, or it cannot be created.
        """
        for reject in rejects:
            if self._file is None:
                self._file = self._create()
            csv.writer(self._file).writerow((self.source, reject.line, reject.field, reject.reason, reject.record))
            self.count += 1

    def close(self) -> None:
        """Closes the file, if any line was written."""
        if self._file is not None:
            self._file.close()

    def _create(self) -> TextIO:
        first, number = self.path, 1
        while True:
            try:
                # Exclusive, since an earlier file may hold the only copy of records that have yet to be corrected.
                handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                break
            except OSError as error:
                if not (self._numbered and isinstance(error, FileExistsError)):
                    raise RejectFileError(f"cannot create the reject file {self.path}: {error.strerror}") from error
            number += 1
            self.path = first.with_name(f"{first.stem}-{number}{first.suffix}")
        # Surrogate escapes restore bytes that were not UTF-8.
        file = os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape", newline="")
        csv.writer(file).writerow(("file", "line", "field", "reason", "record"))
        return file

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
