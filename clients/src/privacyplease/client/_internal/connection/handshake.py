"""Why a TLS handshake with the proxy failed. gRPC says that a name or a date does not fit, but not which.

The proxy's certificate is looked at in a handshake of our own: for diagnosis only, nothing is sent over it.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from privacyplease.transport.credentials import AUTHORITY, CERTIFICATE, KEY

_TIMEOUT_S = 2.0

# X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which `ssl` does not name: dates are what we want to see.
_NO_CHECK_TIME = 0x200000

# The field `validity` of a certificate in DER (RFC 5280, 4.1.2.5): a sequence of two times, in either notation.
_TIME = rb"(?:\x17\x0d(\d{12})Z|\x18\x0f(\d{14})Z)"
_VALIDITY = re.compile(rb"\x30[\x1e\x20\x22]" + _TIME + _TIME)


def wrong_name(address: str, certificates: Path) -> str:
    """That the proxy's certificate is for other names than the one in its address, and for which."""
    expected = f"the proxy's certificate is for another name: expected {_host(address)}"
    names = [str(name) for _, name in _peer_certificate(address, certificates).get("subjectAltName", ())]
    return f"{expected}, got {', '.join(names)}" if names else expected


def proxy_out_of_date(address: str, certificates: Path) -> str:
    """That the proxy's certificate has expired or is not yet valid; "" if that cannot be told."""
    peer = _peer_certificate(address, certificates)
    if not peer:
        return ""
    begin, end = (datetime.fromtimestamp(ssl.cert_time_to_seconds(peer[key]), UTC) for key in ("notBefore", "notAfter"))
    return _out_of_date("the proxy's certificate", begin, end)


def own_out_of_date(certificates: Path) -> str:
    """That the certificate in a folder has expired or is not yet valid; "" if neither."""
    try:
        _, _, chain = (certificates / CERTIFICATE).read_text().partition(ssl.PEM_HEADER)
        der = ssl.PEM_cert_to_DER_cert(ssl.PEM_HEADER + chain.partition(ssl.PEM_FOOTER)[0] + ssl.PEM_FOOTER)
    except (OSError, ValueError):
        return ""
    found = _VALIDITY.search(der)
    if found is None:
        return ""
    begin, end = (_time(found[short], found[long]) for short, long in ((1, 2), (3, 4)))
    return _out_of_date("this client's certificate", begin, end)


def _out_of_date(whose: str, begin: datetime, end: datetime) -> str:
    now = datetime.now(UTC)
    if begin <= now <= end:
        return ""
    verdict = "is not yet valid" if now < begin else "has expired"
    return (
        f"{whose} {verdict}: expected a time from {_iso(begin)} to {_iso(end)}, this machine's clock says {_iso(now)}"
    )


def _peer_certificate(address: str, certificates: Path) -> Mapping[str, Any]:
    """The fields of the certificate that the server at `address` shows, whatever its name and dates.

    Empty if its CA is not trusted, or it does not show one in time.
    """
    host, _, port = address.rpartition(":")
    try:
        context = ssl.create_default_context(cafile=certificates / AUTHORITY)
        context.load_cert_chain(certificates / CERTIFICATE, certificates / KEY)
        context.check_hostname = False
        context.verify_flags |= _NO_CHECK_TIME
        context.set_alpn_protocols(["h2"])
        with (
            socket.create_connection((host.strip("[]"), int(port)), _TIMEOUT_S) as connection,
            context.wrap_socket(connection, server_hostname=_host(address)) as tls,
        ):
            return tls.getpeercert() or {}
    except (OSError, ValueError):  # `ssl.SSLError` is an OSError
        return {}


def _host(address: str) -> str:
    return address.rpartition(":")[0].strip("[]")


def _time(short: bytes | None, long: bytes | None) -> datetime:
    text, notation = (long, "%Y%m%d%H%M%S") if long else (short or b"", "%y%m%d%H%M%S")
    return datetime.strptime(text.decode(), notation).replace(tzinfo=UTC)


def _iso(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
