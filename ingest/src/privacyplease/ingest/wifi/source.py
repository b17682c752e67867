"""Opens a log: a path, `-` for standard input, or any stream of bytes; gzip is detected by content, not by name."""

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TypeAlias

from privacyplease.ingest.errors import SourceError

__all__ = ["Source", "chunks"]

Source: TypeAlias = str | Path | BinaryIO

_GZIP = b"\x1f\x8b"  # RFC 1952, 2.3.1: ID1 and ID2


def chunks(source: Source, *sizes: int) -> Iterator[bytes]:
    """Reads a source in chunks: one of each size, then all of the last size; a gzipped one is decompressed.

    Raises:
        SourceError: If it cannot be opened, read or decompressed.
    """
    name = source if isinstance(source, (str, Path)) else "the stream"
    try:
        yield from _chunks(source, sizes)
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"cannot read {name}: {error}") from error


def _chunks(source: Source, sizes: tuple[int, ...]) -> Iterator[bytes]:
    with _opened(source) as stream:
        # A pipe cannot seek back over the two bytes that identify gzip; a buffer can peek at them.
        plain = gzip.GzipFile(fileobj=stream) if stream.peek(2)[:2] == _GZIP else stream
        for size in sizes[:-1]:
            yield plain.read(size)
        while chunk := plain.read(sizes[-1]):
            yield chunk


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
