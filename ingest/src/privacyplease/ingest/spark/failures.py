"""What a failure of Spark is about, and whether it helps to try again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from privacyplease.client.errors import CertificateError, RefusedError, RequestError
from privacyplease.ingest.errors import BadRecordsError, LayoutError, SettingsError, ZoneError

__all__ = ["Failure"]

_OWN = re.compile(r"(?m)privacyplease\.[\w.]+\.(\w+Error): (.+?)(?: SQLSTATE: \w+)*$")
_NO_CONNECTOR = "Failed to find data source: kafka"


def _names(*kinds: type[Exception]) -> Iterator[str]:
    for kind in kinds:
        yield kind.__name__
        yield from _names(*kind.__subclasses__())


_FINAL = frozenset(
    _names(SettingsError, LayoutError, ZoneError, BadRecordsError, RequestError, RefusedError, CertificateError)
)


class Failure(NamedTuple):
    r"""A failure, in one line.

    >>> text = "[STREAM_FAILED] aborted: privacyplease.ingest.errors.LayoutError: expected x SQLSTATE: 38000\n\tat org"
    >>> Failure.read(text)
    Failure(cause='expected x', final=True)
    >>> Failure.read("[STREAM_FAILED] Python worker exited unexpectedly (crashed)\n\tat org.apache").final
    False

    Attributes:
        cause: The innermost error of ours, else the first line of what Spark says.
        final: Whether the same happens again, unless the user changes something.
    """

    cause: str
    final: bool

    @classmethod
    def read(cls, text: str) -> Failure:
        """Reads what Spark says: the traces of Java and Python, with errors of ours somewhere in them."""
        own = _OWN.findall(text)
        if own:
            kind, message = own[-1]
            return cls(message, kind in _FINAL)
        first = text.strip().partition("\n")[0]
        return cls(first, _NO_CONNECTOR in text)
