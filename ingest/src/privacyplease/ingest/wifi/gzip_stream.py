"""Decompresses gzip (RFC 1952) without losing what comes before a fault.

Python's own reader raises for a file that is cut short, or has anything after it, and drops what it had decompressed.
"""

import io
import zlib

__all__ = ["MAGIC", "Reader"]

MAGIC = b"\x1f\x8b"
_GZIP = 31  # zlib's window bits for a gzip header and trailer
_READ_BYTES = 1 << 16


class Reader:
    """Reads the members of a gzip file as one."""

    def __init__(self, stream: io.BufferedReader, warnings: list[str]) -> None:
        """Initialises the reader.

        Args:
            stream: What is compressed.
            warnings: What follows the last member is left out, and said here.
        """
        self._stream = stream
        self._warnings = warnings
        self._member = zlib.decompressobj(_GZIP)
        self._compressed = b""
        self._ended = False
        self._fault: Exception | None = None

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end.

        Raises:
            EOFError: The file is cut short. All that it has was returned before.
            zlib.error: It is damaged. What is whole was returned before.
        """
        text = bytearray()
        while len(text) < size and not self._ended and self._fault is None:
            try:
                text += self._next(size - len(text))
            except (EOFError, zlib.error) as error:
                self._fault = error
        if self._fault is not None and not text:
            raise self._fault
        return bytes(text)

    def _next(self, size: int) -> bytes:
        if self._member.eof:
            self._next_member()
            return b""
        self._compressed = self._compressed or self._stream.read(_READ_BYTES)
        at_end = not self._compressed
        text = self._member.decompress(self._compressed, size)
        self._compressed = self._member.unconsumed_tail
        if at_end and not text and not self._member.eof:
            raise EOFError("the compressed data ends too early: fetch the file again")
        return text

    def _next_member(self) -> None:
        rest = self._member.unused_data.lstrip(b"\0")  # some writers pad with zeros
        while len(rest) < len(MAGIC) and (more := self._stream.read(_READ_BYTES)):
            rest = (rest + more).lstrip(b"\0")
        self._ended = not rest.startswith(MAGIC)
        if not self._ended:
            self._member, self._compressed = zlib.decompressobj(_GZIP), rest
        elif rest:
            self._warnings.append("what follows the compressed data is not gzip, and was left out")
