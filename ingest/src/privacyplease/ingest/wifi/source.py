"""Opens a log: a path, `-` for standard input, or any stream of bytes; gzip is detected by content, not by name."""

import io
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TypeAlias

from privacyplease.ingest.errors import SourceError
from privacyplease.ingest.wifi import gzip_stream
from privacyplease.ingest.wifi.encodings import to_utf8

__all__ = ["Source", "chunks"]

Source: TypeAlias = str | Path | BinaryIO

# What is no text: how each begins, and what to do about it.
_CONTAINERS = {
    b"PK\x03\x04": "a zip archive or an Excel workbook: extract it, or save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an Excel workbook: save the sheet as CSV",
    b"BZh": "bzip2: decompress it",
    b"\xfd7zXZ": "xz: decompress it",
    b"\x28\xb5\x2f\xfd": "zstd: decompress it",
    b"PAR1": "Parquet: save it as CSV",
    b"%PDF": "a PDF: export the report as CSV",
}


def chunks(source: Source, *sizes: int, warnings: list[str]) -> Iterator[bytes]:
    """Reads a source as UTF-8, in chunks: one of each size, then all of the last size.

    A gzipped source is decompressed, and UTF-16 and UTF-32 are recognised, as are lines that end in CR alone.

    Args:
        source: The source.
        sizes: In bytes as in the source; of UTF-16, a chunk may have up to half as many again.
        warnings: What is odd about it is added here.

    Raises:
        SourceError: If it cannot be opened, read, decompressed or decoded, or is no text. What could be read before
            was yielded.
    """
    try:
        yield from to_utf8(_chunks(source, sizes, warnings))
    except (OSError, EOFError, zlib.error, UnicodeError) as error:
        raise SourceError(f"cannot read {_name(source)}: {getattr(error, 'strerror', None) or error}") from error


def _chunks(source: Source, sizes: tuple[int, ...], warnings: list[str]) -> Iterator[bytes]:
    with _opened(source) as stream:
        # A pipe cannot seek back over what identifies a container; a buffer can peek at it.
        start = stream.peek(max(map(len, _CONTAINERS)))
        for mark, kind in _CONTAINERS.items():
            if start.startswith(mark):
                raise SourceError(f"cannot read {_name(source)}: expected a text, got {kind}")
        plain = gzip_stream.Reader(stream, warnings) if start.startswith(gzip_stream.MAGIC) else stream
        for size in sizes[:-1]:
            yield plain.read(size)
        while chunk := plain.read(sizes[-1]):
            yield chunk


def _name(source: Source) -> str:
    return str(source) if isinstance(source, (str, Path)) else "the stream"


def _opened(source: Source) -> io.BufferedReader:
    if isinstance(source, (str, Path)) and source != "-":
        return Path(source).open("rb")
    return io.BufferedReader(_Borrowed(sys.stdin.buffer if isinstance(source, (str, Path)) else source))


class _Borrowed(io.RawIOBase):
    """A stream that we do not own: it stays open when the buffer around it is closed."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # io.BufferedReader always passes one
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
