"""The web server in front of the dashboard: cheroot, with TLS and client certificates where they are given."""

from __future__ import annotations

import ssl
import sys
from pathlib import Path
from typing import Any

from cheroot import wsgi
from cheroot.ssl.builtin import BuiltinSSLAdapter
from flask import Flask

from privacyplease.dashboard.logins import CERTIFICATE_NAME

_CLIENT = "privacyplease://client/"
_THREADS = 16


class Adapter(BuiltinSSLAdapter):
    """TLS 1.2 and newer, with the folder's certificate; a client's is asked for and verified by the folder's CA."""

    def __init__(self, folder: Path) -> None:
        """Reads tls.crt, tls.key and ca.crt."""
        super().__init__(str(folder / "tls.crt"), str(folder / "tls.key"))
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.load_verify_locations(str(folder / "ca.crt"))
        self.context.verify_mode = ssl.CERT_OPTIONAL

    def get_environ(self, sock: ssl.SSLSocket) -> dict[str, Any]:  # type: ignore[override]  # the stubs forget sock
        """What a request says about its connection, with the name in the client's certificate."""
        environ: dict[str, Any] = super().get_environ(sock)  # type: ignore[no-untyped-call]
        if name := client_name(sock.getpeercert() or {}):
            environ[CERTIFICATE_NAME] = name
        return environ


def client_name(certificate: dict[str, Any]) -> str:
    """The name that a certificate gives its holder, as `ssl` tells it; "" if none, or more than one.

    >>> client_name({"subjectAltName": (("DNS", "x"), ("URI", "privacyplease://client/alice"))})
    'alice'
    """
    uris = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "URI"]
    names = [uri.removeprefix(_CLIENT) for uri in uris if uri.startswith(_CLIENT)]
    return names[0] if len(names) == 1 else ""


class Server(wsgi.Server):
    """A web server that does not take a browser that went away for a fault."""

    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:  # as cheroot's
        """Says on stderr what went wrong."""
        if not (traceback and isinstance(sys.exception(), OSError)):
            super().error_log(msg, level, traceback)


def serve(app: Flask, host: str, port: int, tls: Path | None) -> Server:
    """A server that is bound to its address; `start` runs it until `stop`."""
    server = Server((host, port), app, numthreads=_THREADS, server_name="dashboard")
    if tls is not None:
        server.ssl_adapter = Adapter(tls)
    server.prepare()
    return server
