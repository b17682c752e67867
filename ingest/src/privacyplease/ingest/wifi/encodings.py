"""Recognises how the text of a log is encoded, and how its lines end."""

import codecs
from collections.abc import Callable, Iterator

__all__ = ["to_utf8"]

# The longer marks first: that of UTF-32 begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_LOOKED_AT = 1_024


def to_utf8(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Converts chunks of text to UTF-8 whose lines end in LF or CRLF, as the first chunk shows what they are.

    Text that is neither UTF-16 nor UTF-32 is passed on as it is, whatever it is.

    Raises:
        UnicodeError: Text in UTF-16 or UTF-32 is broken, or ends within a character.
    """
    first = next(chunks, b"")
    decode = _decoder(first)
    first = decode(first, False)
    if b"\n" not in first and b"\r" in first[:-1]:
        yield first.replace(b"\r", b"\n")
        yield from (decode(chunk, False).replace(b"\r", b"\n") for chunk in chunks)
    else:
        yield first
        yield from (decode(chunk, False) for chunk in chunks)
    yield decode(b"", True)


def _decoder(start: bytes) -> Callable[[bytes, bool], bytes]:
    encoding = next((encoding for mark, encoding in _MARKS.items() if start.startswith(mark)), _unmarked(start))
    if encoding is None:
        return lambda chunk, final: chunk
    decoder = codecs.getincrementaldecoder(encoding)()
    return lambda chunk, final: decoder.decode(chunk, final).encode()


def _unmarked(start: bytes) -> str | None:
    """UTF-16 without a mark: the titles of a log are ASCII, so that every second byte is zero."""
    even, odd = start[0:_LOOKED_AT:2], start[1:_LOOKED_AT:2]
    if odd and odd.count(0) > 0.9 * len(odd) and even.count(0) < 0.1 * len(even):
        return "utf-16-le"
    if odd and even.count(0) > 0.9 * len(even) and odd.count(0) < 0.1 * len(odd):
        return "utf-16-be"
    return None
