"""How a connection that died without a word is noticed: a NAT or a load balancer that forgets it tells neither end.

A client asks whether its server is still there whenever it has heard nothing for a while (an HTTP/2 ping). Without an
answer in time gRPC closes the connection, the calls on it fail as UNAVAILABLE, and the next one connects anew. gRPC's
own default is not to ask at all.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Keepalive:
    """When to ask, and for how long to wait.

    Attributes:
        interval_s: Seconds without a word from the other end until a ping is sent.
        answer_s: Seconds until a ping must be answered.
    """

    interval_s: float
    answer_s: float

    def channel_options(self) -> list[tuple[str, int]]:
        """For the channel of a client."""
        return [
            ("grpc.keepalive_time_ms", round(self.interval_s * 1000)),
            ("grpc.keepalive_timeout_ms", round(self.answer_s * 1000)),
            ("grpc.http2.ping_timeout_ms", round(self.answer_s * 1000)),  # whatever a ping is for; else a minute
            # Between calls too: a NAT then does not forget the connection, and the next call finds it alive.
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0),  # without limit; by default gRPC stops asking after two
        ]

    def server_options(self) -> list[tuple[str, int]]:
        """For a server, which by default hangs up on a client that asks more often than every five minutes."""
        return [
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_ping_interval_without_data_ms", round(self.interval_s * 1000 / 2)),
        ]


KEEPALIVE = Keepalive(interval_s=10, answer_s=10)
"""For every connection. Together the two are shorter than the deadline of a question, so one that was asked on a dead
connection is asked again on a new one and answered in time."""
