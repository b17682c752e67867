"""The chain: each line of the log carries a MAC over itself and the line before it.

::

    line  = entry as JSON, its last member "chain": HMAC-SHA-256(chain key, chain of the line before ‖ line without it)

Without the key, no line can be changed, inserted, dropped or swapped so that the chain still holds: this rests on HMAC
being a PRF (RFC 2104; Bellare, CRYPTO 2006). A plain hash chain could be recomputed by anyone who can write the file. A
chain alone does not show that its end is missing: for that, the *anchor* holds the log's length under another MAC.

Every file but the first begins with a *checkpoint*: an entry whose member "after" is the chain of the line before. So
its MAC can be checked without the earlier files, which may be archived, and a log is verified from there.

>>> key = Key(bytes(32))
>>> line, chain = seal(key, START, {"n": 1, "event": "asked"})
>>> line[:26]
b'{"n":1,"event":"asked","ch'
>>> opened = open_line(line)
>>> opened.number, opened.holds(key, START)
(1, True)
>>> open_line(line.replace(b"asked", b"acked")).holds(key, START)
False
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from privacyplease.proxy.documents import from_json
from privacyplease.proxy.keys.derivation import Key

CHAIN_LABEL = b"privacyplease/v1/audit chain"
ANCHOR_LABEL = b"privacyplease/v1/audit anchor"
SUBJECT_LABEL = b"privacyplease/v1/audit subject"

START = bytes(32)  # the chain of the line before the first

CHECKPOINT = "checkpoint"

_PSEUDONYM_BYTES = 16
_MEMBER = b',"chain":"'
_TAIL_BYTES = len(_MEMBER) + 64 + len(b'"}')


class ChainedLine(NamedTuple):
    """A line of the log, as read.

    Attributes:
        number: The number that it claims.
        entry: Its entry.
        body: The bytes that its MAC covers.
        chain: Its MAC.
    """

    number: int
    entry: Mapping[str, Any]
    body: bytes
    chain: bytes

    def holds(self, key: Key, before: bytes) -> bool:
        """Whether it was written, unchanged, after the line with the given chain."""
        return hmac.compare_digest(self.chain, _mac(key, before, self.body))

    def is_checkpoint(self, key: Key) -> bool:
        """Whether it is a genuine checkpoint, from which a log can be verified without what comes before."""
        try:
            after = bytes.fromhex(self.entry["after"]) if self.entry.get("event") == CHECKPOINT else b""
        except (KeyError, TypeError, ValueError):
            return False
        return len(after) == len(START) and self.holds(key, after)


def seal(key: Key, before: bytes, entry: Mapping[str, object]) -> tuple[bytes, bytes]:
    """An entry as a line without a newline, and the line's chain.

    Args:
        key: The chain key.
        before: The chain of the line before.
        entry: The entry; its member `n` is the line's number.
    """
    body = json.dumps(entry, separators=(",", ":")).encode()
    chain = _mac(key, before, body)
    return body[:-1] + _tail(chain), chain


def checkpoint(before: bytes) -> Mapping[str, object]:
    """The entry that begins a file; `before` is the chain of the last line of the file before."""
    return {"event": CHECKPOINT, "after": before.hex()}


def open_line(line: bytes) -> ChainedLine | None:
    """Reads a line; None if the bytes are not a line of the log."""
    body, tail = line[:-_TAIL_BYTES] + b"}", line[-_TAIL_BYTES:]
    try:
        entry, chain = from_json(body), bytes.fromhex(tail[len(_MEMBER) : -2].decode())
        if tail != _tail(chain) or not isinstance(entry["n"], int):  # only the exact spelling is accepted
            return None
    except (ValueError, KeyError, TypeError):
        return None
    return ChainedLine(entry["n"], entry, body, chain)


def anchor(key: Key, number: int, chain: bytes) -> bytes:
    """The MAC that authenticates the end of the log: over number and chain of its last line."""
    return _mac(key, number.to_bytes(8, "big"), chain)


def pseudonym(key: Key, subject: str) -> str:
    """A name for a subject: always the same for the same subject, and meaningless without the key."""
    return _mac(key, b"", subject.encode())[:_PSEUDONYM_BYTES].hex()


def _tail(chain: bytes) -> bytes:
    return _MEMBER + chain.hex().encode() + b'"}'


def _mac(key: Key, before: bytes, body: bytes) -> bytes:
    return hmac.digest(key.reveal(), before + body, "sha256")
