"""Reads a session log block by block, in bounded memory."""

from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import tzinfo
from itertools import chain

from privacyplease.ingest.wifi.layout import detect
from privacyplease.ingest.wifi.lines import blocks
from privacyplease.ingest.wifi.sessions import Block, parse
from privacyplease.ingest.wifi.source import Source, chunks

__all__ = ["Log", "read"]

_HEAD = 64 << 10  # bytes that hold the title lines and the header of any report
_BLOCK = 8 << 20


@dataclass(frozen=True)
class Log(Iterable[Block]):
    """A log that is being read. Iterate over it once.

    Attributes:
        ignored: Titles of columns that we do not know; their values are not read.
        blocks: Its sessions, in the log's order.
    """

    ignored: tuple[str, ...]
    blocks: Iterator[Block]

    def __iter__(self) -> Iterator[Block]:
        return self.blocks


def read(source: Source, *, timezone: tzinfo | None = None, block_bytes: int = _BLOCK) -> Log:
    """Opens a session log and finds its layout; sessions are read as they are asked for.

    Args:
        source: A path, `-` for standard input, or a stream of bytes; gzipped or not. A stream is not closed.
        timezone: The zone of times that do not tell theirs, or do so by an abbreviation with several meanings.
        block_bytes: How much text becomes one block. Memory needed is about ten times that.

    Raises:
        SourceError: If the source cannot be opened or decompressed; also later, where it breaks off.
        LayoutError: If it is no session log, or lacks a column.
    """
    text = chunks(source, _HEAD, block_bytes)
    head = next(text, b"").removeprefix(BOM_UTF8)
    layout = detect(head)
    body = b"".join(head.split(b"\n", layout.preamble)[layout.preamble :])
    pieces = (body[start : start + block_bytes] for start in range(0, len(body), block_bytes))
    lines = blocks(chain(pieces, text), first=layout.preamble + 1)
    return Log(layout.ignored, (parse(each, layout, timezone) for each in lines))
