"""How every gRPC server here is set up, besides its limits."""

from privacyplease.transport.keepalive import KEEPALIVE

SERVER_OPTIONS = (
    ("grpc.so_reuseport", 0),  # a second server on the same port must fail, not share its calls
    # Certificates are checked when a connection begins, so an expired one keeps its connection for at most an hour.
    # Running calls are not cut off.
    ("grpc.max_connection_age_ms", 3_600_000),
    *KEEPALIVE.server_options(),
)
"""For `grpc.server`."""

NON_BLOCKING_HEALTH = False
"""For `HealthServicer`. Its non-blocking mode can deadlock the whole server: a watcher that leaves while another one
arrives waits, in gRPC's only thread, for a lock whose holder waits for that thread (grpc/grpc#43403)."""
