"""A local HTTP server with the files of a feed, which tests may change between polls.

Example:
    with FeedServer() as server:
        server.put("/vls/v1/stations", stations)                   # as JSON, with an ETag
        server.fail("/vls/v1/stations", 503, {"Retry-After": "1"}) # once, before the file is served again
        server.requests                                            # the requests received
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import defaultdict, deque
from email.message import Message
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import NamedTuple, Self
from urllib.parse import parse_qsl, urlsplit


class Request(NamedTuple):
    """A request, and the status of the response."""

    path: str
    parameters: dict[str, str]
    headers: Message
    status: int


class _File(NamedTuple):
    body: bytes
    validators: dict[str, str]


class FeedServer:
    """Serves files on a free local port."""

    def __init__(self) -> None:
        self._files: dict[str, _File] = {}
        self._failures: dict[str, deque[tuple[int, dict[str, str]]]] = defaultdict(deque)
        self.requests: list[Request] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Its base URL, without a trailing slash."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def put(self, path: str, document: object, *, validator: str = "ETag") -> None:
        """Serves a document from now on.

        Args:
            path: The path.
            document: Bytes are served as they are, anything else as JSON.
            validator: "ETag", "Last-Modified", or "" for none.
        """
        body = document if isinstance(document, bytes) else json.dumps(document, ensure_ascii=False).encode()
        value = {"ETag": f'"{hashlib.sha256(body).hexdigest()}"', "Last-Modified": formatdate(usegmt=True)}
        self._files[path] = _File(body, {validator: value[validator]} if validator else {})

    def fail(self, path: str, status: int, headers: dict[str, str] | None = None) -> None:
        """Makes the next request for a path fail; several calls make as many requests fail."""
        self._failures[path].append((status, headers or {}))

    def statuses(self, path: str) -> list[int]:
        """The statuses of the responses to requests for a path."""
        return [request.status for request in self.requests if request.path == path]

    def wait_for(self, path: str, count: int, seconds: float = 20) -> None:
        """Waits until this many requests for a path have been received."""
        deadline = time.monotonic() + seconds
        while len(self.statuses(path)) < count:
            assert time.monotonic() < deadline, f"expected {count} requests, got {self.statuses(path)}"
            time.sleep(0.01)

    def _respond(self, path: str, headers: Message) -> tuple[int, dict[str, str], bytes]:
        if self._failures[path]:
            status, extra = self._failures[path].popleft()
            return status, extra, b"{}"
        if path not in self._files:
            return 404, {}, b"{}"
        body, validators = self._files[path]
        requested = {"ETag": headers["If-None-Match"], "Last-Modified": headers["If-Modified-Since"]}
        if any(requested[name] == value for name, value in validators.items()):
            return 304, validators, b""
        return 200, {"Content-Type": "application/json", **validators}, body

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                status, headers, body = server._respond(parts.path, self.headers)
                server.requests.append(Request(parts.path, dict(parse_qsl(parts.query)), self.headers, status))
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 (the base class's name)
                pass

        return Handler
