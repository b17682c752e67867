"""Reads a session log block by block, in bounded memory."""

from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta, tzinfo
from itertools import chain

from privacyplease.ingest.wifi.layout import MOST_HEADER_CHARACTERS, Layout, detect, header
from privacyplease.ingest.wifi.lines import LogLines, blocks
from privacyplease.ingest.wifi.sessions import LONGEST, Block, parse
from privacyplease.ingest.wifi.source import Source, chunks

__all__ = ["SessionLog", "read"]

_BLOCK_BYTES = 8 << 20


@dataclass(frozen=True)
class SessionLog(Iterable[Block]):
    """A log that is being read. Iterate over it once.

    Attributes:
        ignored: Titles of unknown columns; their values are ignored.
        blocks: Its sessions, in the log's order.
        warnings: What was odd about the file as a whole; complete once it is read.
    """

    ignored: tuple[str, ...]
    blocks: Iterator[Block]
    warnings: list[str]

    def __iter__(self) -> Iterator[Block]:
        return self.blocks


def read(
    source: Source,
    *,
    timezone: tzinfo | None = None,
    longest: timedelta = LONGEST,
    block_bytes: int = _BLOCK_BYTES,
) -> SessionLog:
    """Opens a session log and detects its layout; sessions are read lazily.

    Args:
        source: A path, `-` for standard input, or a stream of bytes; gzipped or not. A stream is not closed.
        timezone: The zone of times that do not name theirs, or name it by an abbreviation with several meanings.
        longest: What a session lasts at most.
        block_bytes: The size of a block of text. About ten times as much memory is needed.

    Raises:
        SourceError: If the source cannot be opened or decompressed; also during iteration, if it is cut short.
        LayoutError: If it is not a session log, or lacks a required column; also during iteration, if a later header
            names a column twice.
    """
    warnings: list[str] = []
    text = chunks(source, MOST_HEADER_CHARACTERS, block_bytes, warnings=warnings)
    head = next(text, b"").removeprefix(BOM_UTF8)
    layout = detect(head)
    body = b"".join(head.split(b"\n", layout.preamble)[layout.preamble :])
    parts = (body[start : start + block_bytes] for start in range(0, len(body), block_bytes))
    lines = blocks(chain(parts, text), first=layout.preamble + 1)
    return SessionLog(layout.ignored, _parsed(lines, layout, timezone, longest), warnings)


def _parsed(lines: Iterable[LogLines], layout: Layout, zone: tzinfo | None, longest: timedelta) -> Iterator[Block]:
    """The sessions of each block; a header within the log gives the layout of what follows it."""
    for each in lines:
        block = parse(each, layout, zone, longest)
        headers = {reject.line: found for reject in block.rejects if (found := header(reject.record)) and each.ended}
        if not headers:
            yield block
        elif all(found == layout._replace(preamble=0) for found in headers.values()):
            yield block._replace(rejects=[reject for reject in block.rejects if reject.line not in headers])
        else:
            starts = [int(each.numbers[0]), *(line + 1 for line in headers)]
            stops = [*headers, int(each.numbers[-1]) + 1]
            layouts = [layout, *headers.values()]
            for start, stop, own in zip(starts, stops, layouts, strict=True):
                yield parse(each.part(start, stop), own, zone, longest)
            layout = layouts[-1]
