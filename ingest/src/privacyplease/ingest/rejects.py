"""Records that could not be taken in, and the file that keeps them.

The file is the user's own and stays where the log is: it holds the raw lines, so that nothing is lost and they can be
mended and read again. It is CSV with the columns `file`, `line`,
`field`, `reason` and `record`.
"""

import csv
import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from privacyplease.ingest.errors import RejectFileError

__all__ = ["Reject", "RejectFile"]


@dataclasses.dataclass(frozen=True, slots=True)
class Reject:
    """One record that stays out.

    Attributes:
        line: Its line in the source, counted from 1.
        field: The column at fault, or `record` where it is the line as a whole.
        reason: What was expected. Never holds a value of the log, so it may be logged and shown.
        record: The raw line. Bytes that are not UTF-8 are surrogate escapes. Not in the repr, since it is plaintext.
    """

    line: int
    field: str
    reason: str
    record: str = dataclasses.field(repr=False)


class RejectFile:
    """Writes rejects as CSV; the file appears with the first reject and only its owner may read it.

    Attributes:
        path: Where it is.
        source: The log that rejects are from, for the column `file`. Set it before a log is read.
        count: How many rejects it holds.
    """

    def __init__(self, path: Path, source: str = "") -> None:
        if path.exists():
            raise RejectFileError(f"expected a new file for rejects, got one that exists: {path}")
        self.path = path
        self.source = source
        self.count = 0
        self._file: TextIO | None = None

    def write(self, rejects: Iterable[Reject]) -> None:
        """Appends rejects, in the order given.

        Raises:
            RejectFileError: If somebody else made the file since, or it cannot be made.
        """
        for reject in rejects:
            if self._file is None:
                self._file = self._create()
            csv.writer(self._file).writerow((self.source, reject.line, reject.field, reject.reason, reject.record))
            self.count += 1

    def close(self) -> None:
        """Closes the file, if any reject was written."""
        if self._file is not None:
            self._file.close()

    def _create(self) -> TextIO:
        try:
            # Exclusive, since an earlier file may hold the only copy of records that wait to be mended.
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise RejectFileError(
                f"expected to make a new file for rejects at {self.path}: {error.strerror}"
            ) from error
        # Surrogate escapes give bytes that were not UTF-8 back as they were.
        file = os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape", newline="")
        csv.writer(file).writerow(("file", "line", "field", "reason", "record"))
        return file

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
