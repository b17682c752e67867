"""Stands between a client and a server as a NAT or a load balancer does, and forgets connections without a word."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from threading import Thread

_CHUNK_BYTES = 1 << 16


@dataclass(eq=False)
class _Connection:
    ends: tuple[socket.socket, socket.socket]
    forgotten: bool = False

    def forward(self, source: socket.socket, target: socket.socket) -> None:
        """Passes bytes on until either end closes. A forgotten connection acknowledges what it gets, and drops it."""
        with suppress(OSError):
            while data := source.recv(_CHUNK_BYTES):
                if not self.forgotten:
                    target.sendall(data)
            if not self.forgotten:
                target.shutdown(socket.SHUT_WR)


@dataclass
class ForgetfulNat:
    """Forwards connections to a port of this machine.

    Attributes:
        address: Where it listens.
        connections: Those that were made through it, the oldest first.
    """

    address: str
    connections: list[_Connection] = field(default_factory=list)

    def forget(self) -> None:
        """Forwards nothing more on the connections that exist; new ones work."""
        for connection in self.connections:
            connection.forgotten = True


@contextmanager
def nat_before(address: str) -> Iterator[ForgetfulNat]:
    """Forwards to a server on this machine while the block runs."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nat = ForgetfulNat(f"127.0.0.1:{listener.getsockname()[1]}")
        accepting = Thread(target=_accept, args=(listener, nat, int(address.rpartition(":")[2])), daemon=True)
        accepting.start()
        try:
            yield nat
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for connection in nat.connections:
                for end in connection.ends:
                    with closing(end), suppress(OSError):
                        end.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, nat: ForgetfulNat, port: int) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            server = socket.create_connection(("127.0.0.1", port))
            connection = _Connection((client, server))
            nat.connections.append(connection)
            for source, target in ((client, server), (server, client)):
                Thread(target=connection.forward, args=(source, target), daemon=True).start()
