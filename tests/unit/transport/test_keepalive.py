from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from privacyplease.transport.keepalive import KEEPALIVE, Keepalive
from privacyplease.transport.server_options import SERVER_OPTIONS

BRIEF = Keepalive(interval_s=1, answer_s=1)
PINGS = 7  # a server that does not permit them hangs up at the fifth


@pytest.mark.slow
def test_a_server_permits_the_pings_of_a_call_that_takes_long() -> None:
    def answer(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        time.sleep(PINGS * BRIEF.interval_s)
        return b"done"

    server = grpc.server(ThreadPoolExecutor(1), options=BRIEF.server_options())
    handlers = {"Call": grpc.unary_unary_rpc_method_handler(answer)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("slow", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}", options=BRIEF.channel_options()) as channel:
            assert channel.unary_unary("/slow/Call", None, None)(b"", timeout=30) == b"done"
    finally:
        server.stop(0).wait()


def test_every_server_permits_the_pings_of_every_client() -> None:
    assert set(KEEPALIVE.server_options()) <= set(SERVER_OPTIONS)
