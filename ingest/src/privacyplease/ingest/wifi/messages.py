r"""Parses messages of the stream format: one session each, without a newline.

A message may contain anything. Each is accepted or rejected by its position, whatever the others contain:

>>> good = b"\t02:fb:ae:12:7e:8d\t2024-10-01T00:00:00Z\t\tap-14\t\t\t\t\t\t\t60\t\t"
>>> parsed = parse([b"", good, b"two\nlines", good], None)
>>> parsed.rows, [(reject.position, reject.reason) for reject in parsed.rejects]
(array([1, 3]), [(0, 'expected a session, got an empty message'), (2, 'expected no newline within a message')])
"""

from collections.abc import Sequence
from datetime import timedelta, tzinfo

import numpy as np

from privacyplease.ingest.parsing import ParsedMessages, RejectedMessage
from privacyplease.ingest.wifi import sessions
from privacyplease.ingest.wifi.columns import SCHEMA
from privacyplease.ingest.wifi.layout import STREAM_LAYOUT
from privacyplease.ingest.wifi.lines import LogLines

__all__ = ["parse"]

_EMPTY = "expected a session, got an empty message"
_NEWLINE = "expected no newline within a message"


def parse(messages: Sequence[bytes], zone: tzinfo | None, longest: timedelta = sessions.LONGEST) -> ParsedMessages:
    """Parses a batch of messages as one block of lines.

    Args:
        messages: The messages; a newline at the end of one is ignored.
        zone: The time zone of times that do not name theirs; None if there is none.
        longest: What a session lasts at most.
    """
    if not messages:
        return ParsedMessages(SCHEMA.empty_table(), np.empty(0, np.int64), [])
    text, multiline = _joined(messages)
    lines = LogLines.of(text, first=0)
    block = sessions.parse(lines, STREAM_LAYOUT, zone, longest)
    rejects = {position: RejectedMessage(position, "record", _NEWLINE) for position in multiline}
    for position in lines.numbers[lines.starts == lines.ends].tolist():
        rejects.setdefault(position, RejectedMessage(position, "record", _EMPTY))
    rejects.update({each.line: RejectedMessage(each.line, each.field, each.reason) for each in block.rejects})
    return ParsedMessages(block.table, block.lines, sorted(rejects.values()))


def _joined(messages: Sequence[bytes]) -> tuple[bytes, list[int]]:
    """Gives the messages as lines of one text, and the positions of those with newlines within, which become blank."""
    text = b"\n".join(messages)
    if text.count(b"\n") == len(messages) - 1:
        return text, []
    lines = [message.removesuffix(b"\n") for message in messages]
    multiline = [position for position, message in enumerate(lines) if b"\n" in message]
    for position in multiline:
        lines[position] = b""
    return b"\n".join(lines), multiline
