"""How the messages of each data set are read. Whatever comes, each message gets a verdict, and no batch fails."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo
from functools import partial
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from privacyplease.ingest import bikes
from privacyplease.ingest.errors import IngestError
from privacyplease.ingest.parsed import Misfit, Parsed
from privacyplease.ingest.wifi import messages as wifi

__all__ = ["LARGEST", "Parser", "parser_of", "safe"]

_log = logging.getLogger("privacyplease.ingest.consumer")

Parser: TypeAlias = Callable[[Sequence[bytes]], Parsed]

LARGEST = 1 << 20
"""Bytes of a message that is read: beyond every record that the proxy takes."""

_LARGE = f"expected a message of at most {LARGEST:,} bytes"
_UNREADABLE = "expected a record that can be read"


def parser_of(dataset: str, zone: tzinfo | None) -> Parser:
    """The parser of a data set's messages.

    Args:
        dataset: Its name.
        zone: The time zone of times that do not tell theirs.

    Raises:
        IngestError: There is none for this data set.
    """
    parsers: Mapping[str, Parser] = {"wifi": partial(wifi.parse, zone=zone), "bikes": bikes.parse}
    if dataset not in parsers:
        raise IngestError(f"expected a data set whose messages are known ({', '.join(parsers)}), got {dataset!r}")
    return safe(parsers[dataset])


def safe(parse: Parser) -> Parser:
    """The same parser, which sees no message that is too large and from which no message takes others away."""

    def parsed(messages: Sequence[bytes]) -> Parsed:
        large = [position for position, message in enumerate(messages) if len(message) > LARGEST]
        if not large:
            return _halving(parse, messages)
        rest = np.delete(np.arange(len(messages)), large)
        found = _halving(parse, [messages[position] for position in rest.tolist()])
        rejects = [Misfit(int(rest[each[0]]), each[1], each[2]) for each in found.rejects]
        rejects += [Misfit(position, "record", _LARGE) for position in large]
        return Parsed(found.table, rest[found.rows], sorted(rejects))

    return parsed


def _halving(parse: Parser, messages: Sequence[bytes]) -> Parsed:
    """Reads half by half what cannot be read as a whole, until the message is found that is at fault."""
    try:
        return Parsed(*parse(messages))
    except Exception as error:
        if len(messages) == 1:
            # A fault of ours, as a parser has a verdict on everything. Its message may quote the record.
            _log.exception("a parser failed: %s", type(error).__name__, exc_info=False)
            return Parsed(parse([]).table, np.empty(0, np.int64), [Misfit(0, "record", _UNREADABLE)])
    middle = len(messages) // 2
    first, second = _halving(parse, messages[:middle]), _halving(parse, messages[middle:])
    rejects = [Misfit(each[0] + middle, each[1], each[2]) for each in second.rejects]
    table = pa.concat_tables([first.table, second.table])
    return Parsed(table, np.concatenate([first.rows, second.rows + middle]), [*first.rejects, *rejects])
