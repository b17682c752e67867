"""How the messages of each data set are parsed. Each message is either parsed or rejected; no batch fails."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo
from functools import partial
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from privacyplease.ingest import bikes
from privacyplease.ingest.errors import IngestError
from privacyplease.ingest.parsing import ParsedMessages, RejectedMessage
from privacyplease.ingest.wifi import messages as wifi

__all__ = ["MAX_MESSAGE_BYTES", "Parser", "isolated", "parser_for"]

_log = logging.getLogger("privacyplease.ingest.kafka.consumer")

Parser: TypeAlias = Callable[[Sequence[bytes]], ParsedMessages]

MAX_MESSAGE_BYTES = 1 << 20
"""Larger than any record that the proxy accepts."""

_TOO_LARGE = f"expected a message of at most {MAX_MESSAGE_BYTES:,} bytes"
_FRAME_BYTES = 5
_FRAMED = "expected a plain record, got one framed for a schema registry (a zero byte and the schema's id)"
_UNREADABLE = "expected a readable record"


def parser_for(dataset: str, zone: tzinfo | None) -> Parser:
    """The parser for a data set's messages.

    Args:
        dataset: Its name.
        zone: The time zone of times that do not name theirs.

    Raises:
        IngestError: There is none for this data set.
    """
    parsers: Mapping[str, Parser] = {"wifi": partial(wifi.parse, zone=zone), "bikes": bikes.parse}
    if dataset not in parsers:
        raise IngestError(f"expected a data set that has a message parser ({', '.join(parsers)}), got {dataset!r}")
    return isolated(parsers[dataset])


def isolated(parse: Parser) -> Parser:
    """Wraps a parser so that a message that is too large, or makes it fail, is rejected without affecting others."""

    def parse_isolated(messages: Sequence[bytes]) -> ParsedMessages:
        parsed = parse_sized(messages)
        rejects = [
            RejectedMessage(reject.position, "record", _FRAMED) if _is_framed(messages[reject.position]) else reject
            for reject in parsed.rejects
        ]
        return parsed._replace(rejects=rejects)

    def parse_sized(messages: Sequence[bytes]) -> ParsedMessages:
        large = [position for position, message in enumerate(messages) if len(message) > MAX_MESSAGE_BYTES]
        if not large:
            return _bisect(parse, messages)
        rest = np.delete(np.arange(len(messages)), large)
        parsed = _bisect(parse, [messages[position] for position in rest.tolist()])
        rejects = [reject._replace(position=int(rest[reject.position])) for reject in parsed.rejects]
        rejects += [RejectedMessage(position, "record", _TOO_LARGE) for position in large]
        return ParsedMessages(parsed.table, rest[parsed.rows], sorted(rejects))

    return parse_isolated


def _is_framed(message: bytes) -> bool:
    """Whether it may be in the wire format of Confluent's schema registry: a zero byte, four of an id, the payload."""
    return len(message) > _FRAME_BYTES and message[0] == 0


def _bisect(parse: Parser, messages: Sequence[bytes]) -> ParsedMessages:
    """Parses half by half what cannot be parsed as a whole, until the message at fault is isolated."""
    try:
        return parse(messages)
    except Exception as error:
        if len(messages) == 1:
            # A bug of ours, since a parser should reject what it cannot parse. The error's text may quote the record.
            _log.exception("a parser failed: %s", type(error).__name__, exc_info=False)
            reject = RejectedMessage(0, "record", _UNREADABLE)
            return ParsedMessages(parse([]).table, np.empty(0, np.int64), [reject])
    middle = len(messages) // 2
    first, second = _bisect(parse, messages[:middle]), _bisect(parse, messages[middle:])
    rejects = [reject._replace(position=reject.position + middle) for reject in second.rejects]
    table = pa.concat_tables([first.table, second.table])
    return ParsedMessages(table, np.concatenate([first.rows, second.rows + middle]), [*first.rejects, *rejects])
