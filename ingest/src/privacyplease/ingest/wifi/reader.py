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

__all__ = ["SessionLog", "read"]

_HEAD_BYTES = 64 << 10  # enough for the title lines and the header of any report
_BLOCK_BYTES = 8 << 20


@dataclass(frozen=True)
class SessionLog(Iterable[Block]):
    """A log that is being read. Iterate over it once.

    Attributes:
        ignored: Titles of unknown columns; their values are ignored.
        blocks: Its sessions, in the log's order.
    """

    ignored: tuple[str, ...]
    blocks: Iterator[Block]

    def __iter__(self) -> Iterator[Block]:
        return self.blocks


def read(source: Source, *, timezone: tzinfo | None = None, block_bytes: int = _BLOCK_BYTES) -> SessionLog:
    """Opens a session log and detects its layout; sessions are read lazily.

    Args:
        source: A path, `-` for standard input, or a stream of bytes; gzipped or not. A stream is not closed.
        timezone: The zone of times that do not name theirs, or name it by an abbreviation with several meanings.
        block_bytes: The size of a block of text. About ten times as much memory is needed.

    Raises:
        SourceError: If the source cannot be opened or decompressed; also during iteration, if it is cut short.
        LayoutError: If it is not a session log, or lacks a required column.
    """
    text = chunks(source, _HEAD_BYTES, block_bytes)
    head = next(text, b"").removeprefix(BOM_UTF8)
    layout = detect(head)
    body = b"".join(head.split(b"\n", layout.preamble)[layout.preamble :])
    parts = (body[start : start + block_bytes] for start in range(0, len(body), block_bytes))
    lines = blocks(chain(parts, text), first=layout.preamble + 1)
    return SessionLog(layout.ignored, (parse(each, layout, timezone) for each in lines))
