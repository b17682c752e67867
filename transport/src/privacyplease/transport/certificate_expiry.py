"""When certificates expire, read from their files without a cryptography library.

Example:
    >>> import tempfile
    >>> days_left(Path(tempfile.gettempdir(), "no-such-file"), now=0.0)
    0.0
"""

from __future__ import annotations

import re
import ssl
from datetime import UTC, datetime
from pathlib import Path

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_DAY_S = 86_400
_VERSION_TAG, _UTC_TIME = 0xA0, 0x17


def days_left(file: Path, now: float) -> float:
    """Days until the first certificate of a PEM file expires; 0 if the file cannot be read, as it cannot be used.

    Args:
        file: The file.
        now: The time, in seconds since 1970.
    """
    try:
        found = _PEM.findall(file.read_text("ascii"))
        return min(expiry(ssl.PEM_cert_to_DER_cert(pem)) - now for pem in found) / _DAY_S
    except (OSError, ValueError, IndexError):
        return 0.0


def expiry(der: bytes) -> float:
    """The notAfter of a certificate (RFC 5280, section 4.1), in seconds since 1970.

    Raises:
        ValueError, IndexError: It is not a certificate.
    """
    _, signed = _element(der)
    _, fields = _element(signed)
    tags = _children(fields)
    if tags[0][0] == _VERSION_TAG:
        del tags[0]
    _serial, _algorithm, _issuer, validity = tags[:4]
    _, (kind, not_after) = _children(validity[1])
    text = not_after.decode("ascii")
    if kind == _UTC_TIME:  # two digits of the year: 50 to 99 are of the 20th century
        text = f"{'19' if text >= '50' else '20'}{text}"
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _children(content: bytes) -> list[tuple[int, bytes]]:
    """The elements of a DER sequence: tag and content of each."""
    found = []
    while content:
        tag, length, begin = _header(content)
        found.append((tag, content[begin : begin + length]))
        content = content[begin + length :]
    return found


def _element(der: bytes) -> tuple[int, bytes]:
    tag, length, begin = _header(der)
    return tag, der[begin : begin + length]


def _header(der: bytes) -> tuple[int, int, int]:
    """Tag and length of an element, and where its content begins (X.690, section 8.1.3)."""
    length = der[1]
    if length < 0x80:
        return der[0], length, 2
    digits = length & 0x7F
    return der[0], int.from_bytes(der[2 : 2 + digits], "big"), 2 + digits
