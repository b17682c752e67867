"""The web server of the dashboard: cheroot, optionally with TLS and client certificates."""

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


class ClientCertificateAdapter(BuiltinSSLAdapter):
    """TLS 1.2 or newer; a client certificate is optional, and verified against a CA.

    Args:
        folder: Has tls.crt and tls.key, the server's certificate, and ca.crt, the CA of client certificates.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder / "tls.crt"), str(folder / "tls.key"))
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.load_verify_locations(str(folder / "ca.crt"))
        self.context.verify_mode = ssl.CERT_OPTIONAL

    def get_environ(self, sock: ssl.SSLSocket) -> dict[str, Any]:  # type: ignore[override]  # the stubs lack sock
        """The WSGI variables of a connection, with the name in the client certificate."""
        environ: dict[str, Any] = super().get_environ(sock)  # type: ignore[no-untyped-call]
        if name := client_name(sock.getpeercert() or {}):
            environ[CERTIFICATE_NAME] = name
        return environ


def client_name(certificate: dict[str, Any]) -> str:
    """The client name in a certificate as `ssl` returns it; "" if it has none, or more than one.

    >>> client_name({"subjectAltName": (("DNS", "x"), ("URI", "privacyplease://client/alice"))})
    'alice'
    """
    uris = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "URI"]
    names = [uri.removeprefix(_CLIENT) for uri in uris if uri.startswith(_CLIENT)]
    return names[0] if len(names) == 1 else ""


class Server(wsgi.Server):
    """A web server that does not log an error when a browser closes its connection."""

    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:  # as cheroot's
        """Writes an error to stderr."""
        if not (traceback and isinstance(sys.exception(), OSError)):
            super().error_log(msg, level, traceback)


def serve(app: Flask, host: str, port: int, tls: Path | None) -> Server:
    """Creates a server and binds it to its address; its `serve` runs it until `stop`."""
    server = Server((host, port), app, numthreads=_THREADS, server_name="dashboard")
    if tls is not None:
        server.ssl_adapter = ClientCertificateAdapter(tls)
    server.prepare()
    return server
