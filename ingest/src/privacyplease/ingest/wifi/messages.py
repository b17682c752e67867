r"""Reads messages of the stream form: one session each, without the newline.

A message is whatever somebody sent. So each gets a verdict by its own position, whatever is in the others:

>>> good = b"\t02:fb:ae:12:7e:8d\t2024-10-01T00:00:00Z\t\tap-14\t\t\t\t\t\t\t60\t\t"
>>> parsed = parse([b"", good, b"two\nlines", good], None)
>>> parsed.rows, [(misfit.position, misfit.reason) for misfit in parsed.rejects]
(array([1, 3]), [(0, 'expected a session, got an empty message'), (2, 'expected no newline within a message')])
"""

from collections.abc import Sequence
from datetime import tzinfo

import numpy as np

from privacyplease.ingest.parsed import Misfit, Parsed
from privacyplease.ingest.wifi import sessions
from privacyplease.ingest.wifi.columns import SCHEMA
from privacyplease.ingest.wifi.layout import STREAM
from privacyplease.ingest.wifi.lines import Lines

__all__ = ["parse"]

_EMPTY = "expected a session, got an empty message"
_TORN = "expected no newline within a message"


def parse(messages: Sequence[bytes], zone: tzinfo | None) -> Parsed:
    """Reads a batch of messages as one block of lines.

    Args:
        messages: The messages; a newline at the end of one is no part of it.
        zone: The time zone of times that do not tell theirs; None if there is none.
    """
    if not messages:
        return Parsed(SCHEMA.empty_table(), np.empty(0, np.int64), [])
    text, torn = _joined(messages)
    lines = Lines.of(text, first=0)
    block = sessions.parse(lines, STREAM, zone)
    misfits = {position: Misfit(position, "record", _TORN) for position in torn}
    for position in lines.numbers[lines.starts == lines.ends].tolist():
        misfits.setdefault(position, Misfit(position, "record", _EMPTY))
    misfits.update({each.line: Misfit(each.line, each.field, each.reason) for each in block.rejects})
    return Parsed(block.table, block.lines, sorted(misfits.values()))


def _joined(messages: Sequence[bytes]) -> tuple[bytes, list[int]]:
    """Gives the messages as lines of one text, and which of them are left blank, as they have newlines within."""
    text = b"\n".join(messages)
    if text.count(b"\n") == len(messages) - 1:
        return text, []
    whole = [message.removesuffix(b"\n") for message in messages]
    torn = [position for position, message in enumerate(whole) if b"\n" in message]
    for position in torn:
        whole[position] = b""
    return b"\n".join(whole), torn
