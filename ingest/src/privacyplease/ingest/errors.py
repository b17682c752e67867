"""What can go wrong with a whole source, by what the caller can do about it.

A bad *record* is never an exception: it becomes a `privacyplease.ingest.rejects.Reject` and the rest goes on.

```
IngestError
├── SourceError        the bytes cannot be had: check the path, or fetch the file again
├── LayoutError        the bytes are not a session log as we know it: export it again with the columns named
├── ZoneError          the time zone given by the user does not exist: give another
└── RejectFileError    the place for bad records is taken or closed to us: give another, so that no record is lost
```
"""

__all__ = ["IngestError", "LayoutError", "RejectFileError", "SourceError", "ZoneError"]


class IngestError(Exception):
    """Any failure of this zone that stops a run."""


class SourceError(IngestError):
    """The source cannot be opened, read or decompressed."""


class LayoutError(IngestError):
    """The source has no header that we know, or its header lacks a column that every session needs."""


class ZoneError(IngestError):
    """A time zone is neither an IANA name nor an offset from UTC."""


class RejectFileError(IngestError):
    """The file meant for rejects exists already, or cannot be made."""
